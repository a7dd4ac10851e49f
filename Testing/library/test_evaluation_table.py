"""Observers, paired comparisons, and tables of many cases."""

import csv
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib.errors import Cancelled, InputError, OutputError
from OrbitalSegLib.evaluation.figures import badness, evaluate
from OrbitalSegLib.evaluation.observers import agreement, consensus, pairwise, placed
from OrbitalSegLib.evaluation.paired import compare
from OrbitalSegLib.evaluation.pictures import can_draw, draw_all
from OrbitalSegLib.evaluation.table import Row, Table, evaluate_cases, find_cases, write_tables
from OrbitalSegLib.evaluation.walls import wall_figures, walls_of_phantom
from OrbitalSegLib.phantom import Anatomy, orbits_grid, wall_midsurfaces

pytestmark = pytest.mark.base


def box(low: int, high: int, size: int = 24) -> sitk.Image:
    """A cube from `low` to below `high` along each axis."""
    voxels = np.zeros((size, size, size), np.uint8)
    voxels[low:high, low:high, low:high] = 1
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((0.5, 0.5, 1.0))
    return image


PEOPLE = {"anna": box(4, 16), "ben": box(4, 17), "carla": box(5, 16)}


def test_agreement_is_symmetric():
    assert agreement(PEOPLE["anna"], PEOPLE["ben"]) == agreement(PEOPLE["ben"], PEOPLE["anna"])
    found = pairwise(PEOPLE)
    assert set(found) == {("anna", "ben"), ("anna", "carla"), ("ben", "carla")}
    assert found["anna", "ben"].dice == pytest.approx(2 * 12**3 / (12**3 + 13**3))


def test_the_consensus_of_three_follows_the_majority_and_weighs_the_raters():
    found = consensus(PEOPLE)
    assert np.array_equal(sitk.GetArrayFromImage(found.mask), sitk.GetArrayFromImage(PEOPLE["anna"]))
    assert found.mask.IsSameImageGeometryAs(PEOPLE["anna"])
    assert found.raters["anna"].sensitivity > 0.999
    assert found.raters["anna"].specificity > 0.999
    assert found.raters["carla"].sensitivity == pytest.approx((11 / 12) ** 3, abs=0.01)
    assert found.raters["ben"].specificity < 0.8


def test_the_consensus_is_that_of_simpleitk_on_the_voxels_that_count():
    region = sitk.GetImageFromArray(np.zeros((24, 24, 24), np.uint8))
    region.CopyInformation(PEOPLE["anna"])
    region[2:20, 3:20, 4:20] = 1
    cut = [image[2:20, 3:20, 4:20] for image in PEOPLE.values()]
    found = sitk.GetArrayFromImage(consensus(PEOPLE, region).probability[2:20, 3:20, 4:20])
    assert found == pytest.approx(sitk.GetArrayFromImage(sitk.STAPLE(cut, 1.0)), abs=1e-6)


def test_a_method_is_placed_among_the_observers():
    good, bad = box(4, 16), box(8, 20)
    places = placed(PEOPLE, good)
    assert list(places) == ["anna", "ben", "carla", "method"]
    assert places["method"].with_consensus.dice == 1
    assert places["method"].with_others.dice >= min(places[name].with_others.dice for name in PEOPLE)
    worse = placed(PEOPLE, bad, name="mine")["mine"]
    assert worse.with_others.dice < min(places[name].with_others.dice for name in PEOPLE)
    assert worse.with_others.average_symmetric_mm > places["method"].with_others.average_symmetric_mm


def test_two_observers_are_judged_by_each_other():
    two = {name: PEOPLE[name] for name in ("anna", "ben")}
    places = placed(two, box(4, 16))
    assert places["anna"].with_others == places["anna"].with_consensus == agreement(*two.values())
    with pytest.raises(ValueError, match="two observers"):
        placed({"anna": PEOPLE["anna"]}, box(4, 16))


def test_nothing_can_be_agreed_on_nothing():
    with pytest.raises(InputError) as raised:
        consensus({"anna": box(3, 3), "ben": box(3, 3)})
    assert raised.value.code == "empty-result"


@pytest.mark.parametrize("count", [1, 2, 5, 9, 20, 45])
def test_wilcoxon_is_that_of_scipy(count):
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(count)
    first, second = rng.normal(0.3, size=count), rng.normal(size=count)
    theirs = stats.wilcoxon(first, second, method="exact")
    found = compare(first, second)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    ranks = stats.rankdata(abs(first - second))
    assert found.effect == pytest.approx((ranks * np.sign(first - second)).sum() / ranks.sum())
    assert (found.pairs, found.different) == (count, count)
    assert found.median_difference == pytest.approx(np.median(first - second))


def test_wilcoxon_with_ties_is_that_of_all_signs():
    stats = pytest.importorskip("scipy.stats")
    differences = np.array([1.0, 1, -1, 2, 2, -3, 4])
    ranks = stats.rankdata(abs(differences))
    observed = ranks[differences > 0].sum()
    sums = np.array([np.dot(ranks, signs) for signs in itertools.product((0, 1), repeat=len(ranks))])
    expected = min(1, 2 * min((sums <= observed).mean(), (sums >= observed).mean()))
    assert compare(differences, np.zeros(7)).p_value == pytest.approx(expected)


def test_pairs_that_do_not_differ_or_lack_a_value_are_left_out():
    found = compare([1.0, 2.0, np.nan, 3.0, np.inf], [1.0, 1.0, 5.0, 1.0, np.inf])
    assert (found.pairs, found.different, found.effect) == (4, 2, 1.0)
    assert found.p_value == 0.5
    same = compare([1.0, 2.0], [1.0, 2.0])
    assert same.p_value == 1
    assert np.isnan(same.effect)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three cases, two methods; the third case lacks one method; a folder beside them that is no case."""
    root = tmp_path_factory.mktemp("cases")
    for number, name in enumerate(("one", "two", "three")):
        (root / name).mkdir()
        sitk.WriteImage(box(4, 16), str(root / name / "truth.nrrd"))
        sitk.WriteImage(box(4, 16 - number), str(root / name / "result-small.nii.gz"))
        if name != "three":
            sitk.WriteImage(box(4, 17), str(root / name / "result-large.mha"))
    sitk.WriteImage(sitk.Cast(box(4, 16), sitk.sitkInt16) * 1250 - 1000, str(root / "one" / "ct.nrrd"))
    (root / "notes").mkdir()
    (root / "readme.txt").write_text("no case")
    return root


@pytest.fixture(scope="module")
def table(folder):
    return evaluate_cases(find_cases(folder))


def test_a_folder_of_cases_gives_a_row_for_each_result(folder, table):
    assert [(row.case, row.method) for row in table.rows] == [
        ("one", "large"),
        ("one", "small"),
        ("three", "small"),
        ("two", "large"),
        ("two", "small"),
    ]
    assert table.rows[1].figures["whole_dice"] == 1
    assert table.values("small", "thin_dice") == pytest.approx({"one": 1, "two": np.nan, "three": np.nan}, nan_ok=True)
    assert "walls_closed_thin" not in table.figures
    assert find_cases(folder)[0].ct is not None
    truth, result = box(4, 16), box(4, 17)
    assert table.rows[0].figures["assd_mm"] == evaluate(truth, result)["assd_mm"]


def test_mean_and_spread_leave_out_what_has_no_value(table):
    found = table.summary("small", "whole_dice")
    values = list(table.values("small", "whole_dice").values())
    assert (found.mean, found.sd) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert (found.lowest, found.highest, found.cases) == (min(values), 1.0, 3)
    assert table.summary("small", "thin_dice").cases == 1
    assert np.isnan(table.summary("small", "thin_dice").sd)
    assert table.summary("small", "no-such-figure").cases == 0


def test_an_infinite_distance_is_not_left_out():
    rows = [Row(str(n), "m", {"hd95_mm": value}) for n, value in enumerate((1.0, np.inf))]
    found = Table(tuple(rows)).summary("m", "hd95_mm")
    assert found.mean == found.highest == np.inf
    assert np.isnan(found.sd)


def test_the_worst_case_is_named(table):
    assert table.worst("small").case == "three"
    assert table.worst("small", "hd95_mm").case == "three"
    assert table.worst("small", "thin_dice").case == "one", "a case without a value is no candidate"


def test_the_worse_of_two_values():
    assert badness("thin_dice", 0.1) > badness("thin_dice", 0.9)
    assert badness("hd95_mm", 2.0) > badness("hd95_mm", 1.0)
    assert badness("signed_median_mm", -2.0) > badness("signed_median_mm", 1.0)
    assert badness("walls_closed_floor", 0.1) > badness("walls_closed_floor", 0.9)
    assert badness("holes_closed_floor", 0.9) > badness("holes_closed_floor", 0.1)


def test_methods_are_compared_on_the_cases_that_both_have(table):
    [(names, found)] = table.comparisons("whole_false_positive").items()
    assert names == ("large", "small")
    assert (found.pairs, found.effect, found.p_value) == (2, 1.0, 0.5)


def test_the_tables_can_be_read_back(table, tmp_path):
    write_tables(table, tmp_path)
    with (tmp_path / "cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    assert float(rows[2]["whole_dice"]) == pytest.approx(table.rows[2].figures["whole_dice"], rel=1e-5)
    assert rows[2]["thin_dice"] == ""
    with (tmp_path / "summary.csv").open(newline="") as file:
        [dice] = [r for r in csv.DictReader(file) if (r["method"], r["figure"]) == ("small", "whole_dice")]
    assert (dice["worst_case"], dice["cases"]) == ("three", "3")
    assert (tmp_path / "comparisons.csv").is_file()
    with pytest.raises(OutputError):
        write_tables(table, tmp_path / "no such folder")


def test_a_folder_without_cases_is_refused(tmp_path):
    for place in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(InputError) as raised:
            find_cases(place)
        assert raised.value.code == "no-such-input"


def test_a_bad_case_is_named_by_its_number(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        sitk.WriteImage(box(4, 16), str(tmp_path / name / "truth.nrrd"))
        sitk.WriteImage(box(4, 16), str(tmp_path / name / "result.nrrd"))
    (tmp_path / "b" / "result.nrrd").write_text("no image")
    with pytest.raises(InputError, match="Case 2 of 2") as raised:
        evaluate_cases(find_cases(tmp_path))
    assert raised.value.code == "unreadable"
    assert str(tmp_path) not in raised.value.text


def test_pictures_are_drawn(folder, table, tmp_path):
    assert can_draw()
    draw_all(table, find_cases(folder), tmp_path)
    names = ("boxes.png", "worst-large.png", "worst-small.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    for name in names:
        pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / name)))[..., :3].astype(int)
        assert pixels.shape[1] > 600
        assert pixels.std() > 10
    orange = np.abs(pixels - (0xFF, 0x6A, 0x28)).sum(axis=-1) < 40
    assert orange.sum() > 50, "the result's outline is drawn"


def test_every_figure_stands_in_the_page():
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    truth = box(4, 16)
    for figure in evaluate(truth, box(4, 17), sitk.Cast(truth, sitk.sitkInt16)):
        name = figure.removeprefix("whole_").removeprefix("cortical_").removeprefix("thin_").removeprefix("result_")
        assert f"`{name}`" in page or f"`truth_{name}`" in page, figure
    points = walls_of_phantom(wall_midsurfaces(Anatomy(), 2.0))
    for figure in wall_figures(points, orbits_grid(Anatomy(), 2.0)).figures():
        assert (
            f"`{re.sub('_(all|thin|floor|medial|roof|lateral)', '_WALL', re.sub('[0-9.]+_mm', 'T_mm', figure))}`"
            in page
        )
        assert (re.search(r"from_([0-9.]+)_mm", figure) or ["", "0"])[1] in page


def test_work_says_how_far_it_is_and_can_be_stopped(folder):
    heard: list[float] = []
    cases = find_cases(folder)
    evaluate_cases(cases, heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1
    assert len(heard) > 3 * len(cases)

    def stop(fraction: float) -> None:
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        evaluate_cases(cases, stop)
