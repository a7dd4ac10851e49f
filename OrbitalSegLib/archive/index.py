"""The index of a batch: one row a scan, as CSV, and as one page that sorts and filters without a network."""

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from OrbitalSegLib.archive.names import csv_of
from OrbitalSegLib.archive.one import DONE, FAILED, INCOMPLETE, Outcome
from OrbitalSegLib.files import replacing, writing
from OrbitalSegLib.product import NOTICE, PRODUCT, VERSION
from OrbitalSegLib.record.html import html_page
from OrbitalSegLib.record.page import TONES, flattened, term_of, worded
from OrbitalSegLib.results import PAGE_FILE, PREVIEW_FILE

TABLE_FILE, PAGE = "index.csv", "index.html"
SCANS = "scans"

FIRST = ("name", "status", "verdict", "code", "text", "warnings")
"""The columns of every batch; figures of the tasks follow."""

TIMES = "seconds"
"""A figure that no two runs share stands in the scan's own files alone."""

STATUS_STYLES = {DONE: "good", INCOMPLETE: "fair", FAILED: "bad"}

SHOWN = re.compile(r"_ml(_|$)")
"""In the names of figures that the page shows, volumes; all are in the table."""

STYLE = """
body { max-width: none; } td img { width: 11rem; } #find { font: inherit; padding: .2rem .4rem; width: 18rem; }
thead th { cursor: pointer; } th[data-up]::after { content: " \\25B2"; } th[data-down]::after { content: " \\25BC"; }
tr[hidden] { display: none; } td:nth-child(2) { white-space: nowrap; } .wide { overflow-x: auto; }
@media (max-width: 45rem) {
  body { padding: 1rem; margin: 0; } td img { width: 6rem; } #scans td { min-width: 4rem; }
}
"""

SCRIPT = """
const body = document.querySelector("#scans tbody"), find = document.querySelector("#find");
const verdict = document.querySelector("#verdict"), rows = [...body.rows];
const text = rows.map(row => row.textContent.toLowerCase());
function filter() {
  const words = find.value.toLowerCase().split(/\\s+/).filter(word => word);
  let count = 0;
  rows.forEach((row, index) => {
    const fits = words.every(word => text[index].includes(word));
    row.hidden = !fits || (verdict.value !== "" && row.dataset.verdict !== verdict.value);
    count += !row.hidden;
  });
  document.querySelector("#count").textContent = `${count} of ${rows.length}`;
}
function value(row, column) {
  const cell = row.cells[column], number = cell.dataset.number;
  return number === undefined ? cell.textContent : number === "" ? -Infinity : Number(number);
}
document.querySelectorAll("#scans thead th").forEach((title, column) => title.addEventListener("click", () => {
  const down = "up" in title.dataset;
  title.parentNode.querySelectorAll("th").forEach(other => { delete other.dataset.up; delete other.dataset.down; });
  title.dataset[down ? "down" : "up"] = "";
  const sorted = rows.map(row => [value(row, column), row]).sort((a, b) => {
    const order = typeof a[0] === "number" ? (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0) : a[0].localeCompare(b[0]);
    return down ? -order : order;
  });
  body.append(...sorted.map(pair => pair[1]));
}));
find.addEventListener("input", filter);
verdict.addEventListener("input", filter);
filter();
"""


def write_index(outcomes: Mapping[str, Outcome], results: Path) -> None:
    """Write both, from how the scans ended; the rows are in the order of names. Raises `OutputError`."""
    ordered = [outcomes[name] for name in sorted(outcomes)]
    figures = [_figures(outcome) for outcome in ordered]
    for file, content in ((TABLE_FILE, _table(ordered, figures)), (PAGE, _page(ordered, figures))):
        with writing(results), replacing(results / file) as new:
            new.write_text(content, encoding="utf-8", newline="")


def verdict_of(outcome: Outcome) -> str:
    """What monitoring said; empty where it said nothing."""
    said = (summary.get("monitoring") for summary in outcome["summaries"].values())
    return next((found["verdict"] for found in said if found), "")


def _figures(outcome: Outcome) -> dict[str, Any]:
    """What the tasks found, by the task and the names of the summary one behind the other."""
    found: dict[str, Any] = {}
    for task, summary in outcome["summaries"].items():
        found |= flattened({name: value for name, value in summary.items() if name != TIMES}, f"{task}_")
    return found


def _table(outcomes: list[Outcome], figures: list[dict[str, Any]]) -> str:
    rows = []
    for outcome, found in zip(outcomes, figures, strict=True):
        said = {
            "name": outcome["name"],
            "status": outcome["status"],
            "verdict": verdict_of(outcome),
            "code": outcome["code"] or "",
            "text": outcome["text"] or "",
            "warnings": " ".join(sorted({warning["code"] for warning in outcome["warnings"]})),
        }
        rows.append(said | {name: _cell(value) for name, value in found.items()})
    names = dict.fromkeys(name for found in figures for name in found)
    return csv_of((*FIRST, *names), rows)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _page(outcomes: list[Outcome], figures: list[dict[str, Any]]) -> str:
    numbers = [*dict.fromkeys(name for found in figures for name in found if SHOWN.search(name))]
    verdicts = sorted({verdict_of(outcome) or outcome["status"] for outcome in outcomes})
    counts = {status: sum(outcome["status"] == status for outcome in outcomes) for status in STATUS_STYLES}
    titles = ["", "Scan", "Verdict", *map(term_of, numbers), "Warnings", "What is wrong"]
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    rows = "\n".join(_row(outcome, found, numbers) for outcome, found in zip(outcomes, figures, strict=True))
    choices = "".join(f"<option>{escape(verdict)}</option>" for verdict in verdicts)
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    parts = [
        f"<style>{STYLE}</style><header><h1>Scans</h1><span class='faint'>{PRODUCT} {VERSION}</span></header>"
        f"<p class='notice'>{escape(NOTICE)}</p>",
        f"<p>{said or 'None yet'}. All figures stand in {TABLE_FILE}. A click on a title sorts.</p>"
        "<p><input id='find' type='search' placeholder='Words to find' aria-label='Words to find'> "
        f"<select id='verdict' aria-label='Verdict'><option value=''>every verdict</option>{choices}</select> "
        "<span id='count' class='faint'></span></p>",
        f"<div class='wide'><table id='scans'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>",
        f"<script>{SCRIPT}</script>",
    ]
    return html_page(f"{PRODUCT}: scans", parts)


def _row(outcome: Outcome, found: dict[str, Any], numbers: list[str]) -> str:
    name, verdict = outcome["name"], verdict_of(outcome) or outcome["status"]
    style = TONES.get(verdict) or STATUS_STYLES[outcome["status"]]
    picture, page = (_file_of(outcome, file) for file in (PREVIEW_FILE, PAGE_FILE))
    shown_name = f"<a href='{page}'>{escape(name)}</a>" if page else escape(name)
    image = f"<img loading='lazy' alt='' src='{picture}'>" if picture else ""
    cells = "".join(_number(found.get(figure)) for figure in numbers)
    warnings = "<br>".join(escape(warning["text"]) for warning in outcome["warnings"])
    return (
        f"<tr data-verdict='{escape(verdict)}'><td>{image}</td><td>{shown_name}</td>"
        f"<td><span class='{style}'>{escape(verdict)}</span></td>{cells}<td>{warnings}</td>"
        f"<td>{escape(outcome['text'] or '')}</td></tr>"
    )


def _number(value: Any) -> str:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else ""
    return f"<td class='number' data-number='{number}'>{escape(worded(value))}</td>"


def _file_of(outcome: Outcome, file: str) -> str:
    """Where the first of a scan's results lies that has such a file; empty where none has."""
    tasks = (task for task, files in outcome["files"].items() if file in files)
    return next((f"{SCANS}/{outcome['name']}/{task}/{file}" for task in tasks), "")
