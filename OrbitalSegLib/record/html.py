"""What our pages share: one file that holds its pictures, asks nothing of the network, and prints on A4."""

import base64
import re
from collections.abc import Iterable, Sequence
from html import escape, unescape
from pathlib import Path

from OrbitalSegLib.languages import ENGLISH, told

STYLE = """
:root { --ink: #1c2430; --faint: #5b6675; --line: #d5dbe3; --soft: #f3f5f8; --good: #1a7f4b; --fair: #9a6400;
  --bad: #b3261e; }
* { box-sizing: border-box; }
html { font: 15px/1.45 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; color: var(--ink);
  background: #e9edf2; -webkit-print-color-adjust: exact; print-color-adjust: exact; }
body { max-width: 62rem; margin: 1.5rem auto; padding: 2.2rem 2.6rem; background: #fff;
  box-shadow: 0 1px 6px #0002; }
header { display: flex; justify-content: space-between; align-items: baseline; gap: 1rem; flex-wrap: wrap;
  border-bottom: 2px solid var(--ink); padding-bottom: .5rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.08rem; margin: 1.7rem 0 .45rem; }
.notice { color: var(--bad); font-weight: 600; margin: .5rem 0 0; } .faint { color: var(--faint); }
p { margin: .35rem 0; } ul { margin: .3rem 0; padding-left: 1.2rem; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; } caption { text-align: left; font-weight: 600; }
th, td { text-align: left; vertical-align: top; padding: .26rem .6rem .26rem 0; border-bottom: 1px solid var(--line); }
thead th { color: var(--faint); font-weight: 600; } tbody th { font-weight: 500; width: 34%; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
code { font: .8rem ui-monospace, Consolas, Menlo, monospace; overflow-wrap: anywhere; }
figure { margin: .6rem 0; } img { width: 100%; border-radius: 3px; } figcaption { font-size: .85rem; }
.box { border: 1px solid var(--line); border-left: .5rem solid var(--faint); background: var(--soft);
  padding: .6rem .9rem; margin: 1rem 0; border-radius: 3px; }
.good { color: var(--good); } .fair { color: var(--fair); } .bad { color: var(--bad); }
.box.good { border-left-color: var(--good); } .box.fair { border-left-color: var(--fair); }
.box.bad { border-left-color: var(--bad); } .box.good, .box.fair, .box.bad { color: inherit; }
.good, .fair, .bad { white-space: nowrap; } .box.good, .box.fair, .box.bad { white-space: normal; }
.box strong.word { text-transform: capitalize; }
.sign { display: grid; grid-template-columns: 1fr 1fr; gap: 1.2rem 2.4rem; margin-top: 2.4rem; }
.sign div { border-top: 1px solid var(--ink); padding-top: .2rem; font-size: .82rem; color: var(--faint); }
@page { size: A4; margin: 14mm 14mm 16mm; }
@media print { html { font-size: 9.5pt; background: #fff; } body { max-width: none; margin: 0; padding: 0;
  box-shadow: none; } h2 { break-after: avoid; } tr, figure, .box, .sign { break-inside: avoid; }
  thead { display: table-header-group; } }
"""


MARKUP = re.compile(r"""(<(code|style|script)\b.*?</\2>|<(\w+)[^>]*translate='no'.*?</\3>|<[^>]*>)""", re.DOTALL)
"""What a page does not say in words: tags, and all of an element that is not to be translated."""


def html_page(title: str, parts: Iterable[str], language: str = ENGLISH) -> str:
    """A whole page of parts in HTML, told in a language."""
    page = (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body>\n</html>\n"
    )
    return page if language == ENGLISH else "".join(_told(piece, language) for piece in _pieces(page))


def texts_of(page: str) -> list[str]:
    """What a page says in words, piece by piece."""
    return [unescape(piece.strip()) for piece in _pieces(page) if not piece.startswith("<") and piece.strip()]


def _pieces(page: str) -> list[str]:
    """A page cut into its markup and its texts."""
    cut = MARKUP.split(page)
    return [piece for place, piece in enumerate(cut) if place % (MARKUP.groups + 1) < 2]


def _told(piece: str, language: str) -> str:
    words = piece.strip()
    if piece.startswith("<") or not words:
        return piece
    return piece.replace(words, escape(told(unescape(words), language), quote=False))


def as_given(text: str) -> str:
    """What somebody or something said, in HTML: it is never translated."""
    return f"<span translate='no'>{escape(text)}</span>"


def pictures_in(paths: Iterable[Path]) -> str:
    """Pictures (PNG) as part of the page itself."""
    figures = []
    for path in paths:
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        figures.append(f"<figure><img alt='{escape(path.name)}' src='data:image/png;base64,{data}'></figure>")
    return "".join(figures)


def section(title: str, body: str) -> str:
    """A heading and what stands under it, in HTML."""
    return f"<h2>{escape(title)}</h2>\n{body}"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; titles and cells are HTML."""
    head = "".join(f"<th>{title}</th>" for title in titles)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
