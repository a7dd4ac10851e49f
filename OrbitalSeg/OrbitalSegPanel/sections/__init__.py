"""The sections of the panel in the order of the work: one file each, one shape for all."""

from OrbitalSegPanel.sections.correct import CorrectSection
from OrbitalSegPanel.sections.export import ExportSection
from OrbitalSegPanel.sections.learn import LearnSection
from OrbitalSegPanel.sections.method import MethodSection
from OrbitalSegPanel.sections.orbits import OrbitsSection
from OrbitalSegPanel.sections.reconstruction import ReconstructionSection
from OrbitalSegPanel.sections.region import RegionSection
from OrbitalSegPanel.sections.review import ReviewSection
from OrbitalSegPanel.sections.scan import ScanSection
from OrbitalSegPanel.sections.segment import SegmentSection
from OrbitalSegPanel.sections.steps import StepsSection
from OrbitalSegPanel.sections.threshold import ThresholdSection

SECTIONS = (
    ScanSection,
    RegionSection,
    MethodSection,
    SegmentSection,
    ThresholdSection,
    CorrectSection,
    OrbitsSection,
    ReconstructionSection,
    ExportSection,
    ReviewSection,
    LearnSection,
    StepsSection,
)

__all__ = ["SECTIONS"]
