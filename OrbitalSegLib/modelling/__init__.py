"""A mask -> a printable, measured surface."""
