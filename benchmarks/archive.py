#!/usr/bin/env python3
"""Many scans in a tree of mixed layouts, 20 broken in 20 ways: killed at random moments, and beside single runs.

    archive.py SERIES FOLDER [--good 180] [--kills 10] [--method threshold]

Of SERIES, a folder of DICOM as `orbitalseg phantom P --variant small` makes one, copies are made, each of a patient of
its own. The batch is killed and goes on to its end, once more without being killed, one scan at a time; and every scan
is done by itself. All of the batches' results are held against the single runs, byte for byte but for times, and both
indices against each other. Seconds are of the processor, of all processes together, so that other work matters little.
What is done already in FOLDER is not done again: the benchmark may be run in pieces.
"""

import argparse
import csv
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset

from OrbitalSegLib.dicom_files import save_dicom
from OrbitalSegLib.product import CONTRACT

Slices = list[Dataset]

LONGEST_SECONDS = 30.0
"""A batch that is to be killed lives no longer."""


def copy_of(series: Path, number: int) -> Slices:
    """The series as that of another patient, one voxel of it changed."""
    slices = sorted(map(pydicom.dcmread, series.iterdir()), key=lambda item: item.InstanceNumber)
    for index, item in enumerate(slices):
        item.PatientID = f"patient {number}"
        item.StudyInstanceUID = f"1.2.826.0.1.{number}"
        item.SeriesInstanceUID = f"1.2.826.0.1.{number}.1"
        item.SOPInstanceUID = item.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.{number}.1.{index + 1}"
    voxels = slices[0].pixel_array.copy()
    voxels[0, 0] = 100 + number % 1000
    slices[0].PixelData = voxels.tobytes()
    return slices


def save(slices: Slices, folder: Path, names: str = "{:04d}.dcm") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, item in enumerate(slices):
        save_dicom(item, folder / names.format(index))


def pack(slices: Slices, path: Path) -> None:
    work = path.with_suffix(".work")
    save(slices, work)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(work.iterdir()):
            archive.write(file, file.name)
    shutil.rmtree(work)


def in_pieces(slices: Slices, folder: Path) -> None:
    for start in range(0, len(slices), 25):
        save(slices[start : start + 25], folder / f"{start:03d}")


LAYOUTS: list[Callable[[Slices, Path], None]] = [
    lambda slices, path: save(slices, path / "study"),
    lambda slices, path: save(slices, path / "a/b/c", "IM{:d}"),
    in_pieces,
    lambda slices, path: pack(slices, path.with_suffix(".zip")),
]


# How scans are broken: the code of the row, and what makes it


def changed(**values: Any) -> Callable[[Slices, Path], None]:
    """Attributes of every slice, None for one that is taken away."""

    def make(slices: Slices, path: Path) -> None:
        for item in slices:
            for keyword, value in values.items():
                if value is None:
                    delattr(item, keyword)
                else:
                    setattr(item, keyword, value)
        save(slices, path)

    return make


def written(content: bytes, ending: str) -> Callable[[Slices, Path], None]:
    def make(_slices: Slices, path: Path) -> None:
        path.with_suffix(ending).write_bytes(content)

    return make


def cut_files(end: int) -> Callable[[Slices, Path], None]:
    def make(slices: Slices, path: Path) -> None:
        save(slices, path)
        for file in path.iterdir():
            content = file.read_bytes()
            file.write_bytes(content[:end])

    return make


def text_only(_slices: Slices, path: Path) -> None:
    path.mkdir()
    (path / "a.dcm").write_text("no scan")


def cut_zip(slices: Slices, path: Path) -> None:
    pack(slices, path.with_suffix(".zip"))
    whole = path.with_suffix(".zip").read_bytes()
    path.with_suffix(".zip").write_bytes(whole[: len(whole) // 2])


def locked_zip(slices: Slices, path: Path) -> None:
    """The flag of a password in the zip's directory."""
    pack(slices[:5], path.with_suffix(".zip"))
    content = bytearray(path.with_suffix(".zip").read_bytes())
    place = content.index(b"PK\x01\x02")
    while place >= 0:
        content[place + 8] |= 1
        place = content.find(b"PK\x01\x02", place + 1)
    path.with_suffix(".zip").write_bytes(content)


def other_zip(_slices: Slices, path: Path) -> None:
    with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
        archive.writestr("readme.txt", "no scan")


def lacking(slices: Slices, path: Path) -> None:
    """Some slices say nothing of Hounsfield units."""
    for item in slices[:9]:
        del item.RescaleSlope, item.RescaleIntercept
    save(slices, path)


def with_colour(slices: Slices, path: Path) -> None:
    for item in slices:
        item.SamplesPerPixel, item.PhotometricInterpretation = 3, "RGB"
    save(slices, path)


BROKEN: dict[str, tuple[str, Callable[[Slices, Path], None]]] = {
    "cut-zip": ("truncated", cut_zip),
    "locked-zip": ("unsafe-zip", locked_zip),
    "other-zip": ("no-dicom", other_zip),
    "no-zip": ("no-dicom", written(b"no zip", ".zip")),
    "empty": ("no-dicom", lambda _slices, path: path.mkdir()),
    "text": ("no-dicom", text_only),
    "mr": ("wrong-modality", changed(Modality="MR")),
    "scout": ("scout-only", changed(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])),
    "colour": ("colour", with_colour),
    "few": ("too-few-slices", lambda slices, path: save(slices[:3], path)),
    "gap": ("slice-gap", lambda slices, path: save(slices[:28] + slices[36:], path)),
    "cut-voxels": ("truncated", cut_files(-600)),
    "cut-headers": ("truncated", cut_files(500)),
    "no-places": ("no-positions", changed(ImagePositionPatient=None)),
    "lacking": ("inconsistent", lacking),
    "chest": ("no-orbit", changed(BodyPartExamined="CHEST")),
    "no-scale": ("not-hu", changed(RescaleIntercept="0", RescaleType="US")),
    "empty-volume": ("unreadable", written(b"", ".nrrd")),
    "no-volume": ("unreadable", written(b"no volume", ".nii.gz")),
    "no-voxels": (
        "unreadable",
        written(
            b"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 9 9 9\n"
            b"space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nendian: little\nencoding: raw\n"
            b"data file: a.raw\n",
            ".nhdr",
        ),
    ),
}


def make_tree(series: Path, tree: Path, good: int) -> None:
    for number in range(good):
        LAYOUTS[number % len(LAYOUTS)](copy_of(series, number), tree / f"site {number % 3}" / f"case {number:03d}")
    for number, (name, (_, make)) in enumerate(BROKEN.items()):
        place = tree / f"broken/{name}"
        place.parent.mkdir(exist_ok=True)
        make(copy_of(series, good + number), place)


# Running


def batch_job(tree: Path, results: Path, method: str) -> dict[str, Any]:
    jobs = [{"task": "segment", "method": method}]
    paths = {"input": str(tree), "output": str(results)}
    return {"contract": CONTRACT, "task": "batch", **paths, "jobs": jobs, "at_once": 1}


def start(job: dict[str, Any], folder: Path) -> "subprocess.Popen[str]":
    file = folder / f"{job['task']}.json"
    file.write_text(json.dumps(job))
    command = [sys.executable, "-m", "OrbitalSegLib.worker", str(file)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def finished(job: dict[str, Any], folder: Path) -> tuple[float, dict[str, Any]]:
    """Seconds of the processor, and the last line."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said, _ = start(job, folder).communicate()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, json.loads(said.splitlines()[-1])


def rows_of(results: Path) -> list[dict[str, str]]:
    with (results / "index.csv").open(newline="") as file:
        return [*csv.DictReader(file)]


def key_of(results: Path) -> dict[str, str]:
    with (results / "private/key.csv").open(newline="") as file:
        return {row["name"]: row["path"] for row in csv.DictReader(file)}


def differs(made: Path, alone: Path) -> list[str]:
    """The files that are not the same, but for those that hold times."""
    names = {path.name for folder in (made, alone) for path in folder.iterdir()}
    names -= {"record.json", "record.html", "log.txt"}
    return [name for name in sorted(names) if (made / name).read_bytes() != (alone / name).read_bytes()]


def main() -> None:
    """Print what was found as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("series", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--good", type=int, default=180)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--method", default="threshold")
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    tree, state = folder / "tree", folder / "state.json"
    known: dict[str, Any] = json.loads(state.read_text()) if state.exists() else {"killed": 0, "alone": {}}

    def keep() -> None:
        state.write_text(json.dumps(known, indent=1))

    if not tree.exists():
        make_tree(asked.series, folder / "new", asked.good)
        (folder / "new").rename(tree)
    killed = batch_job(tree, folder / "killed", asked.method)
    moments = random.Random(1)
    while known["killed"] < asked.kills:
        process = start(killed, folder)
        time.sleep(moments.uniform(1.0, LONGEST_SECONDS))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        known["killed"] += 1
        keep()
    finished(killed, folder)
    if "batch" not in known:
        shutil.rmtree(folder / "whole", ignore_errors=True)
        known["batch"], last = finished(batch_job(tree, folder / "whole", asked.method), folder)
        known["summary"] = last["summary"]
        known["largest"] = round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
        keep()
    rows = rows_of(folder / "whole")
    done = [row["name"] for row in rows if row["status"] == "done"]
    paths = key_of(folder / "whole")
    for name in (row["name"] for row in rows):
        if name not in known["alone"]:
            shutil.rmtree(folder / "alone" / name, ignore_errors=True)
            (folder / "alone").mkdir(exist_ok=True)
            single = {"contract": CONTRACT, "task": "segment", "input": paths[name], "method": asked.method}
            known["alone"][name], _ = finished({**single, "output": str(folder / "alone" / name)}, folder)
            keep()
    other = [
        f"{results}/{name}/{file}"
        for name in done
        for results in ("killed", "whole")
        for file in differs(folder / results / "scans" / name / "segment", folder / "alone" / name)
    ]
    wanted = {name: code for name, (code, _) in BROKEN.items()}
    found = {Path(paths[row["name"]]).name.partition(".")[0]: row["code"] for row in rows if row["status"] == "failed"}
    alone = sum(known["alone"].values())
    of_done = sum(known["alone"][name] for name in done)
    told = {
        **known["summary"],
        "kills": known["killed"],
        "same index after kills": (folder / "killed/index.csv").read_bytes()
        == (folder / "whole/index.csv").read_bytes(),
        "files other than single runs'": other,
        "rows with another code than they should": {k: found.get(k) for k in wanted if found.get(k) != wanted[k]},
        "largest process, MB": known["largest"],
        "processor seconds, batch": round(known["batch"], 1),
        "processor seconds, single runs": round(alone, 1),
        "of these, of scans that have a result": round(of_done, 1),
        "overhead": round(known["batch"] / alone - 1, 4),
        "overhead, the broken ones for nothing": round(known["batch"] / of_done - 1, 4),
    }
    sys.stdout.write(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
