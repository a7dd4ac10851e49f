"""What the OrbitalSeg panel is made of; the four classes that 3D Slicer looks for are in OrbitalSeg.py."""
