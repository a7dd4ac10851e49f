"""What the panel does with the scene and the worker, without a widget."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import slicer

from OrbitalSegLib.errors import OrbitalSegError
from OrbitalSegLib.methods import DEFAULT_METHOD, METHODS, Method
from OrbitalSegPanel import conditions, exporting, jobs, results, segments, volumes
from OrbitalSegPanel.private import PrivateFolder
from OrbitalSegPanel.process import Line, Outcome, Python
from OrbitalSegPanel.review import Review
from OrbitalSegPanel.runs import Runs
from OrbitalSegPanel.settings import PROBABILITY, ROI, SEGMENTATION, VOLUME, Settings
from OrbitalSegPanel.thresholds import Thresholds

PHANTOM, SEGMENT, EXPORT, RECORD, INSTALL = "phantom", "segment", "export", "record", "install"
"""Names of work."""

READABLE = (OSError, ValueError, RuntimeError, OrbitalSegError)
"""What a result that cannot be read raises."""


class Listener(Protocol):
    """Who hears of the work: the widget."""

    def heard(self, line: Line) -> None:
        """A line of the worker."""

    def changed(self) -> None:
        """Work has started or ended."""

    def finished(self, name: str, outcome: Outcome, said: str) -> None:
        """Work has ended; `said` is what there is to say of a success."""


class PanelLogic:
    """`python` runs the workers; `folder` takes their private folders.

    `save_state`, which the widget sets, lets one undo bring back what a segmentation holds now.
    """

    def __init__(self, python: Python, folder: Path) -> None:
        self.python = python
        self.folder = folder
        self.listener: Listener | None = None
        self.save_state: Callable[[Any], None] = lambda _segmentation: None
        self.runs = Runs(folder, self._heard, self._changed)
        self.warnings: list[str] = []
        self.exported = exporting.Exported(Path())
        self.record_folder = Path()
        self._kept: PrivateFolder | None = None
        self._thresholds: Thresholds | None = None

    @property
    def settings(self) -> Settings:
        return Settings(self.getParameterNode())

    @property
    def method(self) -> Method:
        name = self.settings["method"]
        return METHODS[name if name in METHODS else DEFAULT_METHOD]

    # -- the scene ----------------------------------------------------------------------------------------------------

    def region(self) -> Any:
        """The region as a job says it. Raises `ValueError` where a box is wanted and there is none."""
        settings = self.settings
        if settings["region"] != "roi":
            return settings["region"]
        roi = settings.reference(ROI)
        if roi is None:
            raise ValueError("Choose a box, or another region.")
        return volumes.box_of(roi)

    def add_roi(self) -> Any:
        """A box of the size of both orbits, in the middle of the volume."""
        roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Orbit box")
        roi.CreateDefaultDisplayNodes()
        bounds = [0.0] * 6
        self.settings.reference(VOLUME).GetRASBounds(bounds)
        roi.SetCenterWorld(*[(bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3)])
        roi.SetSizeWorld(120, 80, 70)
        self.settings.refer(ROI, roi)
        self.settings["region"] = "roi"
        return roi

    # -- segmenting ---------------------------------------------------------------------------------------------------

    def start_phantom(self) -> None:
        """Make a practice scan; it becomes the chosen volume."""

        def done(outcome: Outcome, private: PrivateFolder) -> bool:
            if outcome.succeeded:
                try:
                    with results.all_or_nothing():
                        volume = conditions.series_as_volume(private.path / jobs.RESULT / "series", "Practice scan")
                except READABLE as error:
                    outcome = Outcome(None, "unreadable", f"The practice scan could not be read: {error}")
                else:
                    self.settings.refer(VOLUME, volume)
            self._finished(PHANTOM, outcome, "The practice scan is in the scene: a head by formula, no patient.")
            return False

        self._start(PHANTOM, lambda folder: self.python.start(jobs.phantom(folder), folder), done)

    def edited(self) -> list[str]:
        """Names of the segments of a run that were edited since."""
        target = self.settings.reference(SEGMENTATION)
        if target is None:
            return []
        return [target.GetSegmentation().GetSegment(identity).GetName() for identity in segments.edited(target)]

    def start_segment(self, replace_edited: bool = False) -> None:
        """Segment the chosen volume. What a person edited is replaced only if `replace_edited` allows it.

        Raises `ValueError` for a volume or a region that cannot be used.
        """
        settings, method = self.settings, self.method
        volume = settings.reference(VOLUME)
        if volume is None:
            raise ValueError("Choose a CT first.")
        region, target = self.region(), settings.reference(SEGMENTATION)
        before = _state_of(target)
        touchable = replace_edited or not self.edited()
        name = f"{volume.GetName()}, orbital bone"

        def prepare(folder: Path) -> Any:
            volumes.write(volumes.placed(volume).image, folder / jobs.INPUT)
            job = jobs.segment(folder, settings, method, region, conditions.said_of(volume))
            return self.python.start(job, folder)

        def done(outcome: Outcome, private: PrivateFolder) -> bool:
            if not outcome.succeeded:
                self._finished(SEGMENT, outcome)
                return False
            alive = target is not None and target.GetScene() is not None
            into = target if alive and touchable and _state_of(target) == before else None
            try:
                found = results.load(
                    private.path / jobs.RESULT, name, into, lambda: self.save_state(into), self.settings
                )
            except READABLE as error:
                self._finished(SEGMENT, Outcome(None, "unreadable", f"The result could not be read: {error}"))
                return False
            self.forget()
            self._kept = private
            self.settings["summary"] = outcome.result["summary"] if outcome.result else {}
            said = "The segments are in the scene."
            if target is not None and found is not target:
                said += " The earlier segmentation was left alone; this result is a new one."
            self._finished(SEGMENT, outcome, said)
            return True

        self._start(SEGMENT, prepare, done)

    def judgement(self) -> list[str]:
        """Whether the result in the scene can be trusted, and why, as the worker judged it [ISO/IEC 3532-2 12]."""
        judged = self.settings["summary"].get("monitoring")
        return [f"Verdict: {judged['verdict']}.", *judged["reasons"]] if judged else []

    def start_install(self, requirements: list[str]) -> None:
        """Install Python packages, from a folder of wheels where one is chosen."""
        wheels = self.settings["wheels"]

        def done(outcome: Outcome, _private: PrivateFolder) -> bool:
            self._finished(INSTALL, outcome, "The packages are installed.")
            return False

        self._start(
            INSTALL,
            lambda folder: self.python.install(requirements, Path(wheels) if wheels else None, folder),
            done,
        )

    # -- thresholds ---------------------------------------------------------------------------------------------------

    def thresholds(self) -> Thresholds | None:
        """The kept probabilities of the result in the scene, ready to be thresholded; None where there are none."""
        settings = self.settings
        nodes, target, volume = (
            settings.references(PROBABILITY),
            settings.reference(SEGMENTATION),
            settings.reference(VOLUME),
        )
        record = results.record_of(settings)
        if not nodes or target is None or volume is None or record is None:
            self._thresholds = None
        elif self._thresholds is None or not self._thresholds.are_of(nodes, target):
            self._thresholds = Thresholds(nodes, target, volume, results.region_of(record), self.save_state)
        return self._thresholds

    def move_limits(self, limits: dict[str, float]) -> None:
        """Show bone with other limits of probability: no network runs again."""
        found = self.thresholds()
        if found is not None:
            found.move(limits)
            self.settings["limits"] = limits

    # -- export -------------------------------------------------------------------------------------------------------

    def start_export(self) -> None:
        """Write the chosen segments into the chosen folder. Raises `ValueError` for a choice that makes no sense."""
        settings = self.settings
        target = settings.reference(SEGMENTATION)
        plan = exporting.plan(settings, results.record_of(settings), target)
        self.exported = exporting.Exported(plan.folder)
        if plan.form in exporting.VOXEL_FORMATS:
            self._export_voxels(plan, target)
        else:
            self._export_surfaces(plan, target, list(plan.segments))

    def _export_voxels(self, plan: exporting.Plan, target: Any) -> None:
        private = PrivateFolder(self.folder)
        try:
            self.exported.files = plan.write_voxels(target, private.path)
        finally:
            private.remove()
        self._finished(EXPORT, Outcome({}), self._exported_sentence())

    def _export_surfaces(self, plan: exporting.Plan, target: Any, left: list[str]) -> None:
        """One segment after the other, each in a run of its own."""
        segment = left[0]

        def prepare(folder: Path) -> Any:
            plan.save(target, folder)
            volume = self.settings.reference(VOLUME)
            if volume is not None:
                volumes.write(volumes.placed(volume).image, folder / jobs.INPUT)
            return self.python.start(plan.job(folder, segment, volume is not None), folder)

        def done(outcome: Outcome, private: PrivateFolder) -> bool:
            if outcome.succeeded and outcome.result:
                try:
                    self.exported.files += plan.take(private.path / jobs.RESULT, segment)
                except READABLE as error:
                    outcome = Outcome(None, "cannot-write", str(error))
                else:
                    self.exported.quality[segment] = outcome.result["summary"].get("surface", {})
            if outcome.succeeded and left[1:]:
                self._export_surfaces(plan, target, left[1:])
            else:
                self._finished(EXPORT, outcome, self._exported_sentence())
            return False

        self._start(EXPORT, prepare, done)

    def _exported_sentence(self) -> str:
        count = len(self.exported.files)
        return f"{count} {'file' if count == 1 else 'files'} written and read back."

    # -- review and record --------------------------------------------------------------------------------------------

    def review(self) -> Review | None:
        """The operator's pass as far as it has come; None where there is nothing to look at."""
        target = self.settings.reference(SEGMENTATION)
        if target is None:
            return None
        return Review.from_json(self.settings["review"]) or _new_review(target)

    def set_review(self, review: Review | None) -> None:
        self.settings["review"] = review.to_json() if review else {}

    def slice_centre(self, number: int) -> list[float]:
        """The middle of a slice of the scan grid, RAS."""
        return segments.slice_centre(self.settings.reference(SEGMENTATION), number)

    def start_record(self) -> None:
        """Write the reviewed result. Raises `ValueError` where there is none, or no folder for it."""
        settings = self.settings
        target, volume = settings.reference(SEGMENTATION), settings.reference(VOLUME)
        parent = settings["recordFolder"]
        if target is None or results.record_of(settings) is None:
            raise ValueError("Segment a scan first: there is no result to write a record of.")
        if not parent or not Path(parent).is_dir():
            raise ValueError("Choose a folder that exists for the record.")
        output = exporting.free_name(Path(parent) / f"orbitalseg-record-{date.today().isoformat()}")

        def prepare(folder: Path) -> Any:
            source = self._kept.path / jobs.RESULT if self._kept else folder / "automatic"
            if self._kept is None:
                results.restore(settings, source)
            exporting.save(target, folder / exporting.EDITED)
            if volume is not None:
                volumes.write(volumes.placed(volume).image, folder / jobs.INPUT)
            job = jobs.review(folder, source, output, settings, self.reviews(), with_ct=volume is not None)
            return self.python.start(job, folder)

        def done(outcome: Outcome, _private: PrivateFolder) -> bool:
            self._finished(RECORD, outcome, "The record is written.")
            return False

        self.record_folder = output
        self._start(RECORD, prepare, done)

    def reviews(self) -> list[dict[str, Any]]:
        """The operator's check and the physician's review, as far as they were made."""
        settings, today = self.settings, date.today().isoformat()
        made = []
        review = Review.from_json(settings["review"])
        if review is not None and review.seen:
            made.append(review.to_contract(settings["operator"], today))
        if settings["physicianOutcome"]:
            made.append(
                {
                    "kind": "physician",
                    "outcome": settings["physicianOutcome"],
                    "by": settings["physician"] or None,
                    "date": today,
                }
            )
        return made

    def missing(self) -> list[str]:
        """What the record still lacks, in words."""
        settings, review = self.settings, Review.from_json(self.settings["review"])
        lacks = {
            "clinical purpose": not settings["purpose"],
            "operator": not settings["operator"],
            "slice-by-slice check": review is None or bool(review.unseen or review.marked),
            "physician's review": not settings["physicianOutcome"],
            "physician": not settings["physician"],
        }
        return [name for name, lacking in lacks.items() if lacking]

    # -- the work -----------------------------------------------------------------------------------------------------

    def cancel(self) -> None:
        self.runs.cancel()

    def poll(self) -> None:
        self.runs.poll()

    def drop(self) -> None:
        """End the work at once, and forget the result's files; the scene is left alone."""
        self.runs.drop()
        self.forget()

    def forget(self) -> None:
        """Remove the files of the last result."""
        if self._kept is not None:
            self._kept.remove()
        self._kept = self._thresholds = None

    def _start(self, name: str, prepare: Callable[[Path], Any], done: Callable[[Outcome, PrivateFolder], bool]) -> None:
        self.warnings = []
        self.runs.start(name, prepare, done)

    def _heard(self, line: Line) -> None:
        if line["event"] == "warning":
            self.warnings.append(str(line["text"]))
        if self.listener:
            self.listener.heard(line)

    def _changed(self) -> None:
        if self.listener:
            self.listener.changed()

    def _finished(self, name: str, outcome: Outcome, said: str = "") -> None:
        if self.listener:
            self.listener.finished(name, outcome, said)


def _state_of(target: Any) -> str:
    """Of a segmentation's voxels: another one after any edit."""
    if target is None or target.GetScene() is None:
        return ""
    identities = target.GetSegmentation().GetSegmentIDs()
    return json.dumps({identity: segments.fingerprint(target, identity) for identity in identities})


def _new_review(target: Any) -> Review | None:
    slices = segments.slices_used(target)
    return Review(*slices) if slices else None
