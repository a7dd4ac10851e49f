#!/usr/bin/env python3
"""Are synthetic walls as hard to see as real ones?

    wall_coverage.py CASE... [--scan FILE X0 X1 Y0 Y1 Z0 Z1 ...]

prints how much of the wall thresholds hold, on synthetic cases and on scans (the box holds the orbits, LPS in mm), and
whether the cases bracket each scan. Scans that are used here are development scans ever after.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from OrbitalSegLib.reading import read
from OrbitalSegLib.training.calibration import calibrate, curve_of_scan


def main(words: Sequence[str] | None = None) -> None:
    """Compare from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path, nargs="+", help="case folders")
    parser.add_argument(
        "--scan", nargs=7, action="append", default=[], metavar=("FILE", "X0", "X1", "Y0", "Y1", "Z0", "Z1")
    )
    given = parser.parse_args(words)
    scans = {
        Path(name).name: curve_of_scan(read(Path(name)).image, [float(value) for value in box])
        for name, *box in given.scan
    }
    print(calibrate(given.cases, scans).table())


if __name__ == "__main__":
    main()
