"""5. Threshold: sliders on the probabilities that a result kept."""

from functools import partial
from typing import Any

import ctk
import qt
from slicer.i18n import tr as _

from OrbitalSegLib.errors import OrbitalSegError
from OrbitalSegPanel import results
from OrbitalSegPanel.process import Outcome
from OrbitalSegPanel.sections.section import Panel, Section, empty_layout, quiet
from OrbitalSegPanel.settings import PROBABILITY

REST_MS = 800
"""How long the sliders rest before surfaces are made for 3D: that takes up to some seconds, in which nothing moves."""

TITLES = {"cortical": "Cortical bone above", "thin": "Thin bone above", "single": "Bone above"}


class ThresholdSection(Section):
    """One slider for each network."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._sliders: dict[str, Any] = {}
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)  # all moves that wait become one
        self._timer.connect("timeout()", self._move)
        self._rest = qt.QTimer()
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.connect("timeout()", self.logic.make_surfaces)
        self.ui.resetLimitsButton.connect("clicked(bool)", self._reset)

    def refresh(self) -> None:
        limits = self.settings["limits"]
        ready = (
            bool(limits)
            and bool(self.settings.references(PROBABILITY))
            and results.node_of(self.settings) is not None
            and self.logic.scan() is not None
            and self.logic.runs.running is None
        )
        if set(limits) != set(self._sliders):
            self._build(limits)
        for name, slider in self._sliders.items():
            with quiet(slider):
                slider.value = limits[name]
        self.ui.slidersBox.setEnabled(ready)
        self.ui.resetLimitsButton.setEnabled(ready)
        self.ui.thresholdLabel.setText(
            _(
                "Limits of probability; lower finds more. With other limits than the run's, post-processing is not "
                "repeated and no wall is inferred anew: look for specks, and run again for a clean result."
            )
            if ready
            else _("For a result of networks: it keeps its probabilities. Thresholds have none.")
        )

    def finished(self, _name: str, _outcome: Outcome) -> None:
        self._timer.stop()

    def _build(self, limits: dict[str, float]) -> None:
        layout = empty_layout(self.ui.slidersBox)
        self._sliders = {}
        for name in limits:
            slider = ctk.ctkSliderWidget()
            slider.decimals = 2
            slider.minimum, slider.maximum, slider.singleStep = 0.0, 1.0, 0.01
            slider.setObjectName(f"limit_{name}")
            title = _(TITLES.get(name, name))
            slider.setToolTip(_("{title} this probability, 0 to 1.").format(title=title))
            label = qt.QLabel(title + ":")
            label.setBuddy(slider)
            layout.addRow(label, slider)
            slider.connect("valueChanged(double)", partial(self._changed, name))
            self._sliders[name] = slider

    def _changed(self, _name: str, _value: float) -> None:
        self._timer.start()

    def _move(self) -> None:
        self._show({name: round(float(slider.value), 4) for name, slider in self._sliders.items()})

    def _reset(self) -> None:
        if self._show(self.logic.run_limits()):
            self.panel.refresh()

    def _show(self, limits: dict[str, float]) -> bool:
        """Bone with these limits, at once; its surface when the sliders rest."""
        if self.logic.runs.running is not None:
            return False
        try:
            self.logic.move_limits(limits)
        except (ValueError, OSError, OrbitalSegError) as error:
            self.panel.say(str(error))
            return False
        self._rest.start()
        return True
