"""Do all dependencies have wheels for Slicer's Python on Linux, Windows and macOS? A dry download tells.

Each extra is resolved by itself, as a user would install it; nothing is kept on disk.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

PYTHON = "3.12"
PLATFORMS = {
    "Linux": ["manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_27_x86_64", "manylinux_2_28_x86_64"],
    "Windows": ["win_amd64"],
    "macOS, Apple": [f"macosx_{major}_0_arm64" for major in (11, 12, 13, 14)],
    "macOS, Intel": ["macosx_10_9_x86_64", "macosx_10_13_x86_64", "macosx_10_15_x86_64", "macosx_12_0_x86_64"],
}

PIP = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-cache-dir", "--quiet"]
SETS = {
    "base": [],
    "cli": [],
    "mesh": [],
    "infer": [],
    "dicom": [],
    "cluster": [],
    "pacs": [],
    "learn": ["--no-deps"],  # by themselves: what torch pulls on Linux weighs gigabytes
}
"""The sets of requirements that a user may install, with further arguments for pip."""


def resolve(requirements: list[str], platforms: list[str]) -> subprocess.CompletedProcess[str]:
    """Ask pip what it would install on another system, from wheels alone."""
    tags = [argument for platform in platforms for argument in ("--platform", platform)]
    return subprocess.run(
        [*PIP, "--only-binary=:all:", "--target", "nowhere", "--python-version", PYTHON, *tags, *requirements],
        capture_output=True,
        text=True,
        check=False,
    )


def main() -> int:
    """Print a line for each system and set of requirements; 1 if any cannot be resolved."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    sets = {"base": project["dependencies"], **project["optional-dependencies"]}
    failures = 0
    for system, platforms in PLATFORMS.items():
        for name, further in SETS.items():
            outcome = resolve([*further, *sets[name]], platforms)
            failures += outcome.returncode != 0
            reason = "ok" if outcome.returncode == 0 else outcome.stderr.strip().splitlines()[-1]
            sys.stdout.write(f"{system:14} Python {PYTHON} {name:6} {reason}\n")
            sys.stdout.flush()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
