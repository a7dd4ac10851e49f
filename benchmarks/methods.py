#!/usr/bin/env python3
"""Every method without networks from the command line on every scan: it ends in bone, or in its sentence.

    methods.py FOLDER SCAN [SCAN ...] [--method NAME ...] [--minutes 4]

A SCAN is what `orbitalseg segment` takes, as `NAME=PATH`. Each run is one file in FOLDER, so that what was stopped, or
has used its minutes, goes on where it was. Seconds are of the processor, of the whole run with its surface and picture;
so that other work on the computer matters little.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from figures.common import Record, markdown, read_json, records, write_csv

from OrbitalSegLib.methods import METHODS

COLUMNS = ("scan", "method", "code", "ml", "seconds", "megabytes", "sentence")

CLASSICAL = [name for name, method in METHODS.items() if not method.needs_model]


def run(scan: Path, method: str) -> Record:
    """What came of one run, what it said, and what it took."""
    with tempfile.TemporaryDirectory(prefix="orbitalseg-") as private:
        words = [str(scan), "-o", f"{private}/out", "--method", method, "--progress", "json"]
        with subprocess.Popen(
            [sys.executable, "-m", "OrbitalSegLib", "segment", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            last: dict[str, Any] = json.loads(process.stdout.read().splitlines()[-1])
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
    summary = last.get("summary", {})
    return {
        "code": process.returncode,
        "ml": sum(ml for name, ml in summary.get("volumes_ml", {}).items() if name not in ("cortical", "thin")),
        "seconds": round(used.ru_utime + used.ru_stime, 1),
        "megabytes": round(used.ru_maxrss / 1024),
        "sentence": last.get("text", ""),
    }


def table(rows: list[list[Any]], scans: list[str]) -> str:
    """A row for each method, a column for each scan: ml and seconds, or the code of its sentence."""
    said = {(scan, method): f"{ml:.1f} ({seconds:.0f} s)" for scan, method, code, ml, seconds, _, _ in rows if not code}
    said |= {(scan, method): "refused" for scan, method, code, *_ in rows if code}
    methods = dict.fromkeys(method for _, method, *_ in rows)
    return markdown(
        ["method", *scans], [[f"`{method}`", *(said.get((scan, method), "") for scan in scans)] for method in methods]
    )


def main() -> None:
    """Run what has not been run, and print the table of what has."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("scans", nargs="+", metavar="NAME=PATH")
    parser.add_argument("--method", action="append", choices=CLASSICAL)
    parser.add_argument("--minutes", type=float, default=4.0)
    given = parser.parse_args()
    until = time.monotonic() + 60 * given.minutes
    scans = dict(scan.split("=", 1) for scan in given.scans)
    asked = {
        f"{name} {method}": partial(run, Path(path), method)
        for name, path in scans.items()
        for method in given.method or CLASSICAL
    }
    for name, make in asked.items():
        if time.monotonic() < until:
            records(given.folder, {name: make})
    made = {name: read_json(path) for name in asked if (path := given.folder / f"{name}.json").exists()}
    rows = [[*name.rsplit(" ", 1), *(one[key] for key in COLUMNS[2:])] for name, one in made.items()]
    write_csv(given.folder / "methods.csv", COLUMNS, rows)
    print(table(rows, [*scans]))


if __name__ == "__main__":
    main()
