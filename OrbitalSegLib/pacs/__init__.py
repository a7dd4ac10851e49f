"""Archives of a hospital (PACS): scans found, fetched and received there, results sent back (docs/archive.md).

One protocol, `Archive`, two ways: DICOMweb and DIMSE. Needs the extra `pacs`.
"""
