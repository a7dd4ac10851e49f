"""5. Threshold: sliders on the probabilities that a result kept."""

import contextlib
from functools import partial
from typing import Any

import ctk
import qt
from slicer.i18n import tr as _

from OrbitalSegLib.errors import OrbitalSegError
from OrbitalSegLib.structures import limit_title
from OrbitalSegPanel import results, segments
from OrbitalSegPanel.logic import SEGMENT, SETTLE
from OrbitalSegPanel.process import Line, Outcome
from OrbitalSegPanel.sections.section import Panel, Section, empty_layout, quiet
from OrbitalSegPanel.settings import PROBABILITY, SEGMENTATION

REST_MS = 800
"""How long the sliders rest before the worker makes what a run with these limits makes."""

STEP = 0.01
"""What one click moves, and a slider shows."""


class ThresholdSection(Section):
    """One slider for each network."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._sliders: dict[str, Any] = {}
        self._is_moving = False
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)  # all moves that wait become one
        self._timer.connect("timeout()", self._move)
        self._rest = qt.QTimer()
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.connect("timeout()", self._settle)
        self._ahead = qt.QTimer()
        self._ahead.setSingleShot(True)
        self._ahead.setInterval(0)  # once the section is drawn
        self._ahead.connect("timeout()", self._prepare)
        self.ui.thresholdSection.connect("contentsCollapsed(bool)", self._opened)
        self.ui.resetLimitsButton.connect("clicked(bool)", self._reset)
        self.ui.settleButton.connect("clicked(bool)", self._settle)

    def refresh(self) -> None:
        limits = self.settings["limits"]
        ready = (
            bool(limits)
            and bool(self.settings.references(PROBABILITY))
            and results.node_of(self.settings) is not None
            and self.logic.scan() is not None
            and self.logic.runs.busy in (None, SETTLE)
        )
        if set(limits) != set(self._sliders):
            self._build(limits)
        if not self._is_moving:  # else what somebody has just moved would jump back
            for name, slider in self._sliders.items():
                with quiet(slider):
                    slider.value = limits[name]
        preview = ready and self.logic.is_preview()
        self.ui.slidersBox.setEnabled(ready)
        self.ui.resetLimitsButton.setEnabled(ready and limits != self.settings["runLimits"])
        self.ui.settleButton.setEnabled(preview and self.logic.runs.busy is None)
        if not ready:
            text = _("For a result of networks: it keeps its probabilities. Thresholds have none.")
        elif preview:
            text = _("A preview: specks are not cleared away, no wall is inferred anew, and nothing is shown in 3D.")
        else:
            text = _("Limits of probability; lower finds more. The segments are what a run with these limits makes.")
        self.ui.thresholdLabel.setText(text)

    def heard(self, line: Line) -> None:
        if self.logic.runs.busy == SETTLE and line["event"] == "progress":
            text = _("A preview, until the exact result is there: {percent} %. Cancel keeps the preview.")
            self.ui.thresholdLabel.setText(text.format(percent=int(line["percent"])))

    def finished(self, name: str, _outcome: Outcome) -> None:
        if name == SEGMENT:
            self._timer.stop()
            self._opened(self.ui.thresholdSection.collapsed)

    def cleanup(self) -> None:
        for timer in (self._timer, self._rest, self._ahead):
            timer.stop()

    def _opened(self, collapsed: bool) -> None:
        if not collapsed:
            self._ahead.start()

    def _prepare(self) -> None:
        """Bring the probabilities to the scan now: the first move of a slider need not wait for it."""
        if self.ui.slidersBox.enabled:
            with contextlib.suppress(ValueError, OSError, RuntimeError, OrbitalSegError):  # a move will say it
                self.logic.thresholds()

    def _build(self, limits: dict[str, float]) -> None:
        target = self.settings.reference(SEGMENTATION)
        own_of = {} if target is None else segments.brought(target)
        layout = empty_layout(self.ui.slidersBox)
        self._sliders, self._is_moving = {}, False
        for name in limits:
            slider = ctk.ctkSliderWidget()
            slider.decimals = 2
            slider.minimum, slider.maximum, slider.singleStep = 0.0, 1.0, STEP
            slider.setObjectName(f"limit_{name}")
            own = own_of.get(name)
            title = _("{name} above").format(name=own.title) if own else _(limit_title(name))
            slider.setToolTip(_("{title} this probability, 0 to 1.").format(title=title))
            label = qt.QLabel(title + ":")
            label.setBuddy(slider)
            layout.addRow(label, slider)
            slider.connect("valueChanged(double)", partial(self._changed, name))
            self._sliders[name] = slider

    def _changed(self, _name: str, _value: float) -> None:
        self._is_moving = True
        self._timer.start()

    def _move(self) -> None:
        """A slider that nobody moved stands for its limit, which may have more decimals than it shows."""
        limits, self._is_moving = self.settings["limits"], False
        places = {name: round(float(slider.value), 4) for name, slider in self._sliders.items()}
        self._show({name: limits[name] if abs(p - limits[name]) < 0.51 * STEP else p for name, p in places.items()})

    def _reset(self) -> None:
        self._show(self.settings["runLimits"])

    def _show(self, limits: dict[str, float]) -> None:
        """Bone with these limits, at once; what a run makes of them when the sliders rest."""
        if self.logic.runs.busy not in (None, SETTLE):
            return
        try:
            self.logic.move_limits(limits)
        except (ValueError, OSError, OrbitalSegError) as error:
            self.panel.say(str(error))
            return
        self.refresh()  # only this section: the others take longer than a slider may
        self._rest.start()

    def _settle(self) -> None:
        self._rest.stop()
        if self.logic.runs.busy is None:
            self.try_to(self.logic.start_settle)
