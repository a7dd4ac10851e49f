"""What other programs say of a DICOM file that we wrote."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk


def places_of(mask: np.ndarray, to_lps: np.ndarray) -> np.ndarray:
    """The centres of the set voxels in LPS mm, in an order that does not depend on the grid's axes."""
    indices = np.argwhere(mask)
    places = (np.c_[indices, np.ones(len(indices))] @ to_lps.T)[:, :3]
    return places[np.lexsort(np.round(places, 1).T)]


def affine_of(image: sitk.Image) -> np.ndarray:
    """From z y x of the image's array to LPS mm."""
    affine = np.eye(4)
    affine[:3, :3] = (np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing())[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return affine


def highdicom_agrees(path: Path, masks: list[sitk.Image]) -> bool:
    """Whether highdicom finds the segments, in their order, with the same voxels in the same places."""
    import highdicom

    read = highdicom.seg.segread(path)
    if read.number_of_segments != len(masks):
        return False
    for number, mask in enumerate(masks, 1):
        volume = read.get_volume(segment_numbers=[number], combine_segments=False)
        set_voxels = np.argwhere(np.asarray(volume.array)[..., 0] > 0)
        places = (np.c_[set_voxels, np.ones(len(set_voxels))] @ np.asarray(volume.affine).T)[:, :3]
        indices = (np.c_[places, np.ones(len(places))] @ np.linalg.inv(affine_of(mask)).T)[:, :3]
        if np.abs(indices - np.rint(indices)).max() > 0.02:
            return False
        there = np.zeros(mask.GetSize()[::-1], bool)
        there[tuple(np.rint(indices).astype(int).T)] = True
        if not np.array_equal(there, sitk.GetArrayFromImage(mask) > 0):
            return False
    return True


def dcmqi_agrees(path: Path, masks: list[sitk.Image], folder: Path) -> bool:
    """The same by dcmqi, which writes its images into an existing folder. It comes with the test extra."""
    program = Path(sys.executable).parent / "segimage2itkimage"
    command = [program, "--inputDICOM", path, "--outputDirectory", folder, "-t", "nrrd", "-p", "s"]
    subprocess.run(command, check=True, capture_output=True)
    for number, mask in enumerate(masks, 1):
        found = sitk.ReadImage(str(folder / f"s-{number}.nrrd")) > 0
        there = sitk.Resample(found, mask, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
        counts = (sitk.GetArrayFromImage(image).sum() for image in (found, mask > 0))
        same = np.array_equal(sitk.GetArrayFromImage(there), sitk.GetArrayFromImage(mask > 0))
        if not same or len(set(map(int, counts))) != 1:
            return False
    return True


def errors_in(path: Path, dciodvfy: Path) -> set[str]:
    """The errors that dciodvfy (Debian package dicom3tools) finds."""
    found = subprocess.run([dciodvfy, path], capture_output=True, text=True, check=False)
    return {line for line in (found.stdout + found.stderr).splitlines() if line.startswith("Error")}


def errors_in_series(folder: Path, dciodvfy: Path) -> set[str]:
    """Those in the first CT image of a folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and pydicom.misc.is_dicom(path):
            return errors_in(path, dciodvfy)
    return set()
