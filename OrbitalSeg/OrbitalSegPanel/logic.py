"""What the panel does with the scene and the worker, without a widget."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import slicer
from slicer.i18n import tr as _

from OrbitalSegLib.errors import OrbitalSegError
from OrbitalSegLib.methods import DEFAULT_METHOD, METHODS, Method
from OrbitalSegLib.structures import BONE, parts_of_surface
from OrbitalSegPanel import exporting, jobs, orbits, origin, reconstruction, results, segments, views, volumes
from OrbitalSegPanel.packages import Package
from OrbitalSegPanel.private import PrivateFolder
from OrbitalSegPanel.process import Line, Outcome, Python
from OrbitalSegPanel.review import Prints, Review
from OrbitalSegPanel.runs import Read, Runs, nothing
from OrbitalSegPanel.settings import PROBABILITY, ROI, SEGMENTATION, VOLUME, Settings
from OrbitalSegPanel.thresholds import Thresholds

CHECK, PHANTOM, SEGMENT, SETTLE, MEASURE = "check", "phantom", "segment", "settle", "measure"
RECONSTRUCT, EXPORT, RECORD, INSTALL = "reconstruct", "export", "record", "install"
COLLECT, FINETUNE = "collect", "finetune"
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


@dataclass(frozen=True)
class Checked:
    """What reading says of the chosen volume."""

    state: tuple[Any, ...]
    """Of the volume, and what was insisted on: another one, and nobody knows any more."""
    warnings: list[str]
    refusal: Outcome | None
    """Why it cannot be segmented."""


class _Reading:
    """Of a result that a run made, from its end until it is in the scene."""

    def __init__(self) -> None:
        self._made: results.Made | None = None

    def made(self, private: PrivateFolder) -> results.Made:
        """What was read of it, and the rest."""
        self._made = self._made or results.Made(private.path / jobs.RESULT)
        return self._made

    def ahead(self, outcome: Outcome, private: PrivateFolder) -> Iterator[None]:
        """Reads it in parts. What cannot be read is asked for once more, by who tells it."""
        with suppress(*READABLE):
            if outcome.succeeded:
                yield from self.made(private).read_ahead()


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
        self._warned: list[Line] = []
        self._checked: Checked | None = None
        self.exported = exporting.Exported(Path())
        self.record_folder = Path()
        self._kept: PrivateFolder | None = None
        self._run: results.Run | None = None
        self._thresholds: Thresholds | None = None
        self._prints: tuple[Any, Prints] = (None, {})
        self._looked: tuple[Any, orbits.Look] = (None, {})

    @property
    def settings(self) -> Settings:
        return Settings(self.getParameterNode())

    @property
    def method(self) -> Method:
        name = self.settings["method"]
        return METHODS[name if name in METHODS else DEFAULT_METHOD]

    @property
    def warnings(self) -> list[str]:
        """What the last work warned of."""
        return [str(line["text"]) for line in self._warned]

    # -- the scene ----------------------------------------------------------------------------------------------------

    def region(self) -> Any:
        """The region as a job says it. Raises `ValueError` where a box is wanted and there is none."""
        settings = self.settings
        if settings["region"] != "roi":
            return settings["region"]
        roi = settings.reference(ROI)
        if roi is None:
            raise ValueError(_("Choose a box, or another region."))
        return volumes.box_of(roi)

    def scan(self) -> Any:
        """The volume that the chosen segmentation is of: that of its run, whatever is chosen now, or the chosen one."""
        result = results.node_of(self.settings)
        return result.GetNodeReference(VOLUME) if result else self.settings.reference(VOLUME)

    def add_roi(self) -> Any:
        """A box of the size of both orbits, around what the slice views show of the volume, or in its middle."""
        roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", _("Orbit box"))
        roi.CreateDefaultDisplayNodes()
        bounds = [0.0] * 6
        self.settings.reference(VOLUME).GetRASBounds(bounds)
        low, high = bounds[::2], bounds[1::2]
        centre = views.centre()
        if centre is None or not all(a <= c <= b for a, c, b in zip(low, centre, high, strict=True)):
            centre = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
        roi.SetCenterWorld(*centre)
        roi.SetSizeWorld(120, 80, 70)
        self.settings.refer(ROI, roi)
        self.settings["region"] = "roi"
        return roi

    # -- the scan -----------------------------------------------------------------------------------------------------

    def choose_volume(self, volume: Any) -> None:
        """Take another volume; what was insisted on of the last one holds for that one alone."""
        self.settings.refer(VOLUME, volume)
        self.settings["greyValues"], self.settings["header"] = False, ""

    def start_check(self) -> None:
        """Let the worker read the chosen volume as a run would, in the background, until other work begins. Raises
        `ValueError` for a volume that cannot be used."""
        volume = self.settings.reference(VOLUME)
        if volume is None or self.runs.busy is not None:
            return
        state = self._state_of_scan(volume)

        def prepare(folder: Path) -> Any:
            volumes.write(volumes.placed(volume).image, folder / jobs.INPUT)
            return self.python.start(jobs.info(folder, self.settings, origin.named(volume)), folder)

        def done(outcome: Outcome, _private: PrivateFolder) -> bool:
            self._note(volume, state, outcome)
            self._finished(CHECK, outcome)
            return False

        self._start(CHECK, prepare, done, yields=True)

    def checked(self) -> Checked | None:
        """What reading says of the chosen volume; None where it was not read as it is now."""
        volume = self.settings.reference(VOLUME)
        if volume is None or self._checked is None or self._checked.state != self._state_of_scan(volume):
            return None
        return self._checked

    def _state_of_scan(self, volume: Any) -> tuple[Any, ...]:
        return volume.GetID(), volumes.moment(volume), json.dumps(jobs.insisted(self.settings))

    def _note(self, volume: Any, state: tuple[Any, ...], outcome: Outcome) -> None:
        """Remember what reading a volume gave."""
        if volume.GetScene() is not None:
            if outcome.succeeded:
                origin.keep_warnings(volume, self._warned)
            self._checked = Checked(state, self.warnings, None if outcome.succeeded else outcome)

    def _said(self, volume: Any) -> jobs.Job:
        """What a job on a result's scan says of it."""
        record = results.record_of(self.settings)
        insisted = record["settings"].get("grey_values") if record else self.settings["greyValues"]
        return {"grey_values": bool(insisted), **origin.known(volume)}

    # -- segmenting ---------------------------------------------------------------------------------------------------

    def start_phantom(self) -> None:
        """Make a practice scan; it becomes the chosen volume."""

        def done(outcome: Outcome, private: PrivateFolder) -> bool:
            if outcome.succeeded:
                try:
                    with results.all_or_nothing():
                        volume = origin.series_as_volume(private.path / jobs.RESULT / "series", "Practice scan")
                except READABLE as error:
                    said = _("The practice scan could not be read: {error}").format(error=error)
                    outcome = Outcome(None, "unreadable", said)
                else:
                    self.choose_volume(volume)
            self._finished(PHANTOM, outcome, _("The practice scan is in the scene: a head by formula, no patient."))
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
            raise ValueError(_("Choose a CT first."))
        region, target = self.region(), settings.reference(SEGMENTATION)
        before, state = _state_of(target), self._state_of_scan(volume)
        touchable = replace_edited or not self.edited()
        bone = {"right": _("bone of the right orbit"), "left": _("bone of the left orbit")}
        name = f"{volume.GetName()}, {bone.get(settings['region'], _('orbital bone'))}"
        notes, reading = [_("The segments are in the scene.")], _Reading()

        def prepare(folder: Path) -> Any:
            placed = volumes.placed(volume)
            notes.extend(filter(None, [placed.note]))
            volumes.write(placed.image, folder / jobs.INPUT)
            job = jobs.segment(folder, settings, method, region, origin.named(volume))
            return self.python.start(job, folder)

        def done(outcome: Outcome, private: PrivateFolder) -> bool:
            if not outcome.succeeded:
                self._finished(SEGMENT, outcome)
                return False
            alive = target is not None and target.GetScene() is not None
            into = target if alive and touchable and _state_of(target) == before else None
            try:
                run = results.load(
                    private.path / jobs.RESULT,
                    name,
                    volume,
                    into,
                    lambda: self.save_state(into),
                    self.settings,
                    reading.made(private),
                )
            except READABLE as error:
                said = _("The result could not be read: {error}").format(error=error)
                self._finished(SEGMENT, Outcome(None, "unreadable", said))
                return False
            self._keep(private, run)
            self._note(volume, state, outcome)
            self.settings["summary"] = outcome.result["summary"] if outcome.result else {}
            if target is not None and into is None:
                notes.append(_("The earlier segmentation was left alone; this result is a new one."))
            self._finished(SEGMENT, outcome, " ".join(notes))
            return True

        self._start(SEGMENT, prepare, done, read=reading.ahead)

    def start_install(self, missing: list[Package]) -> None:
        """Install Python packages, from a folder of wheels where one is chosen."""
        wheels = self.settings["wheels"]

        def done(outcome: Outcome, _private: PrivateFolder) -> bool:
            self._finished(INSTALL, outcome, _("The packages are installed."))
            return False

        self._start(
            INSTALL,
            lambda folder: self.python.install(
                [item.requirement for item in missing],
                Path(wheels) if wheels else None,
                folder,
                0 if wheels else sum(item.download_mb for item in missing),
            ),
            done,
        )

    # -- thresholds ---------------------------------------------------------------------------------------------------

    def thresholds(self) -> Thresholds | None:
        """The kept probabilities of the result in the scene, ready to be thresholded; None where there are none."""
        settings = self.settings
        nodes, target, volume = settings.references(PROBABILITY), settings.reference(SEGMENTATION), self.scan()
        if not nodes or volume is None or results.node_of(settings) is None:
            self._thresholds = None
        elif self._thresholds is None or not self._thresholds.are_of(nodes, target):
            self._thresholds = Thresholds(nodes, target, volume, self._run or self._read_run(), self.save_state)
        return self._thresholds

    def _read_run(self) -> results.Run:
        """What the run made whose result a saved scene kept."""
        private = PrivateFolder(self.folder)
        try:
            return results.read_run(results.Made(self._source(private.path)))
        finally:
            private.remove()

    def move_limits(self, limits: dict[str, float]) -> None:
        """Show a preview of other limits of probability: no network runs again. Raises `ValueError` or `InputError`.

        Limits that are settled meanwhile are no longer asked for.
        """
        found = self.thresholds()
        if found is not None:
            self.settings["limits"] = limits
            if self.runs.running == SETTLE:
                self.runs.drop()
            found.move(limits)

    def is_preview(self) -> bool:
        """Whether the sliders are elsewhere than the limits of the result in the scene."""
        limits = results.limits_in(self.settings)
        return bool(limits) and self.settings["limits"] != limits

    def start_settle(self) -> None:
        """Make what a run with the limits of the preview makes, to the voxel, without its networks."""
        settings, found = self.settings, self.thresholds()
        if found is None or not self.is_preview():
            return
        limits, target, volume = settings["limits"], settings.reference(SEGMENTATION), self.scan()
        record, before, reading = results.record_of(settings), segments.moments(target), _Reading()

        def prepare(folder: Path) -> Any:
            source = self._source(folder)
            scan = source.parent / jobs.INPUT  # what was segmented, as long as this Slicer runs
            if not scan.is_file():
                self._write_scan(volume, scan)
            return self.python.start(jobs.settle(folder, scan, source, record, limits, settings), folder)

        def done(outcome: Outcome, private: PrivateFolder) -> bool:
            if outcome.succeeded:
                outcome = self._still_wanted(outcome, target, before)
            if outcome.succeeded:
                try:
                    made = reading.made(private)
                    run, packed = results.read_run(made), made.packed
                except READABLE as error:
                    said = _("The result could not be read: {error}").format(error=error)
                    outcome = Outcome(None, "unreadable", said)
            if not outcome.succeeded:
                self._finished(SETTLE, outcome)
                return False
            found.take(run)
            found.move(limits)
            segments.remember(target)
            results.exchange(packed, run.limits, settings)
            self._keep(private, run)
            self._thresholds = found
            settings["summary"] = outcome.result["summary"] if outcome.result else {}
            self._finished(SETTLE, outcome, _("The segments are what a run with these limits makes."))
            return True

        self._start(SETTLE, prepare, done, read=reading.ahead)

    def _still_wanted(self, outcome: Outcome, target: Any, before: Any) -> Outcome:
        """A failure where the preview is not there any more as it was."""
        if results.node_of(self.settings) is not None and segments.moments(target) == before:
            return outcome
        return Outcome(None, "edited", _("The segments were edited or deleted meanwhile, and left as they are."))

    def _keep(self, private: PrivateFolder, run: results.Run) -> None:
        """Keep this result, with the scan, instead of the last one."""
        scan = private.path / jobs.INPUT
        if self._kept is not None and not scan.is_file():
            (self._kept.path / jobs.INPUT).replace(scan)
        self.forget()
        self._kept, self._run = private, run

    # -- the orbits' volume -------------------------------------------------------------------------------------------

    def start_measure(self) -> None:
        """Measure the orbits between the segments as they are now. Raises `ValueError` where there is nothing to do."""
        prepare, look = self._of_walls(jobs.orbits), self._measurable()

        def done(outcome: Outcome, private: PrivateFolder) -> bool:
            if outcome.result is not None:
                figures = outcome.result["summary"]
                try:
                    orbits.load(private.path / jobs.RESULT, figures, self.settings)
                except READABLE as error:
                    said = _("The measurement could not be read: {error}").format(error=error)
                    outcome = Outcome(None, "unreadable", said)
                else:
                    self.settings["orbits"] = {"figures": figures, "warnings": self.warnings, "look": look}
            self._finished(MEASURE, outcome, _("The orbits are measured."))
            return False

        self._start(MEASURE, prepare, done)

    def _of_walls(self, job: Callable[[Path, str, str, jobs.Job], jobs.Job]) -> Callable[[Path], Any]:
        """Starts a job about the walls as they are now. Raises `ValueError` where there are none, or no scan."""
        target, volume = self.settings.reference(SEGMENTATION), self.scan()
        if target is None or segments.volume_ml(target, BONE) == 0:
            raise ValueError(_("Segment a scan first: an orbit is measured between its bony walls."))
        if volume is None:
            raise ValueError(_("Choose the CT of the segments first: the orbits are looked for in it."))
        side = results.side_of(results.record_of(self.settings))

        def prepare(folder: Path) -> Any:
            exporting.save(target, folder / exporting.EDITED, orbits.WALLS)
            self._write_scan(volume, folder / jobs.INPUT)
            return self.python.start(job(folder, exporting.EDITED, side or "auto", self._said(volume)), folder)

        return prepare

    def changed_since_measured(self, what: str = "orbits") -> str:
        """What is not as it was when the orbits were measured, or were reconstructed (`reconstruction`): `segments` or
        `scan`; empty where all is."""
        measured = self.settings[what].get("look", {})
        return next((part for part, held in measured.items() if held != self._measurable()[part]), "")

    def _measurable(self) -> orbits.Look:
        target, volume = self.settings.reference(SEGMENTATION), self.scan()
        state = orbits.moment(target, volume)
        if self._looked[0] != state:
            self._looked = (state, orbits.look(target, volume))
        return self._looked[1]

    # -- the walls that were ------------------------------------------------------------------------------------------

    def start_reconstruct(self) -> None:
        """Reconstruct what is missing of the orbits, and put the models to print into the folder of exports.

        Neither the segmentation nor any file is changed. Raises `ValueError` where there is nothing to do.
        """
        prepare, look = self._of_walls(jobs.reconstruct), self._measurable()
        folder = Path(self.settings["exportFolder"])
        if not self.settings["exportFolder"] or not folder.is_dir():
            raise ValueError(_("Choose a folder that exists."))

        def done(outcome: Outcome, private: PrivateFolder) -> bool:
            said = ""
            if outcome.result is not None:
                figures, made = outcome.result["summary"], private.path / jobs.RESULT
                try:
                    files = reconstruction.take(made, folder)
                    reconstruction.load(made, figures, self.settings)
                except READABLE as error:
                    text = _("The reconstruction could not be read: {error}").format(error=error)
                    outcome = Outcome(None, "unreadable", text)
                else:
                    self.settings["reconstruction"] = {"figures": figures, "warnings": self.warnings, "look": look}
                    said = _("Reconstructed; files written and read back: {count}.").format(count=len(files))
            self._finished(RECONSTRUCT, outcome, said)
            return False

        self._start(RECONSTRUCT, prepare, done)

    # -- export -------------------------------------------------------------------------------------------------------

    def start_export(self) -> None:
        """Write the chosen segments into the chosen folder. Raises `ValueError` for a choice that makes no sense."""
        settings = self.settings
        target = settings.reference(SEGMENTATION)
        plan = exporting.plan(settings, results.record_of(settings), target, self.scan())
        self.exported = exporting.Exported(plan.folder)
        if plan.form in exporting.VOXEL_FORMATS:
            self._export_voxels(plan, target)
        elif plan.form == exporting.DICOM:
            self._export_dicom(plan, target)
        else:
            self._export_surfaces(plan, target, list(plan.segments))

    def _export_voxels(self, plan: exporting.Plan, target: Any) -> None:
        private = PrivateFolder(self.folder)
        try:
            self.exported.files = plan.write_voxels(target, private.path)
        finally:
            private.remove()
        self._finished(EXPORT, Outcome({}), self._exported_sentence())

    def _export_dicom(self, plan: exporting.Plan, target: Any) -> None:
        """In the study of the scan, whose files Slicer's database knows."""
        volume = self.scan()
        files = [] if volume is None else origin.dicom_files(volume)
        if not files or volume.GetParentTransformNode() is not None:
            raise ValueError(
                _(
                    "DICOM needs the scan as Slicer imported it from DICOM, without a transform: choose it under CT, "
                    "or another format."
                )
            )
        if results.node_of(self.settings) is None:
            raise ValueError(_("Segment a scan first: DICOM says how its segments were made."))

        def prepare(folder: Path) -> Any:
            plan.save(target, folder)
            source = self._source(folder)
            series = folder / jobs.SERIES
            series.mkdir()
            for number, file in enumerate(files):
                shutil.copyfile(file, series / f"{number:05d}.dcm")
            return self.python.start(
                jobs.dicom(folder, exporting.EDITED, source, plan.segments, self._said(volume)), folder
            )

        def done(outcome: Outcome, private: PrivateFolder) -> bool:
            if outcome.succeeded:
                try:
                    self.exported.files = plan.take_dicom(private.path / jobs.RESULT)
                except READABLE as error:
                    outcome = Outcome(None, "cannot-write", str(error))
            self._finished(EXPORT, outcome, self._exported_sentence())
            return False

        self._start(EXPORT, prepare, done)

    def _source(self, folder: Path) -> Path:
        """The result folder as the run left it: the one that was kept, or the scene's copy in a private folder."""
        if self._kept is not None:
            return self._kept.path / jobs.RESULT
        results.restore(self.settings, folder / "automatic")
        return folder / "automatic"

    def _write_scan(self, volume: Any, path: Path) -> None:
        """Write a volume for the worker, which knows a result's scan by its voxels and by every digit of its grid."""
        image, record = volumes.placed(volume).image, results.record_of(self.settings)
        if record is not None:
            volumes.take_digits(image, record["input"]["grid"])
        volumes.write(image, path)

    def _export_surfaces(self, plan: exporting.Plan, target: Any, left: list[str]) -> None:
        """One segment after the other, each in a run of its own."""
        segment = left[0]

        def prepare(folder: Path) -> Any:
            plan.save(target, folder)
            volume = self.scan()
            if volume is not None:
                self._write_scan(volume, folder / jobs.INPUT)
            unedited = all(results.is_own(self.settings, part) for part in parts_of_surface(segment))
            source = self._source(folder) if unedited else None
            said = None if volume is None else self._said(volume)
            return self.python.start(plan.job(folder, segment, said, source), folder)

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
        return _("Files written and read back: {count}.").format(count=len(self.exported.files))

    # -- review and record --------------------------------------------------------------------------------------------

    def review(self) -> Review | None:
        """The operator's pass as far as it has come; None where there is nothing to look at."""
        target = self.settings.reference(SEGMENTATION)
        prints = self._prints_of(target) if target is not None else {}
        return Review.from_json(self.settings["review"], prints) if prints else None

    def _prints_of(self, target: Any) -> Prints:
        state = (target.GetID(), segments.moments(target))
        if self._prints[0] != state:
            self._prints = (state, segments.slice_prints(target))
        return self._prints[1]

    def set_review(self, review: Review | None) -> None:
        self.settings["review"] = review.to_json() if review else {}

    def slice_plane(self, number: int) -> Any:
        """A slice of the result grid: its middle, its normal and its rows' direction, RAS."""
        return segments.slice_plane(self.settings.reference(SEGMENTATION), number)

    def start_record(self) -> None:
        """Write the reviewed result. Raises `ValueError` where there is none, or no folder for it."""
        settings = self.settings
        target, volume = settings.reference(SEGMENTATION), self.scan()
        parent = settings["recordFolder"]
        if results.node_of(settings) is None:
            raise ValueError(_("Segment a scan first: there is no result to write a record of."))
        if not parent or not Path(parent).is_dir():
            raise ValueError(_("Choose a folder that exists for the record."))
        output = exporting.free_names(Path(parent), f"orbitalseg-record-{date.today().isoformat()}", [""])[0]

        def prepare(folder: PrivateFolder) -> Any:
            return start(folder.path, folder.beside(output.parent) / output.name)

        def start(folder: Path, made: Path) -> Any:
            source = self._source(folder)
            exporting.save(target, folder / exporting.EDITED)
            if volume is not None:
                self._write_scan(volume, folder / jobs.INPUT)
            said = None if volume is None else self._said(volume)
            job = jobs.review(folder, source, made, settings, self.reviews(), said)
            return self.python.start(job, folder)

        def done(outcome: Outcome, private: PrivateFolder) -> bool:
            if outcome.succeeded:
                try:
                    (private.others[-1] / output.name).rename(output)
                except OSError as error:
                    said = _("The record {name} could not be put into its folder: {error}")
                    outcome = Outcome(None, "cannot-write", said.format(name=output.name, error=error.strerror))
            self._finished(RECORD, outcome, _("The record is written."))
            return False

        self.record_folder = output
        self._warned = []
        self.runs.start(RECORD, prepare, done)

    def start_collect(self) -> None:
        """Make cases of the accepted records. Raises `ValueError` where the folder of cases is there already."""
        if Path(self.settings["casesFolder"]).exists():
            raise ValueError(_("Name a new folder for the cases: that one is there already."))
        self._start_job(COLLECT, jobs.collect(self.settings), _("The cases are collected."))

    def start_finetune(self) -> None:
        """Let the networks learn on from the cases. Raises `ValueError` where there are none."""
        if not Path(self.settings["casesFolder"]).is_dir():
            raise ValueError(_("Choose a folder of cases: collect them first."))
        self._start_job(FINETUNE, jobs.finetune(self.settings), _("The new package is written."))

    def _start_job(self, name: str, job: jobs.Job, said: str) -> None:
        """Work that leaves the scene as it is."""

        def done(outcome: Outcome, _private: PrivateFolder) -> bool:
            self._finished(name, outcome, said)
            return False

        self._start(name, lambda folder: self.python.start(job, folder), done)

    def reviews(self) -> list[dict[str, Any]]:
        """The operator's check and the physician's review, as far as they were made."""
        settings, today = self.settings, date.today().isoformat()
        made = []
        review, moved = self.review(), self._limits_sentence()
        if review is not None and (review.seen or moved):
            made.append(review.to_contract(settings["operator"], today, moved))
        if settings["physicianOutcome"] and not self._is_outdated():
            made.append(
                {
                    "kind": "physician",
                    "outcome": settings["physicianOutcome"],
                    "by": settings["physician"] or None,
                    "date": today,
                }
            )
        return made

    def judge(self, outcome: str) -> None:
        """The physician's outcome, of what the segmentation holds now; empty: there is none yet."""
        self.settings["physicianOutcome"] = outcome
        self.settings["physicianLook"] = self._look() if outcome else ""

    def _look(self) -> str:
        """A fingerprint of what all slices hold."""
        target = self.settings.reference(SEGMENTATION)
        prints = self._prints_of(target) if target is not None else {}
        return hashlib.sha256(json.dumps(prints).encode()).hexdigest()

    def _is_outdated(self) -> bool:
        """Whether the segmentation has changed since the physician judged it: the judgement is then of another one."""
        return bool(self.settings["physicianOutcome"]) and self.settings["physicianLook"] != self._look()

    def _limits_sentence(self) -> str:
        """What the record has to say of sliders that were moved: the voxels alone do not tell it from edits by hand."""
        limits = self.settings["limits"]
        if not self.is_preview():
            return ""
        said = ", ".join(f"{name} {value:g}" for name, value in limits.items())
        return f"Limits of probability were moved after the run: {said}."

    def missing(self) -> list[str]:
        """What the record still lacks of what a person can fill in, in words."""
        settings, review = self.settings, self.review()
        lacks = {
            _("clinical purpose"): not settings["purpose"],
            _("operator"): not settings["operator"],
            _("slice-by-slice check"): review is None or bool(review.unseen or review.marked),
            _("physician's review"): not settings["physicianOutcome"],
            _("physician's review of what was changed since"): self._is_outdated(),
            _("physician"): not settings["physician"],
        }
        return [name for name, lacking in lacks.items() if lacking]

    # -- the work -----------------------------------------------------------------------------------------------------

    def cancel(self) -> None:
        self.runs.cancel()

    def poll(self, in_parts: bool = False) -> None:
        """See `Runs`."""
        self.runs.poll(in_parts)

    def drop(self) -> None:
        """End the work at once, and forget the result's files; the scene is left alone."""
        self.runs.drop()
        self.forget()

    def forget(self) -> None:
        """Remove the files of the last result."""
        if self._kept is not None:
            self._kept.remove()
        self._kept = self._run = self._thresholds = None

    def _start(
        self,
        name: str,
        prepare: Callable[[Path], Any],
        done: Callable[[Outcome, PrivateFolder], bool],
        yields: bool = False,
        read: Read = nothing,
    ) -> None:
        self._warned = []
        self.runs.start(name, lambda private: prepare(private.path), done, yields, read)

    def _heard(self, line: Line) -> None:
        if line["event"] == "warning":
            self._warned.append(line)
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
