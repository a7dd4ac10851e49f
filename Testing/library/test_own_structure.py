"""docs/own-structure.md is followed as it stands: from labelled scans to a package, and from that to segments."""

import json
import re
import shlex
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("typer")
pytest.importorskip("highdicom")

import numpy as np
import SimpleITK as sitk
from typer.testing import CliRunner

from OrbitalSegLib.cli import app
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.export.segmentation import read_segmentation
from OrbitalSegLib.images import on_grid
from OrbitalSegLib.methods.by_networks import ConsensusBone, Limits
from OrbitalSegLib.networks import package
from OrbitalSegLib.preprocessing import working_grid
from OrbitalSegLib.structures import described
from OrbitalSegLib.training import config
from OrbitalSegLib.training.config import MIRRORS, STRUCTURES_OF_EKMAN

pytestmark = pytest.mark.learn

PAGE = (Path(__file__).parents[2] / "docs" / "own-structure.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    return re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[1]


def commands() -> list[list[str]]:
    """What the page types after `orbitalseg`."""
    return [shlex.split(line)[1:] for line in re.findall(r"^orbitalseg .*$", PAGE, re.MULTILINE)]


@pytest.mark.slow
def test_the_page_leads_from_labelled_scans_to_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(block("python"), {"__name__": "make_cases"})
    Path("jaw.toml").write_text(block("toml"), encoding="utf-8")
    assert sorted(path.suffixes[0] for path in Path("cases").glob("*/label.*")) == [
        ".dcm",
        *[".nii"] * 2,
        *[".seg"] * 2,
    ]
    for words in commands():
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, (words, result.output)
    made = package.read(Path("package"))
    mandible, vault = made.networks["jaw"].structures
    assert (mandible.keep_largest, vault.keep_largest, vault.title) == (2, 1, "Vault of the skull")
    assert made.networks["jaw"].above == {"mandible": 0.5, "vault": 0.5}
    assert made.networks["jaw"].inferred_above is None, "no wall of a mandible is inferred"
    truth = sitk.GetArrayFromImage(sitk.ReadImage("new/head-6/label.nii.gz"))
    for value, name in ((1, "mandible"), (2, "vault")):
        mask = read_segmentation(Path("result/segmentation.seg.nrrd"), name)
        label = sitk.Resample(sitk.ReadImage("new/head-6/label.nii.gz") == value, mask, sitk.Transform(), 1, 0)
        found, true = (sitk.GetArrayFromImage(image) > 0 for image in (mask, label))
        assert 2 * np.sum(found & true) / (found.sum() + true.sum()) > 0.7, name
    assert (truth == 1).any()
    assert Path("result/mandible.stl").is_file()
    objects = sitk.ConnectedComponent(read_segmentation(Path("result/segmentation.seg.nrrd"), "mandible"), True)
    assert sitk.GetArrayViewFromImage(objects).max() <= 2
    record = json.loads(Path("result/record.json").read_text(encoding="utf-8"))
    assert record["structures"]["mandible"]["keep_largest"] == 2


def test_the_pages_table_of_presets_is_that_of_the_code() -> None:
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in PAGE.splitlines()
        if re.match(r"\| `\w+` \| (yes|no)", line)
    ]
    said = {
        name.strip("`"): (bone == "yes", float(above), keep, bool(never)) for name, bone, above, keep, never in rows
    }
    assert said == {
        name: (
            preset.named.kind == "seen",
            preset.named.above,
            str(preset.named.keep_largest or "all"),
            preset.forbidden == MIRRORS,
        )
        for name, preset in STRUCTURES_OF_EKMAN.items()
    }


def configured(*lines: str) -> config.Training:
    table = config.tomllib.loads('name = "x"\n[networks]\njaw = ["mandible", "teeth"]\n' + "\n".join(lines))
    return config.parse(table)


def test_what_is_like_a_structure_of_ekmans_takes_what_it_does_not_say_itself() -> None:
    found = configured("[structures.mandible]", 'like = "mandible"', "above = 0.4")
    assert found.structures["mandible"] == config.Named(
        kind="seen", like="mandible", code=("91609006", "SCT", "Mandible"), above=0.4, keep_largest=1
    )
    assert found.forbidden == {"mandible": MIRRORS}


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        (("[structures.mandible]", 'like = "jaw"'), "orbit, eyes, mandible, cranium, skeleton"),
        (("[structures.mandible]", "above = 1.0"), "a limit from 0 to 1"),
        (("[structures.mandible]", "keep_largest = -1"), "0 objects or more"),
        (("[structures.teeth]", 'touches = "skull"'), "must name another class"),
        (("[structures.teeth]", 'touches = "teeth"'), "must name another class"),
    ],
)
def test_structures_that_make_no_sense_are_refused(lines: tuple[str, ...], word: str) -> None:
    with pytest.raises(InputError, match=word):
        configured(*lines)


def test_only_the_largest_objects_and_those_that_touch_are_kept() -> None:
    """Two blocks of jaw, of which the larger is kept; teeth on it, and teeth on nothing."""
    jaw, teeth = np.zeros((2, 20, 20, 40), np.uint8)
    jaw[2:12, 2:12, 2:16] = jaw[2:12, 2:12, 24:34] = 200
    teeth[12:18, 2:12, 2:12] = teeth[12:18, 2:12, 24:34] = 200
    jaw[6, 6, 6] = 0
    scan = sitk.GetImageFromArray(np.full(jaw.shape, 50, np.int16))
    grid = working_grid(scan, 1.0)
    fields = {"jaw": on_grid(jaw, scan), "teeth": on_grid(teeth, scan)}
    structures = {
        "jaw": described("jaw", kind="soft tissue", keep_largest=1),
        "teeth": described("teeth", kind="soft tissue", touches="jaw"),
    }
    limits = Limits({"jaw": 0.5, "teeth": 0.5}, None)
    found = ConsensusBone(scan, scan, grid, fields, limits, structures)
    masks = {name: sitk.GetArrayFromImage(mask) > 0 for name, mask in found.classes(found.bone).items()}
    assert masks["jaw"].sum() == 10 * 10 * 14
    assert not masks["jaw"][..., 20:].any()
    np.testing.assert_array_equal(masks["teeth"], (teeth > 0) & (np.arange(40) < 20))
    assert sitk.GetArrayFromImage(found.probabilities["jaw"])[4, 4, 30] == 200, "what is kept is the network's own"
