"""Truncated and bit-flipped DICOM: reading gives a scan or one of its sentences, and nothing else ever.

The cases run in a process of their own, as compiled decoders could take a process down:
`python test_fuzz_dicom.py FIRST LAST FOLDER` runs some, and says of each what came of it.
"""

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dicom_series import compressed, ct_slices, enhanced, file_bytes, in_syntax, jpeg_ls_slices
from pydicom import uid

from OrbitalSegLib import reading
from OrbitalSegLib.errors import OrbitalSegError

pytestmark = pytest.mark.slow

CASES = 700
BATCH = 350
MEMORY_BYTES = 3 << 30
"""Address space of the process: damage that asks for more than any of these small series needs is refused, not met."""
SECONDS = 180
"""For a batch, which takes about seven; more is a hang."""


def corpus(folder: Path) -> list[list[bytes]]:
    """Small valid series as the bytes of their files: every transfer syntax, classic and enhanced."""
    native = (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian)
    series = [[in_syntax(item, syntax) for item in ct_slices()] for syntax in native]
    series.append([in_syntax(item, uid.DeflatedExplicitVRLittleEndian) for item in ct_slices()])
    series.append([enhanced(ct_slices())])
    series.append(jpeg_ls_slices())
    for how in ("RLE", "JPEG", "JPEG2000"):
        series.append([compressed(item, how, folder) for item in ct_slices()])
        series.append([compressed(enhanced(ct_slices()), how, folder)])
    return [[file_bytes(item) for item in items] for items in series]


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    """The bytes cut off, or with bits flipped, bytes overwritten or pushed aside, in the header or anywhere."""
    bytes_ = bytearray(data)
    end = len(data) if random.random() < 0.5 else min(len(data), 1600)
    place = int(random.integers(128, end))
    kind = random.integers(4)
    if kind == 0:
        return bytes(bytes_[:place])
    if kind == 1:
        for bit in random.integers(128 * 8, end * 8, size=random.integers(1, 12)):
            bytes_[bit // 8] ^= 1 << (bit % 8)
    elif kind == 2:
        bytes_[place : place + 4] = random.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"NaN "])
    else:
        bytes_[place:place] = random.bytes(int(random.integers(1, 9)))
    return bytes(bytes_)


def write_case(case: int, originals: list[list[bytes]], folder: Path) -> None:
    """Write the series of a case: one of its files is damaged, or all of them alike."""
    random = np.random.default_rng(case)
    files = list(originals[case % len(originals)])
    which = range(len(files)) if random.random() < 0.4 else [int(random.integers(len(files)))]
    seed = int(random.integers(1 << 30))
    for index in which:
        files[index] = damaged(files[index], np.random.default_rng(seed))
    for index in range(16):
        (folder / f"{index}").unlink(missing_ok=True)
    for index, data in enumerate(files):
        (folder / f"{index}").write_bytes(data)


def run_cases(first: int, last: int, folder: Path, say: Callable[[str], None]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    originals = corpus(folder)
    for case in range(first, last):
        write_case(case, originals, folder)
        say(f"{case} ")
        try:
            scan = reading.read(folder)
            say("scan\n" if min(scan.image.GetSize()) > 1 else "no scan\n")
        except OrbitalSegError as error:
            say(f"{error.code}\n")


@pytest.mark.parametrize("first", range(0, CASES, BATCH))
def test_damaged_dicom_gives_a_scan_or_a_sentence(first, tmp_path):
    """A crash, a hang or another exception leaves the number of its case on the last line."""
    command = [sys.executable, __file__, str(first), str(first + BATCH), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"case {lines[-1:]}: {done.stderr[-2000:]}"
    assert len(lines) == BATCH
    outcomes = {line.split()[1] for line in lines}
    assert "truncated" in outcomes
    assert "scan" in outcomes
    assert "no scan" not in done.stdout


if __name__ == "__main__":
    run_cases(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), lambda text: print(text, end="", flush=True))
