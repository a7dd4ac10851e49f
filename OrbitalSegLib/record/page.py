"""A record as a page for people: one HTML file that holds its pictures, asks nothing of the network, and prints."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from OrbitalSegLib.languages import ENGLISH
from OrbitalSegLib.record import SIDES_UNKNOWN, sides_known
from OrbitalSegLib.record.html import as_given, html_page, pictures_in, section, table
from OrbitalSegLib.structures import BONE, INFERRED, structures_of

TONES = {
    **{"met": "good", "not met": "bad", "not stated": "fair"},
    **{"feasible": "good", "borderline": "fair", "not feasible": "bad"},
    **{"trust": "good", "check": "fair", "do not use": "bad"},
}

ADVICE = {
    "trust": "Input and result are like those that this method was measured on. Review the model all the same.",
    "check": "Something differs from what this method was measured on. Look at what is named here before use.",
    "do not use": "Thin walls of this result cannot be relied on.",
}

ACQUISITION = (
    ("manufacturer", "Scanner: maker", ""),
    ("model", "Scanner: model", ""),
    ("patient_position", "Patient position", ""),
    ("tube_voltage_kv", "Tube voltage", "kV"),
    ("tube_current_ma", "Tube current", "mA"),
    ("rotation_time_s", "Rotation time", "s"),
    ("collimation_mm", "Scan slice thickness", "mm"),
    ("slice_thickness_mm", "Reconstructed slice thickness", "mm"),
    ("slice_distance_mm", "Slice spacing, largest", "mm"),
    ("field_of_view_mm", "Field of view", "mm"),
    ("matrix", "Matrix", ""),
    ("pixel_mm", "Pixel", "mm"),
    ("kernel", "Reconstruction kernel", ""),
    ("filter_type", "Filter", ""),
    ("contrast_agent", "Contrast agent", ""),
    ("tilt_degrees", "Gantry tilt", "°"),
    ("age_months", "Age of the scan", "months"),
    ("file_format", "Format", ""),
)

REVIEW_KINDS = {"slice-by-slice": "Operator, slice by slice", "physician": "Physician, before manufacture"}

SIDES = "Left and right are the patient's."

MISSING = '<span class="bad">missing</span>'
NOT_STATED = '<span class="fair">not stated</span>'


def page_of(record: dict[str, Any], folder: Path, language: str = ENGLISH) -> str:
    """The page of a segmentation's record in a language; the pictures (PNG) of its result folder are put into it.

    It shows what the record holds and nothing else: no identity of a patient that the record does not have.

    Parameters
    ----------
    record
        As read from `record.json`.
    folder
        The result folder, for its pictures.
    language
        A key of `LANGUAGES`.

    Returns
    -------
    page
        HTML, with no link to anything outside.
    """
    parts = (
        _header(record),
        _verdict(record),
        _missing(record),
        _purpose(record),
        _pictures(record, folder),
        _result(record),
        _edits(record),
        _scan(record),
        _method(record),
        _reconstruction(record),
        _monitoring(record),
        _reviews(record),
        _warnings(record),
        _verification(record),
    )
    return html_page(f"{record['product']['name']}: record of a model", parts, language)


def _header(record: dict[str, Any]) -> str:
    product = record["product"]
    when = f"made {_when(record['created'])}"
    if "revised" in record:
        when += f", reviewed {_when(record['revised'])}"
    return (
        f"<header><h1>Record of a model</h1><span class='faint'>{escape(product['name'])} "
        f"{escape(product['version'])}, {when}</span></header>"
        f"<p class='notice'>{escape(product['notice'])}</p>"
        "<p class='faint'>What ISO/IEC 3532-1:2023, clause 5 and annex A ask to be written down of a model made from "
        f"images.</p><p class='faint'>{SIDES if sides_known(record) else SIDES_UNKNOWN}</p>"
    )


def _verdict(record: dict[str, Any]) -> str:
    found = record.get("monitoring")
    if not found:
        return ""
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in found["reasons"])
    word = found["verdict"]
    return (
        f"<div class='box {TONES[word]}'><strong class='word {TONES[word]}'>{escape(word)}.</strong> "
        f"{ADVICE[word]}{f'<ul>{reasons}</ul>' if reasons else ''}</div>"
    )


def _missing(record: dict[str, Any]) -> str:
    gaps = record.get("missing", [])
    if not gaps:
        return "<div class='box good'>Nothing is missing of what the standard asks for.</div>"
    by_part: dict[str, list[str]] = {}
    for gap in gaps:
        lacking = f"<span>{escape(gap['term'])}</span> (<span>{escape(gap['why'])}</span>)"
        by_part.setdefault(gap["part"], []).append(lacking)
    items = "".join(f"<li><em>{escape(part)}</em>: {'; '.join(terms)}</li>" for part, terms in by_part.items())
    count = "One entry is" if len(gaps) == 1 else f"{len(gaps)} entries are"
    return f"<div class='box bad'><strong class='bad'>{count} missing.</strong><ul>{items}</ul></div>"


def _purpose(record: dict[str, Any]) -> str:
    rows = [("Clinical purpose", _or_missing(record.get("purpose"))), ("Operator", _or_missing(record.get("operator")))]
    return section("Purpose", _facts(rows))


def _pictures(record: dict[str, Any], folder: Path) -> str:
    names = [output["file"] for output in record["outputs"] if output["file"].endswith(".png")]
    return section("Pictures", pictures_in(folder / name for name in names)) if names else ""


def _result(record: dict[str, Any]) -> str:
    writing = _step(record, "writing")
    volumes = writing["measured"].get("volumes_ml", {}) if writing else {}
    rows = [(_heading(name, record), f"{_number(ml)} ml") for name, ml in volumes.items()]
    if BONE in volumes and INFERRED not in volumes:
        rows.append((_heading(INFERRED, record), "none: this method shows what it sees"))
    region = record.get("region", {})
    if region:
        box = region["box_mm"]
        text = "the whole scan" if isinstance(box, str) else " × ".join(f"{box[i + 1] - box[i]:.0f}" for i in (0, 2, 4))
        rows.append(("Region", f"{escape(region['asked'])}: {text}{'' if isinstance(box, str) else ' mm'}"))
    repair = _step(record, "postprocessing")
    if repair:
        rows.append(("Repaired by", _listing(map(_repaired, repair["measured"].get("steps", [])))))
    return section("Result", _facts(rows))


def _heading(name: str, record: dict[str, Any]) -> str:
    """Of a structure's row."""
    structure = structures_of(record).get(name)
    return escape(structure.heading or structure.title if structure else name)


def _repaired(step: dict[str, Any]) -> str:
    changed = ", ".join(f"{_number(step[f'{what}_ml'])} ml {what}" for what in ("removed", "added"))
    return f"{step['step'].replace('_', ' ').replace('-', ' ')}: {step['objects']} objects, {changed}"


def _edits(record: dict[str, Any]) -> str:
    edits = record.get("edits")
    if edits is None:
        return section("Edits by hand", "<p>None were recorded: this is the automatic result.</p>")
    rows = [
        [_heading(name, record), *(_number(row[key]) for key in ("automatic_ml", "edited_ml")), *_changes(row)]
        for name, row in edits["segments"].items()
    ]
    titles = ["", "Automatic, ml", "Edited, ml", "Added", "Removed"]
    return section("Edits by hand", table(titles, rows))


def _changes(row: dict[str, Any]) -> list[str]:
    return [f"{row[f'{what}_ml']:.3f} ml, {row[f'{what}_voxels']} voxels" for what in ("added", "removed")]


def _scan(record: dict[str, Any]) -> str:
    said = record.get("acquisition", {})
    rows = [(title, _said(said.get(key), unit)) for key, title, unit in ACQUISITION]
    grid = record["input"]["grid"]
    rows.append(("Voxels", f"{' × '.join(map(str, grid['size']))} of {_mm(grid['spacing_mm'])} mm"))
    reading = _step(record, "reading")
    if reading and reading["measured"].get("resampled"):
        rows.append(("Resampled", "yes, by the slices' true positions"))
    conditions = [
        [
            escape(row["term"]),
            escape(row["condition"]),
            escape(row["found"] or "-"),
            f"<span class='{TONES[row['verdict']]}'>{escape(row['verdict'])}</span>",
            escape(row["kind"]),
        ]
        for row in record.get("conditions", [])
    ]
    text = section("Acquisition protocol", _facts(rows))
    if conditions:
        found = record["feasibility"]
        verdict = f"<span class='{TONES[found['thin_walls']]}'>{escape(found['thin_walls'])}</span>"
        shown = table(["Table A.1", "Condition", "Found", "Verdict", "Kind"], conditions)
        told = f"<p>Thin walls: {verdict}. <span>{escape(found['reason'])}</span></p>"
        text += section("Conditions of ISO/IEC 3532-2, table A.1", told + shown)
    return text


def _method(record: dict[str, Any]) -> str:
    step = _step(record, "segmenting")
    if step is None:
        return ""
    measured = step["measured"]
    rows = [("Method", as_given(str(step["parameters"].get("method", "-"))))]
    rows.append(("Parameters", _sentence(step["parameters"], but=("method",)) or "none"))
    repair = _step(record, "postprocessing")
    rows.append(("Post-processing", _sentence(repair["parameters"]) if repair else "none"))
    model = measured.get("model")
    if model:
        rows.append(("Model package", as_given(f"{model['name']} {model['version']}, {model['licence']}")))
        rows.append(("Its SHA256", f"<code>{escape(model['sha256'])}</code>"))
        engines = (
            f"{name}: {engine['name']}, {engine['precision']}, {engine['device']}, {engine['threads']} threads"
            for name, engine in measured["engines"].items()
        )
        rows.append(("Networks ran on", _listing(engines)))
        if "earlier_result" in measured:
            rows.append(("They ran for", escape(f"the result of {measured['earlier_result']['created']}, not again")))
        rows.append(
            ("Working grid", f"{_mm(measured['grid']['spacing_mm'])} mm"),
        )
        if "planes" in measured:
            rows.append(("Planes", escape(", ".join(measured["planes"]))))
    return section("Segmentation method", _facts(rows))


def _reconstruction(record: dict[str, Any]) -> str:
    step = _step(record, "modelling")
    if step is None:
        return ""
    surfaces = {name: flattened(found) for name, found in step["measured"].items() if isinstance(found, dict)}
    figures = list(dict.fromkeys(key for found in surfaces.values() for key in found))
    rows = [[escape(term_of(key)), *(escape(worded(found.get(key))) for found in surfaces.values())] for key in figures]
    told = f"<p>Marching cubes (flying edges); {_sentence(step['parameters']) or 'no parameters'}.</p>"
    return section("3D reconstruction", told + table(["", *map(as_given, surfaces)], rows))


def _monitoring(record: dict[str, Any]) -> str:
    found = record.get("monitoring")
    if not found:
        return ""
    rows = [
        [
            escape(check["term"]),
            escape(f"{worded(check['found'])} {check['unit']}".strip()),
            escape(_range(check["low"], check["high"], check["unit"])),
            f"<span class='{TONES[check['verdict']]}'>{escape(check['verdict'])}</span>",
        ]
        for check in found["checks"]
    ]
    shown = table(["Check", "Found", "Expected", "Verdict"], rows)
    return section("Monitoring", f"{shown}<p class='faint'>Limits: {as_given(found['limits'])}</p>")


def _reviews(record: dict[str, Any]) -> str:
    rows = []
    for review in record.get("reviews", []):
        seen = "" if review.get("seen") is None else f"{100 * review['seen']:.0f} % of the slices seen. "
        marked = review.get("marked") or []
        text = f"{seen}{f'Marked: {len(marked)} slices. ' if marked else ''}{as_given(review.get('comment') or '')}"
        by, date = (as_given(review.get(name) or "-") for name in ("by", "date"))
        rows.append([REVIEW_KINDS[review["kind"]], escape(review["outcome"]), by, date, text])
    shown = table(["Review", "Outcome", "By", "Date", "Remarks"], rows)
    lines = "".join(
        f"<div><span>{title}</span>: name, signature, date</div>"
        for title in ("Operator", "Physician, before manufacture")
    )
    none = "<p>None yet.</p>"
    return section("Reviews", (shown if rows else none) + f"<div class='sign'>{lines}</div>")


def _warnings(record: dict[str, Any]) -> str:
    said = (
        f"<li>{escape(warning['text'])} <code>{escape(warning['code'])}</code></li>" for warning in record["warnings"]
    )
    return section("Warnings", f"<ul>{''.join(said)}</ul>" if record["warnings"] else "<p>None.</p>")


def _verification(record: dict[str, Any]) -> str:
    environment = ", ".join(f"{name} {version}" for name, version in record["environment"].items())
    seconds = ", ".join(f"{step['step']} {step['seconds']:.1f} s" for step in record["steps"])
    rows = [
        ("Input, SHA256 of voxels and grid", f"<code>{escape(record['input']['sha256'])}</code>"),
        *((as_given(o["file"]), f"<code>{escape(o['sha256'])}</code>") for o in record["outputs"]),
        ("Made with", as_given(environment)),
        ("Steps", escape(seconds)),
    ]
    told = (
        "<p>To run this again on the same scan and compare every voxel: "
        "<code>orbitalseg verify RESULT --input SCAN</code></p>"
    )
    return section("Verification", told + _facts(rows))


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    """A table of titles and what is to be said; both are HTML."""
    return "<table><tbody>" + "".join(f"<tr><th>{t}</th><td>{v}</td></tr>" for t, v in rows) + "</tbody></table>"


def _listing(lines: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _step(record: dict[str, Any], name: str) -> dict[str, Any] | None:
    return next((step for step in reversed(record["steps"]) if step["step"] == name), None)


def _when(time: str) -> str:
    return escape(time.replace("T", " ")[:16])


def _or_missing(value: str | None) -> str:
    return as_given(value) if value else MISSING


def _said(value: Any, unit: str) -> str:
    if value is None:
        return NOT_STATED
    if isinstance(value, bool):
        return "given" if value else "none"
    text = " × ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return f"{as_given(text)} {unit}".strip()


def _sentence(values: dict[str, Any], but: Sequence[str] = ()) -> str:
    """Parameters or figures as a line of HTML."""
    return ", ".join(_said_of(name, value) for name, value in values.items() if name not in but)


def _said_of(name: str, value: Any) -> str:
    words, _, unit = term_of(name).partition(", ")
    return f"<span>{escape(words)}</span> <span>{escape(worded(value))}</span> {unit}".strip()


def term_of(name: str) -> str:
    """A key of the record in words, its unit behind.

    Parameters
    ----------
    name
        As `volume_ml`.

    Returns
    -------
    words
        For a person.

    Examples
    --------
    >>> term_of("volume_ml"), term_of("parts")
    ('volume, ml', 'parts')
    """
    words = name.split("_")
    units = {"mm": "mm", "ml": "ml", "hu": "HU", "gb": "GB", "mm2": "mm²", "cm2": "cm²"}
    if words[-1] in units and len(words) > 1:
        return f"{' '.join(words[:-1])}, {units[words[-1]]}"
    return " ".join(words)


def flattened(found: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Figures of figures, by their names one behind the other; of a list of things, how many there are.

    Parameters
    ----------
    found
        Figures by name, some of which are such tables again.
    before
        What stands before each name.

    Returns
    -------
    figures
        Each a plain value or a list of such.

    Examples
    --------
    >>> flattened({"walls": {"minimum_mm": 0.4}, "shells": [{"volume_ml": 1}, {"volume_ml": 2}]})
    {'walls_minimum_mm': 0.4, 'shells': 2}
    """
    flat: dict[str, Any] = {}
    for name, value in found.items():
        key = f"{before}{name}"
        if isinstance(value, dict):
            flat |= flattened(value, f"{key}_")
        else:
            several = isinstance(value, list) and any(isinstance(item, dict) for item in value)
            flat[key] = len(value) if several else value
    return flat


def worded(value: Any) -> str:
    """A value of the record in words.

    Parameters
    ----------
    value
        Plain, or a list of such.

    Returns
    -------
    words
        Numbers have four digits; nothing is `-`.

    Examples
    --------
    >>> worded([True, 0.123456, None]), worded([])
    ('yes, 0.1235, -', 'none')
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(worded, value)) or "none"
    return str(value)


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


def _mm(spacing: Sequence[float]) -> str:
    return " × ".join(f"{value:.3g}" for value in spacing)


def _range(low: float | None, high: float | None, unit: str) -> str:
    if low is not None and high is not None:
        return f"{_number(low)} to {_number(high)} {unit}".strip()
    if high is not None:
        return f"up to {_number(high)} {unit}".strip()
    return f"from {_number(low)} {unit}".strip() if low is not None else "-"
