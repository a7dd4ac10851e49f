"""What is around the code agrees with it: pages, their links, the glossary, the citation, the files of a release."""

import ast
import gzip
import importlib.util
import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from OrbitalSegLib import acquisition
from OrbitalSegLib.methods.method import Task
from OrbitalSegLib.product import VERSION
from OrbitalSegLib.progress import silent
from OrbitalSegLib.region import Region

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/*/*.md")])
GLOSSARY = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
EPOCH = 1_700_000_000


def tool():
    """tools/release.py, which is no package."""
    spec = importlib.util.spec_from_file_location("release", ROOT / "tools/release.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


release = tool()


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub and the site give to a page's headings."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_of_a_page_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_every_page_stands_in_the_sites_contents():
    listed = re.findall(r"^([\w/-]+)$", (ROOT / "docs/index.md").read_text(encoding="utf-8"), re.MULTILINE)
    pages = {path.relative_to(ROOT / "docs").with_suffix("").as_posix() for path in ROOT.glob("docs/**/*.md")}
    assert sorted(listed) == sorted((pages - {"index"}) | {"api/OrbitalSegLib"})


def glossary_rows() -> list[list[str]]:
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in GLOSSARY.splitlines() if line[:1] == "|"
    ]
    return [row for row in rows if row[0] != "term" and not set(row[0]) <= {"-", " "}]


def test_every_term_is_explained_once_and_has_a_source():
    rows = glossary_rows()
    assert len(rows) > 100
    assert all(len(row) == 3 and all(row) for row in rows), [row for row in rows if len(row) != 3]
    terms = [term for row in rows for term in row[0].split(", ")]
    assert len(terms) == len(set(terms))


def names_of_the_contracts() -> set[str]:
    """Names and verdicts that a person reads in results."""
    page = (ROOT / "docs/contracts.md").read_text(encoding="utf-8")
    names = set(re.findall(r"^\| `(\w+)` \|", page.partition("## 2.")[0], re.MULTILINE))
    grids = set(re.findall(r"^\| \*([\w ]+)\* \|", page, re.MULTILINE))
    assert {"bone", "inferred"} <= names
    assert "working grid" in grids
    for key in ("monitoring", "feasibility"):
        row = next(line for line in page.splitlines() if line.startswith(f"| `{key}`"))
        names |= {word for word in re.findall(r"`([^`]+)`", row) if " " in word or word in ("trust", "check")}
    states = page[page.index("each with `status`") : page.index("where it is `found` also")]
    steps = page[page.index("Steps, in the order of the pipeline") :].partition(". Later")[0]
    assert "`reading`" in steps
    return names | grids | set(re.findall(r"`([a-z]+ [a-z ]+)`", states)) | set(re.findall(r"`(\w+)`", steps))


def test_names_of_the_contracts_stand_in_the_glossary():
    verdicts = {acquisition.MET, acquisition.NOT_MET, acquisition.NOT_STATED}
    wanted = names_of_the_contracts() | verdicts
    said = set(re.findall(r"`([^`]+)`", GLOSSARY)) | {term for row in glossary_rows() for term in row[0].split(", ")}
    assert wanted <= said, wanted - said


def test_the_method_that_contributors_are_shown_is_one():
    """Raises where the example no longer fits the code."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    example: dict[str, Any] = {"__name__": "band"}
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], example)
    method = example["BAND"]
    ct = sitk.GetImageFromArray(np.array([[[300, 301, 2000, 2001]]], np.int16))
    found = method.run(Task(ct, Region()), method.make_parameters({}), silent)
    assert sitk.GetArrayFromImage(found.bone).ravel().tolist() == [0, 1, 1, 0]
    assert sitk.GetArrayFromImage(found.fraction("thin", found.classes(found.bone))).shape == (1, 1, 4)


def test_the_places_that_contributors_are_shown_are_there():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    text = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    roots = (ROOT, ROOT / "OrbitalSegLib", ROOT / "Testing/library")
    for place in set(re.findall(r"`([\w./]+(?:\.py|\.md|/))`", text)) - {
        "out/",
        "card.md",
        "__init__.py",
    }:
        assert any((root / place).exists() for root in roots), place
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "OrbitalSegLib").rglob("*.py"))
    for table in ("METHODS", "FORMATS", "CHECKS", "STRUCTURES", "TASKS", "HEADERS", "VOLUME_KINDS"):
        assert f"`{table}`" in text
        assert re.search(rf"^{table}\b[^=\n]*= ", source, re.MULTILINE), table


def test_the_citation_names_this_version():
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_type_hints_go_with_the_package():
    files = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["OrbitalSegLib"]
    assert "py.typed" in files
    assert (ROOT / "OrbitalSegLib/py.typed").is_file()


def test_each_class_has_a_name_of_its_own():
    files = [*(ROOT / "OrbitalSegLib").rglob("*.py")]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    names = Counter(node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    assert len(names) > 100
    assert not [name for name, times in names.items() if times > 1]


# The files of a release


def git(folder: Path, *command: str) -> None:
    who = [
        "-c",
        "user.name=A",
        "-c",
        "user.email=a@example.org",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "tag.gpgsign=false",
    ]
    subprocess.run(["git", *who, *command], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path, require_tool) -> Path:
    """A repository with the files that say which version it is."""
    require_tool("git")
    folder = tmp_path / "checkout"
    (folder / "OrbitalSegLib").mkdir(parents=True)
    (folder / "OrbitalSegLib/product.py").write_text('VERSION = "1.2.3"\n')
    changes = "# Changes\n\n## Unreleased\n\n## 1.2.3\n- It is faster.\n\n## 1.2.2\n- It is.\n"
    (folder / "CHANGELOG.md").write_text(changes)
    (folder / "CITATION.cff").write_text("title: A\nversion: 1.2.3\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "All of it")
    git(folder, "tag", "--annotate", "v1.2.3", "--message", "1.2.3")
    return folder


def test_a_tagged_clean_commit_with_its_changes_is_ready(checkout):
    assert release.version_of(checkout) == "1.2.3"
    release.check_ready(checkout, "1.2.3")
    assert release.changes_of(checkout, "1.2.3") == "- It is faster."


def test_files_that_differ_from_the_commit_are_refused(checkout):
    (checkout / "new.txt").write_text("a")
    with pytest.raises(release.NotReady, match="differ from the commit"):
        release.check_ready(checkout, "1.2.3")


def test_a_commit_without_the_tag_is_refused(checkout):
    git(checkout, "commit", "--quiet", "--allow-empty", "--message", "Later")
    with pytest.raises(release.NotReady, match=r"the tag v1\.2\.3"):
        release.check_ready(checkout, "1.2.3")


@pytest.mark.parametrize(("file", "old", "new", "says"), [
    ("CHANGELOG.md", "## 1.2.3\n", "", "CHANGELOG.md"),
    ("CHANGELOG.md", "- It is faster.\n", "", "CHANGELOG.md"),
    ("CHANGELOG.md", "## 1.2.3\n", "## 1.2.30\n", "CHANGELOG.md"),
    ("CITATION.cff", "1.2.3", "1.2.2", "CITATION.cff"),
])  # fmt: skip
def test_a_file_that_does_not_name_the_version_is_refused(checkout, file, old, new, says):
    text = (checkout / file).read_text()
    assert old in text
    (checkout / file).write_text(text.replace(old, new))
    git(checkout, "commit", "--quiet", "--all", "--message", "Other")
    git(checkout, "tag", "--force", "--annotate", "v1.2.3", "--message", "1.2.3")
    with pytest.raises(release.NotReady, match=says):
        release.check_ready(checkout, "1.2.3")


def test_only_what_is_committed_is_released(checkout, tmp_path):
    (checkout / "private.txt").write_text("a")
    release.export_source(checkout, tmp_path / "source")
    assert not (tmp_path / "source/private.txt").exists()
    assert (tmp_path / "source/CHANGELOG.md").is_file()


def test_the_same_files_give_the_same_archives(tmp_path):
    packed = []
    for number, names in enumerate((("a", "b"), ("b", "a"))):
        folder = tmp_path / str(number) / "files"
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_text(name * 3)
        archive = folder.with_suffix(".tar.gz")
        with tarfile.open(archive, "w:gz") as tar:
            for name in names:
                item = tar.gettarinfo(folder / name, name)
                item.mtime, item.uid, item.uname = number, number, f"user{number}"
                with (folder / name).open("rb") as stream:
                    tar.addfile(item, stream)
        release.pack_again(archive, EPOCH)
        release.pack_folder(folder, folder.with_suffix(".zip"), EPOCH)
        packed.append((archive.read_bytes(), folder.with_suffix(".zip").read_bytes()))
    assert packed[0] == packed[1]
    with tarfile.open(tmp_path / "0/files.tar.gz") as tar:
        assert tar.getnames() == ["a", "b"]
        assert tar.extractfile("b").read() == b"bbb"
    with zipfile.ZipFile(tmp_path / "0/files.zip") as file:
        assert file.read("files/a") == b"aaa"
    assert gzip.decompress(packed[0][0])


def steps(monkeypatch, **changed):
    """Stands in for what takes minutes: each step writes one file."""

    def writes(name):
        return lambda _source, output, *_rest: (output / name).write_text(name)

    written = {"build_packages": writes("a.whl"), "build_module": writes("b.zip"), "write_bill": writes("c.json")}
    for name, step in {**written, **changed}.items():
        monkeypatch.setattr(release, name, step)


def test_a_release_is_there_at_once_with_its_sums_and_is_never_replaced(checkout, monkeypatch, tmp_path):
    steps(monkeypatch)
    final = tmp_path / "dist/1.2.3"
    release.make_release(checkout, final, "1.2.3")
    assert sorted(path.name for path in final.iterdir()) == ["SHA256SUMS", "a.whl", "b.zip", "c.json"]
    for line in (final / "SHA256SUMS").read_text().splitlines():
        number, name = line.split("  ")
        assert number == release.sha256(final / name)
    with pytest.raises(release.NotReady, match="never replaced"):
        release.make_release(checkout, final, "1.2.3")


def test_a_step_that_fails_leaves_nothing(checkout, monkeypatch, tmp_path):
    def fails(*_args):
        release.run([sys.executable, "-c", "raise SystemExit('no wheel')"], tmp_path)

    steps(monkeypatch, write_bill=fails)
    with pytest.raises(release.NotReady, match="no wheel"):
        release.make_release(checkout, tmp_path / "dist/1.2.3", "1.2.3")
    assert not list((tmp_path / "dist").iterdir())


def test_shipped_networks_stand_in_the_bill():
    for description in (ROOT / "OrbitalSegLib/models").glob("*/model.json"):
        component = release.network_component(description)
        assert component["version"] == json.loads(description.read_text())["version"]
        assert component["hashes"][0]["content"] == release.sha256(description)


def test_the_library_imports_nothing_from_its_own_front():
    """The front stands on the rooms behind it, so none of them may ask it for more than another room."""
    rooms = {path.stem for path in (ROOT / "OrbitalSegLib").iterdir()}
    for path in sorted((ROOT / "OrbitalSegLib").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "OrbitalSegLib":
                assert {name.name for name in node.names} <= rooms, path
            if isinstance(node, ast.Import):
                assert "OrbitalSegLib" not in {name.name for name in node.names}, path
