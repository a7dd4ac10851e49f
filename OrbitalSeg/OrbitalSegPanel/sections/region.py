"""2. Region: what part of the scan is segmented."""

from slicer.i18n import tr as _

from OrbitalSegPanel import volumes
from OrbitalSegPanel.sections.section import Panel, Section, Selector, choose, fill
from OrbitalSegPanel.settings import ROI, VOLUME


class RegionSection(Section):
    """The orbits, the whole scan, or a box."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        regions = [
            (_("Both orbits"), "auto"),
            (_("Right orbit"), "right"),
            (_("Left orbit"), "left"),
            (_("Whole scan"), "whole"),
            (_("A box"), "roi"),
        ]
        fill(self.ui.regionBox, regions)
        self.ui.regionBox.connect("currentIndexChanged(int)", self._region_chosen)
        self._roi = Selector(self.ui.roiSelector, panel, ROI, self._roi_chosen)
        self.ui.roiButton.connect("clicked(bool)", self._place_roi)

    def refresh(self) -> None:
        region, roi = self.settings["region"], self.settings.reference(ROI)
        choose(self.ui.regionBox, region)
        self._roi.refresh()
        self.ui.roiSelector.setEnabled(region == "roi")
        self.ui.roiButton.setEnabled(self.settings.reference(VOLUME) is not None)
        turned = region == "roi" and roi is not None and volumes.is_turned(roi)
        self.ui.roiSelectorLabel.setText(_("Box around the turned one:") if turned else _("&Box:"))

    def _region_chosen(self, index: int) -> None:
        self.settings["region"] = self.ui.regionBox.itemData(index)
        self.panel.refresh()

    def _roi_chosen(self, _node) -> None:
        self.panel.refresh()

    def _place_roi(self) -> None:
        self.logic.add_roi()
        self.panel.refresh()
