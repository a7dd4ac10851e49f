"""OrbitalSeg: a head CT in, a printable model of the orbital bones out."""

__version__ = "0.1.0"

PRODUCT = "OrbitalSeg"
CONTRACT = 4
"""Version of docs/contracts.md."""

NOTICE = "OrbitalSeg is not a medical device. A physician must review every model before it is used."
