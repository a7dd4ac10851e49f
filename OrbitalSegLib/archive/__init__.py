"""Many scans: found in a tree or a list, each done once in a process of its own, and an index (docs/archive.md).

Work is the worker's own jobs; a result folder is what a single run makes of the same scan.
"""
