"""Every benchmark runs to its end on a job as small as it can be. `model.py`: test_model_evaluation.py."""

import importlib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("torch")

import numpy as np
import SimpleITK as sitk
import torch
from scipy.spatial import cKDTree
from test_batch import study
from test_calibration import case
from test_release import CONFIGURATION, RECIPE
from test_training_validation import case_with_a_wall
from test_walls_training import STILL, TINY
from tiny_template import two_boxes

from OrbitalSegLib.evaluation.walls import walls_of_phantom
from OrbitalSegLib.export.segmentation import write_segmentation
from OrbitalSegLib.images import on_grid
from OrbitalSegLib.methods import walls as walls_method
from OrbitalSegLib.networks import package
from OrbitalSegLib.networks.walls import is_one as is_walls
from OrbitalSegLib.phantom import Anatomy, Scanner, bone_fraction, orbits_grid, scan, wall_midsurfaces
from OrbitalSegLib.results import ResultFolder
from OrbitalSegLib.training.cases import Case, Flag, write_case
from OrbitalSegLib.training.dataset import pack_new
from OrbitalSegLib.training.templates.template import write_template
from OrbitalSegLib.training.walls.asking import VolumeAsked
from OrbitalSegLib.training.walls.evidence import EvidenceLesson
from OrbitalSegLib.training.walls.heads import make as make_heads
from OrbitalSegLib.training.walls.heads import settings_of
from OrbitalSegLib.training.walls.training import train
from OrbitalSegLib.training.walls.volume import VolumeLesson

pytestmark = [pytest.mark.learn, pytest.mark.slow]

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SMALL_MM = (24.0, 24.0, 26.0)
"""A synthetic volume: what lies around the wall of the two boxes."""
BROKEN = 800_006
"""The seed of one that has intact wall and a hole."""


@pytest.fixture
def benchmark(monkeypatch) -> Callable[[str], ModuleType]:
    """A benchmark as a module, to be made smaller."""
    for folder in (BENCHMARKS, BENCHMARKS.parent):
        monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(BENCHMARKS.parent))
    return importlib.import_module


@pytest.fixture
def start(benchmark, monkeypatch, capsys) -> Callable[..., str]:
    """Runs a benchmark in this process, and gives what it printed."""

    def run(name: str, *words: object) -> str:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, words)])
        threads = torch.get_num_threads()
        try:
            benchmark(name).main()
        finally:
            torch.set_num_threads(threads)
        return capsys.readouterr().out

    return run


@pytest.fixture(scope="module")
def ball(tmp_path_factory) -> Path:
    """A bony ball in soft tissue in air."""
    z, y, x = np.indices((24, 32, 32)) - np.array([12, 16, 16]).reshape(3, 1, 1, 1)
    far = np.sqrt(x**2 + y**2 + z**2)
    image = sitk.GetImageFromArray(np.where(far < 8, 1000, np.where(far < 11, 40, -1000)).astype(np.int16))
    path = tmp_path_factory.mktemp("ball") / "ct.nrrd"
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture(scope="module")
def templates(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("templates")
    write_template(two_boxes(), folder / "two-boxes")
    return folder


def rows_of(said: str) -> dict[str, list[str]]:
    """The cells of each row of Markdown, by the first."""
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in said.splitlines() if "|" in line]
    return {row[0]: row[1:] for row in rows}


def test_the_main_job(start, ball):
    said = start("main_job", ball, "--runs", 1)
    assert {"reading", "segmenting", "modelling", "all"} <= {line.split()[0] for line in said.splitlines() if line}


def test_inference(start):
    said = start("inference", "ours", "--size", 32, "--runs", 1)
    way, runs, median, *_ = said.splitlines()[-1].split()
    assert (way, runs) == ("ours", "1")
    assert float(median) > 0


def test_agreement(start, tiny_package, tmp_path):
    taken = scan(Anatomy(), Scanner(96, 1.0, 1.0, 1.0, 64.0, (0.0, 15.0, 0.0)))
    image = sitk.GetImageFromArray(taken.voxels)
    image.SetOrigin(taken.grid.origins[0].tolist())
    sitk.WriteImage(image, str(tmp_path / "ct.nrrd"))
    said = start("agreement", tmp_path / "ct.nrrd", "--model", tiny_package.folder)
    rows = {line.split("|")[2].strip(): line.split("|")[3] for line in said.splitlines()[2:]}
    assert list(rows) == ["openvino fp32", "openvino bf16", "torch bf16", "10 mm more margin"]
    assert float(rows["openvino fp32"]) < 0.01


def test_surface(start, ball, tmp_path):
    mask = sitk.Cast(sitk.ReadImage(str(ball)) > 500, sitk.sitkUInt8)
    sitk.WriteImage(mask, str(tmp_path / "mask.nrrd"))
    said = start("surface", "--mask", tmp_path / "mask.nrrd")
    assert [way for way in ("none, mask", "faithful, mask", "faithful, fraction") if f"ours, {way}" not in said] == []


def test_surface_plates(start):
    said = start("surface_plates", "--thickness", 1.0, "--spacing", "0.5,0.5,1.0", "--phases", 1)
    assert "ours, faithful" in said


def test_surface_scans(start, ball):
    cells = rows_of(start("surface_scans", ball.parent, "--scan", ball.name))[ball.name]
    assert cells[1:3] == ["1", "0"]  # parts, tunnels
    assert cells[4:6] == ["sound", "closed"]


def test_wall_coverage(start, tmp_path):
    for density in (400, -90):
        write_case(case(density), tmp_path / f"case{density}")
    sitk.WriteImage(case(200).ct, str(tmp_path / "real.nrrd"))
    box = (-30, 30, 10, 74, 100, 126)
    said = start("wall_coverage", tmp_path / "case400", tmp_path / "case-90", "--scan", tmp_path / "real.nrrd", *box)
    assert said.splitlines()[-1].split()[:2] == ["real.nrrd", "0.500"]


def test_delivered(start, benchmark, tiny_package, templates, tmp_path, monkeypatch):
    delivered = benchmark("delivered")
    monkeypatch.setattr(delivered, "Run", partial(delivered.Run, size_mm=SMALL_MM))
    monkeypatch.setattr(delivered, "SEED", BROKEN)
    monkeypatch.setattr(delivered, "SLICES_MM", (1.0,))
    monkeypatch.setattr(delivered, "PIXELS_MM", (0.5,))
    where = ["--package", tiny_package.folder, "--templates", templates, "--template", "two-boxes", "--out", tmp_path]
    assert "0 scans" in start("delivered", *where, "--heads", 1, "--at-most", 0)
    said = start("delivered", *where, "--heads", 1)
    assert "| 1, 0.5 | 1 |" in said
    assert said.splitlines()[1:] == start("delivered", *where, "--heads", 1).splitlines()
    record = json.loads((tmp_path / "figures" / "two-boxes-00-1-0.5.json").read_text())
    masks = record["masks"]
    assert record["delivered_on_working_grid"] is False  # the voxels of the tiny package are as long as the slices
    assert {name for name in masks if name.startswith("now")} == {
        f"now{grid}, {what}" for grid in ("", ", scan grid") for what in ("seen", "either")
    }
    assert all(min(one["wall_of"], one["holes_of"]) > 0 for one in masks.values())


def test_fractures(start, benchmark, tiny_package, templates, tmp_path, monkeypatch):
    fractures = benchmark("fractures")
    monkeypatch.setattr(fractures, "Run", partial(fractures.Run, size_mm=SMALL_MM))
    monkeypatch.setattr(fractures, "THICKNESSES_MM", (0.5,))
    monkeypatch.setattr(fractures, "SLICES_MM", (1.0,))
    where = ["--package", tiny_package.folder, "--templates", templates, "--left-out", "two-boxes", "--out", tmp_path]
    said = start("fractures", *where, "--repeats", 1)
    assert "1 heads." in said
    assert (tmp_path / "fractures.md").read_text() in said
    assert (tmp_path / "fractures-by-hole.csv").read_text().count("\n") == 3
    assert (tmp_path / "fractures-seen.png").stat().st_size > 1000


def test_optional_steps(start, benchmark, tiny_package, templates, tmp_path, monkeypatch):
    steps = benchmark("optional_steps")
    monkeypatch.setattr(steps, "Run", partial(steps.Run, size_mm=SMALL_MM))
    monkeypatch.setattr(steps, "SEED", BROKEN)
    monkeypatch.setattr(steps, "STEPS", {name: steps.STEPS[name] for name in (steps.PLAIN, "limits-0.8")})
    where = ["--package", tiny_package.folder, "--templates", templates, "--on", "two-boxes", "--out", tmp_path]
    rows = rows_of(start("optional_steps", *where, "--cases", 1))
    assert rows["neither"][0] == rows["limits-0.8"][0] == "1"


@pytest.fixture
def coarse(benchmark, tmp_path, monkeypatch) -> Path:
    """The heads of monitoring in voxels of 1 mm, and a folder for what is made of them."""
    monitoring = benchmark("monitoring")
    monkeypatch.setattr(monitoring, "RANGES", {**monitoring.RANGES, "pixel_mm": (1.0, 1.0), "spacing_mm": (1.0, 1.0)})
    monkeypatch.setattr(monitoring, "HEIGHT_MM", 64.0)
    for name, path in {"FOLDER": "work", "FIGURES": "figures.json", "LIMITS": "limits.json"}.items():
        monkeypatch.setattr(monitoring, name, tmp_path / path)
    return tmp_path


def test_monitoring(start, benchmark, coarse, monkeypatch):
    for stage in ("scans", "run", "limits", "count"):
        said = start("monitoring", stage, "--method", "threshold", "--set", 1, "--good", 1, "--damaged", 0)
    assert "misses 0 of 0" in said
    limits = json.loads((coarse / "limits.json").read_text())
    assert list(limits["methods"]) == ["threshold"]
    assert limits["input"]
    assert sum(json.loads((coarse / "figures.json").read_text())["threshold"]["verdicts"]["held-out"].values()) == 1
    monkeypatch.setattr(benchmark("monitoring"), "VARIANTS", {})
    scan = coarse / "work" / "scans" / "held-out-000.nrrd"
    assert "alike" in start("monitoring", "regions", "--method", "threshold", "--scan", scan)
    compared = json.loads((coarse / "figures.json").read_text())["regions"]["threshold"]["scans"]
    assert [row["auto"]["figures"].keys() for row in compared] == [row["whole"]["figures"].keys() for row in compared]


def test_orbit_volume(start, benchmark, coarse, monkeypatch):
    volume = benchmark("orbit_volume")
    monkeypatch.setattr(volume, "good", lambda kind, number: benchmark("monitoring").good(kind, number + 2))  # broken
    monkeypatch.setattr(volume, "FOLDER", coarse / "work")
    monkeypatch.setattr(volume, "FIGURES", coarse / "figures.json")
    assert start("orbit_volume", "--method", "exact", "--heads", 1)
    assert json.loads((coarse / "figures.json").read_text())["exact"]["measured"]
    scan = coarse / "work" / "held-out-002.nrrd"
    start("orbit_volume", "--method", "threshold", "--heads", 0, "--scan", scan)
    measured = json.loads((coarse / "figures.json").read_text())["scans"]["threshold"]["work/held-out-002.nrrd"]
    assert measured["right"]["volume_ml"] == pytest.approx(29, abs=2)


def test_few_cases(start, benchmark, tmp_path, monkeypatch):
    few, work = benchmark("few_cases"), tmp_path / "work"
    for side, cases in {"cases": (("sheet", 1), ("plate", 2)), "validation": (("sheet", 7),)}.items():
        (work / side).mkdir(parents=True)
        for template, seed in cases:
            write_case(case_with_a_wall(seed, template), work / side / f"{template}-{seed:05d}")
    pack_new([work / "cases"], work / "cases-packed")
    for name in ("sheet", "plate"):
        (work / "templates" / name).mkdir(parents=True)
        (work / "templates" / name / "template.json").write_text("{}")
    (tmp_path / "tiny.toml").write_text(CONFIGURATION)
    recipe = RECIPE.replace("sheet = [1, 3]", "sheet = [1, 2]\nplate = [2, 3]")
    (tmp_path / "recipe.toml").write_text(recipe.format(configuration=tmp_path / "tiny.toml"))
    tiny = few.release.load(tmp_path / "recipe.toml")
    monkeypatch.setattr(few.release, "load", lambda _path: tiny)
    monkeypatch.setattr(few, "BATCH", 2)
    monkeypatch.setattr(few, "VALIDATION", {"sheet": 1})
    start("few_cases", "--work", work, "--cases", 2, "--steps", 4)
    assert package.read(work / "little" / "packages" / "few-cases-2").name == "few-cases-2"


def test_archive(start, benchmark, tmp_path, monkeypatch):
    module = benchmark("archive")
    monkeypatch.setattr(module, "LONGEST_SECONDS", 2.0)
    monkeypatch.setattr(module, "BROKEN", {name: module.BROKEN[name] for name in ("text", "no-volume")})
    series = study(tmp_path / "series", 1)
    words = ("--good", 2, "--kills", 1)
    told = json.loads(start("archive", series, tmp_path / "out", *words))
    assert (told["done"], told["failed"], told["kills"]) == (2, 2, 1)
    assert told["same index after kills"] is True
    assert not told["files other than single runs'"]
    assert not told["rows with another code than they should"]
    assert told["processor seconds, batch"] > 0


@pytest.fixture
def broken_head() -> Case:
    """The phantom with a hole of 90 mm² in its left floor, as a case."""
    broken = Anatomy(fracture="floor", fracture_side="left", fracture_area_mm2=90.0)
    taken = scan(broken, Scanner(112, 1.2, 1.2, 1.2, 80.0, (0.0, 15.0, 0.0), noise_hu=5.0))
    ct = sitk.GetImageFromArray(taken.voxels)
    ct.SetSpacing([1.2] * 3)
    ct.SetOrigin(taken.grid.origins[0].tolist())
    bone = sitk.Cast(bone_fraction(broken, orbits_grid(broken, 0.5)) > 0.4, sitk.sitkUInt8)
    whole, left = (walls_of_phantom(wall_midsurfaces(anatomy, 0.5)) for anatomy in (Anatomy(), broken))
    gone = cKDTree(left.points_mm).query(whole.points_mm)[0] > 1
    return Case(ct, ct, ct, bone * int(Flag.BONE), replace(whole, hole=gone.astype(np.uint8)))


def test_defects(start, benchmark, broken_head, ball, tmp_path, monkeypatch):
    defects = benchmark("defects")
    monkeypatch.setattr(defects, "FOLDER", tmp_path)
    monkeypatch.setattr(defects, "FIGURES", tmp_path / "defects.json")
    monkeypatch.setattr(defects, "head", lambda *_which: broken_head)
    said = start("defects", "--templates", tmp_path, "--template", "broken", "--heads", 1)
    assert "broken-000 1 holes" in said
    figures = json.loads((tmp_path / "defects.json").read_text())["broken"]
    assert [figures[key] for key in ("heads", "orbits", "holes", "found", "right_wall")] == [1, 2, 1, 1, 1]
    monkeypatch.setattr(defects, "head", None)  # what was measured is not measured again
    start("defects", "--templates", tmp_path, "--template", "broken", "--heads", 1)
    (tmp_path / "result").mkdir()
    write_segmentation({"bone": sitk.ReadImage(str(ball)) > 500}, ResultFolder(tmp_path / "result").segmentation)
    start("defects", "--scan", tmp_path / "result", ball)
    assert "ct.nrrd" in json.loads((tmp_path / "defects.json").read_text())["scans"]


SMALLER = replace(TINY, heads=replace(TINY.heads, settings=STILL | {"size_mm": [20.0, 20.0, 34.0]}))


def with_floor(said: dict[str, sitk.Image]) -> dict[str, sitk.Image]:
    """What a network of two steps says, which finds no place yet, and the floor of the two boxes, 10.5 mm below the
    middle."""
    grid = said["place"]
    z = np.indices(grid.GetSize()[::-1], np.float32)[0]
    above = (z - (len(z) - 1) / 2) * grid.GetSpacing()[2] + 10.5
    known = {"place": (np.abs(above) < 0.75).astype(np.float32), "distance": np.clip(-above, -2.5, 2.5)}
    return said | {name: on_grid(values, grid) for name, values in known.items()}


class FloorAsked(VolumeAsked):
    def of(self, working_ct: sitk.Image) -> dict[str, sitk.Image]:
        return with_floor(super().of(working_ct))


def test_walls(start, benchmark, tiny_package, templates, tmp_path, monkeypatch):
    walls = benchmark("walls")
    for lesson in (VolumeLesson(SMALLER), EvidenceLesson(SMALLER)):
        make_heads(SMALLER, templates, tmp_path / "work", wait=False)
        train(SMALLER, lesson, tmp_path / "work", 2, lambda _line: None)
    monkeypatch.setattr(walls.config, "load", lambda _path: SMALLER)
    monkeypatch.setattr(walls.package, "load_package", lambda: tiny_package)
    monkeypatch.setattr(walls, "MIXTURE_HEADS", 1)
    monkeypatch.setattr(walls, "DRAWS", 20)
    monkeypatch.setattr(walls, "VolumeAsked", FloorAsked)
    answers_of = walls_method.answers_of
    monkeypatch.setattr(walls_method, "answers_of", lambda *asked: with_floor(answers_of(*asked)))
    monkeypatch.setattr(walls.Run, "settings", lambda _run: settings_of(SMALLER.heads))
    where = ["--work", tmp_path / "work", "--templates", templates, "--left-out", "two-boxes"]
    said = start("walls", *where, "--out", tmp_path / "out", "--heads", 2, "--package", tmp_path / "package")
    assert (tmp_path / "out/figures.md").read_text() in said
    rows = [line.split("|")[1].strip() for line in said.splitlines() if line.startswith("|")]
    assert {*walls.NETWORKS, "intact wall", "holes"} <= {*rows}
    assert "2 heads of two-boxes" in said
    assert is_walls(tmp_path / "package")
    monkeypatch.setattr(walls, "said_of", None)  # what was said is kept
    again = start("walls", *where[2:], "--out", tmp_path / "out", "--heads", 2, "--package", tmp_path / "package")
    assert again == said


def test_methods(start, ball, tmp_path):
    """One that finds bone, and one that ends in its sentence; what was done is not done again."""
    words = (tmp_path / "runs", f"ball={ball}", "--method", "threshold", "--method", "subtraction")
    said = start("methods", *words)
    assert re.search(r"^\| `threshold` \| \d+\.\d \(\d+ s\) \|$", said, re.MULTILINE)
    assert "| `subtraction` | refused |" in said
    assert "No whole orbit was found" in (tmp_path / "runs" / "methods.csv").read_text(encoding="utf-8")
    assert "methods: " not in start("methods", *words)
