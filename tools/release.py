"""Make the files of a release: `make release`. docs/releasing.md says what has to be done before and after."""

import argparse
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = "cli,mesh,infer,dicom,pacs"
"""What a user may be asked to install; `learn` is for those who train."""

SUMS = "SHA256SUMS"


class NotReady(Exception):
    """The release cannot be made: one sentence says why, and what to do."""


def run(command: Sequence[str | Path], folder: Path, **environment: str) -> str:
    """What a program printed. Raises `NotReady` with the end of what it said where it fails."""
    done = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-2000:]
        raise NotReady(f"`{' '.join(map(str, command))}` failed; mend what it says:\n{said}")
    return done.stdout


def version_of(source: Path) -> str:
    """The version that the library says it has."""
    text = (source / "OrbitalSegLib/product.py").read_text(encoding="utf-8")
    return re.findall(r'^VERSION = "([^"]+)"', text, re.MULTILINE)[0]


def changes_of(source: Path, version: str) -> str:
    """The section of the changelog about a version. Raises `NotReady` where there is none, or nothing in it."""
    text = (source / "CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {re.escape(version)}\b[^\n]*\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if section is None or not section[1].strip():
        raise NotReady(f"CHANGELOG.md says nothing of {version}: rename the section Unreleased to `## {version}`.")
    return section[1].strip()


def check_ready(root: Path, version: str) -> None:
    """Raise `NotReady` unless the checkout is clean, and its commit is the one that the version's tag names."""
    if run(["git", "status", "--porcelain"], root).strip():
        raise NotReady("Files differ from the commit: commit or remove them (`git status` lists them).")
    tag = f"v{version}"
    if tag not in run(["git", "tag", "--points-at", "HEAD"], root).split():
        raise NotReady(f"The commit does not bear the tag {tag}: `git tag --annotate {tag}` sets it.")
    changes_of(root, version)
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    if f"\nversion: {version}\n" not in citation:
        raise NotReady(f"CITATION.cff names another version: write {version} there.")


def export_source(root: Path, folder: Path) -> int:
    """Write the commit's files into a folder, whatever else lies in the checkout; gives the commit's time."""
    archive = folder.with_suffix(".tar")
    run(["git", "archive", "--output", archive, "HEAD"], root)
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    archive.unlink()
    return int(run(["git", "log", "-1", "--format=%ct"], root))


def pack_again(archive: Path, epoch: int) -> None:
    """Pack a .tar.gz anew: the same files give the same bytes, whoever packs them, whenever and wherever."""
    with tarfile.open(archive) as packed:
        files = [(item, packed.extractfile(item)) for item in packed.getmembers() if item.isfile()]
        contents = {item.name: (item.mode, stream.read()) for item, stream in files if stream}
    with (
        archive.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=epoch) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as packed,
    ):
        for name in sorted(contents):
            mode, content = contents[name]
            item = tarfile.TarInfo(name)
            item.size, item.mtime, item.mode = len(content), epoch, 0o755 if mode & 0o100 else 0o644
            with tempfile.SpooledTemporaryFile() as stream:
                stream.write(content)
                stream.seek(0)
                packed.addfile(item, stream)


def pack_folder(folder: Path, archive: Path, epoch: int) -> None:
    """Pack a folder as .zip, with the same bytes from the same files."""
    moment = datetime.fromtimestamp(epoch, UTC).timetuple()[:6]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            item = zipfile.ZipInfo((folder.name / path.relative_to(folder)).as_posix(), moment)
            item.external_attr = 0o644 << 16
            packed.writestr(item, path.read_bytes(), zipfile.ZIP_DEFLATED)


def build_packages(source: Path, output: Path, epoch: int) -> None:
    """The source distribution, and the wheel that is built from it."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", output]
    run(command, source, SOURCE_DATE_EPOCH=str(epoch))
    for archive in output.glob("*.tar.gz"):
        pack_again(archive, epoch)


def build_module(source: Path, output: Path, work: Path, version: str, epoch: int) -> None:
    """The module and its library as CMake installs them: a folder for 3D Slicer's *Additional module paths*.

    An archive for the Extensions Manager is made by Slicer's own build, of this CMake project.
    """
    build, prefix = work / "cmake", work / "installed"
    run(["cmake", "-S", source, "-B", build, f"-DSlicer_DIR={source / 'Testing/cmake'}"], work)
    run(["cmake", "--build", build], work)
    run(["cmake", "--install", build, "--prefix", prefix], work)
    installed = next(prefix.rglob("OrbitalSeg.py")).parent
    folder = shutil.move(installed, work / f"OrbitalSeg-{version}")
    pack_folder(Path(folder), output / f"OrbitalSeg-{version}-slicer-module.zip", epoch)


def write_bill(source: Path, output: Path, work: Path, version: str) -> None:
    """The software bill of materials (CycloneDX): what the wheel and its extras install today, and the networks.

    The wheel is installed into a new environment and run there, so that what is listed is what works.
    """
    environment = work / "environment"
    venv.create(environment, with_pip=False)
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    wheel = next(output.glob("*.whl"))
    pip = [sys.executable, "-m", "pip", "--python", python, "--quiet", "--disable-pip-version-check"]
    run([*pip, "install", f"{wheel}[{EXTRAS}]"], work)
    run([python, "-m", "OrbitalSegLib", "methods"], work)
    for origin in environment.rglob("direct_url.json"):
        origin.unlink()  # it names a folder of this computer
    path = output / f"OrbitalSeg-{version}.cdx.json"
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--spec-version", "1.6"]
    options = ["--pyproject", source / "pyproject.toml", "--mc-type", "application", "--output-file", path]
    run([*command, *options, python], work)
    bill = json.loads(path.read_text(encoding="utf-8"))
    bill["metadata"]["component"]["version"] = version
    bill["components"] += [
        network_component(model) for model in sorted(source.glob("OrbitalSegLib/models/*/model.json"))
    ]
    path.write_text(json.dumps(bill, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def network_component(description: Path) -> dict[str, Any]:
    """A shipped model package as a component of the bill; its description holds the sums of its other files."""
    said = json.loads(description.read_text(encoding="utf-8"))
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{said['name']}",
        "name": said["name"],
        "version": said["version"],
        "licenses": [{"license": {"id": said["licence"]}}],
        "hashes": [{"alg": "SHA-256", "content": sha256(description)}],
    }


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_sums(folder: Path) -> None:
    """The checksums of all files of a folder, for `sha256sum --check`."""
    lines = [f"{sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir()) if path.name != SUMS]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def make_release(root: Path, final: Path, version: str) -> None:
    """Make all files of a release in a folder that is there at once, when it is whole, or not at all."""
    if final.exists():
        raise NotReady(f"{final.name} exists in {final.parent.name}: move it away; a release is never replaced.")
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".release-", dir=final.parent) as name:
        work = Path(name)
        source, output = work / "source", work / "output"
        output.mkdir()
        epoch = export_source(root, source)
        build_packages(source, output, epoch)
        build_module(source, output, work, version, epoch)
        write_bill(source, output, work, version)
        write_sums(output)
        output.rename(final)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rehearse", action="store_true", help="of the last commit, without tag or changelog")
    rehearse = parser.parse_args().rehearse
    version = version_of(ROOT)
    final = ROOT / "dist" / (f"{version}-rehearsal" if rehearse else version)
    os.umask(0o022)
    try:
        if not rehearse:
            check_ready(ROOT, version)
        make_release(ROOT, final, version)
    except NotReady as problem:
        print(problem, file=sys.stderr)
        return 1
    print((final / SUMS).read_text(encoding="utf-8"), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
