"""From a recipe to a package: every stage goes on where it was, and the package says what it was made from."""

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("typer")

from test_training_validation import case_with_a_wall
from typer.testing import CliRunner

from OrbitalSegLib.cli import app
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.files import alone
from OrbitalSegLib.networks import package
from OrbitalSegLib.training import loop, release
from OrbitalSegLib.training.cases import write_case

pytestmark = pytest.mark.learn

CONFIGURATION = """
name = "tiny"
channels = [4, 8]
patch = 16
batch = 4
steps = 100
checkpoint_steps = 4
keep_steps = 4
precision = "fp32"
[networks]
cortical = ["cortical"]
thin = ["thin"]
single = ["bone"]
[sampling]
offset = 4
places = { wall = 0.6, hole = 0.2, anywhere = 0.2 }
"""

RECIPE = """
name = "tiny-bone"
version = "1.2.3"
configuration = "{configuration}"
steps = 8
groups = [["cortical", "thin"], ["single"]]
[training]
sheet = [1, 3]
[validation]
sheet = [7, 8]
[validation_settings]
fracture_share = 1.0
"""


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A work folder in which templates and cases are there already, and a recipe beside it."""
    work = tmp_path / "work"
    with alone(work, lambda _folder: True):
        pass
    (work / "templates" / "sheet").mkdir(parents=True)
    (work / "templates" / "sheet" / "template.json").write_text("{}")
    for side, seeds in (("cases", (1, 2)), ("validation", (7,))):
        (work / side).mkdir()
        for seed in seeds:
            write_case(case_with_a_wall(seed), work / side / f"sheet-{seed:05d}")
    (tmp_path / "tiny.toml").write_text(CONFIGURATION)
    (tmp_path / "recipe.toml").write_text(RECIPE.format(configuration=tmp_path / "tiny.toml"))
    return tmp_path


def run(*words: object) -> None:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output


def train(folder: Path, *words: object) -> None:
    run("train", folder / "recipe.toml", "-o", folder / "work", *words)


@pytest.mark.slow
def test_a_recipe_becomes_a_package_that_says_where_it_comes_from(made: Path) -> None:
    card = made / "card.md"
    card.write_text("Not for use.")
    train(made)
    words = ("--run", made / "work", "--card", card, "--commit", "abcdef0", "--machine", "a test")
    run("package", made / "recipe.toml", *words, "-o", made / "out")
    found = package.read(made / "out")
    assert found.name == "tiny-bone"
    assert set(found.networks) == {"cortical", "thin", "single"}
    assert found.provenance["data"] == [
        "2 synthetic heads of the template sheet, seeds 1 to 2, for training",
        "1 synthetic heads of the template sheet, seeds 7 to 7, for validation",
    ]
    assert found.provenance["commit"] == "abcdef0"
    assert found.networks["cortical"].inferred_above is None
    assert (made / "out" / "card.md").read_text() == "Not for use."
    judged = sorted(path.name for path in (made / "work" / "choice").iterdir())
    assert judged == [f"{name}-{step:06d}.json" for name in ("cortical-thin", "single") for step in (4, 8)]


def test_what_is_trained_already_is_not_trained_again(made: Path) -> None:
    train(made, "--network", "thin")
    weights = made / "work" / "run" / "thin" / "weights-000008.pt"
    before = weights.stat().st_mtime_ns
    train(made, "--network", "thin")
    assert weights.stat().st_mtime_ns == before
    assert not (made / "work" / "run" / "single").exists()


def test_cases_are_taken_in_when_the_arrivals_say(made: Path) -> None:
    (made / "recipe.arrivals.csv").write_text("network,step,case\nthin,0,sheet-00002\nthin,3,sheet-00001\n")
    train(made, "--network", "thin")
    assert loop.arrivals(made / "work" / "run" / "thin") == [(0, "sheet-00002"), (3, "sheet-00001")]


def test_a_recipe_that_lacks_something_is_refused(made: Path) -> None:
    (made / "recipe.toml").write_text('name = "x"')
    with pytest.raises(InputError) as caught:
        release.load(made / "recipe.toml")
    assert caught.value.code == "invalid-config"


def test_the_shipped_recipe_can_be_read() -> None:
    recipe = release.load(release.RECIPES / "orbital-bone-1.toml")
    assert recipe.networks == ["cortical", "thin", "single"]
    assert set(recipe.networks) == set(recipe.configured().networks)
    sides = [{(name, seed) for name, ends in side.items() for seed in range(*ends)}
             for side in (recipe.training, recipe.validation)]  # fmt: skip
    assert not sides[0] & sides[1]
