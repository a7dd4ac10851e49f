"""The seeds of the known anatomies lie where they should: each real head becomes a template, on a coarse grid."""

import pytest

from OrbitalSegLib.training.templates import Compartment
from OrbitalSegLib.training.templates.skull import MASK, SKULL, skull_template
from OrbitalSegLib.training.templates.visible_human import SCAN, VISIBLE_HUMAN, visible_human_template

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("file", "facts", "make"),
    [(MASK, SKULL, skull_template), (SCAN, VISIBLE_HUMAN, visible_human_template)],
    ids=["skull", "visible-human"],
)
def test_a_real_head_becomes_a_template(real_scans, file, facts, make):
    if not (real_scans / file).exists():
        pytest.skip(f"{file.name} is not among the real scans")
    template = make(real_scans, spacing_mm=1.6)
    assert template.licence == facts.licence
    places = {
        "globe_right": Compartment.RIGHT_ORBIT,
        "globe_left": Compartment.LEFT_ORBIT,
    }
    found = {
        name: template.compartment[template.compartment.TransformPhysicalPointToIndex(facts.landmarks_mm[name])]
        for name in places
    }
    assert found == places
