"""Learning where the orbit's walls belong, and what of them a scan shows (see docs/model/walls.md)."""
