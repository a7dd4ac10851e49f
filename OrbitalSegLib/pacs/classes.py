"""What passes between OrbitalSeg and an archive: the tables of docs/conformance.md."""

from pydicom import uid

from OrbitalSegLib.reading.headers import CT_CLASSES
from OrbitalSegLib.reading.pixels import COMPRESSED

MODALITY = "CT"
"""Of what is found and fetched."""

IMAGES = CT_CLASSES
"""SOP classes that are read: fetched and received."""

RESULTS = (uid.SegmentationStorage, uid.EncapsulatedSTLStorage)
"""SOP classes that are written."""

SYNTAXES = (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian, *COMPRESSED)
"""Transfer syntaxes that are taken, the first one preferred; no deflated one, which may unpack without end."""

VERIFICATION = "1.2.840.10008.1.1"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
"""Services: C-ECHO, and C-FIND and C-GET in the Study Root information model."""

SUCCESS = 0x0000
NO_ROOM, OTHER_OBJECT, NOT_UNDERSTOOD = 0xA700, 0xA900, 0xC000
"""Statuses of C-STORE (PS3.4, B.2.3)."""

IMPLEMENTATION = uid.UID("2.25.212731437806416713586716843352867843201")
"""The implementation class UID of associations."""
