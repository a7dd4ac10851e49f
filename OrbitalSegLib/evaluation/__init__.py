"""Figures of a segmentation against truth; docs/metrics.md defines each [3532-2 11, Ekman]."""
