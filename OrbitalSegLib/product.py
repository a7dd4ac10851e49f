"""What the product is called, its version, and what it says of itself: on the ground floor, for all to import."""

PRODUCT = "OrbitalSeg"
VERSION = "0.1.0"

CONTRACT = 4
"""Version of docs/contracts.md."""

NOTICE = "OrbitalSeg is not a medical device. A physician must review every model before it is used."
