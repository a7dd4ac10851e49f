"""2. Region: what part of the scan is segmented."""

from slicer.i18n import tr as _

from OrbitalSegPanel import volumes
from OrbitalSegPanel.sections.section import Panel, Section, choose, fill, quiet
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
        self.ui.roiSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._roi_chosen)
        self.ui.roiButton.connect("clicked(bool)", self._place_roi)

    def refresh(self) -> None:
        region, roi = self.settings["region"], self.settings.reference(ROI)
        choose(self.ui.regionBox, region)
        with quiet(self.ui.roiSelector):
            self.ui.roiSelector.setCurrentNode(roi)
        self.ui.roiSelector.setEnabled(region == "roi")
        self.ui.roiButton.setEnabled(self.settings.reference(VOLUME) is not None)
        turned = region == "roi" and roi is not None and volumes.is_turned(roi)
        self.ui.roiSelectorLabel.setText(_("Box around the turned one:") if turned else _("&Box:"))

    def _region_chosen(self, index: int) -> None:
        self.settings["region"] = self.ui.regionBox.itemData(index)
        self.panel.refresh()

    def _roi_chosen(self, node) -> None:
        self.settings.refer(ROI, node)
        self.panel.refresh()

    def _place_roi(self) -> None:
        self.logic.add_roi()
        self.panel.refresh()
