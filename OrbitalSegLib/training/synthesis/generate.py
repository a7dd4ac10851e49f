"""Many cases into one folder: `python -m OrbitalSegLib.training.synthesis.generate --help`."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from OrbitalSegLib.errors import OutputError
from OrbitalSegLib.progress import Progress, silent
from OrbitalSegLib.training.cases import Case, is_case, write_case
from OrbitalSegLib.training.synthesis.settings import Settings
from OrbitalSegLib.training.synthesis.synthesis import synthesize
from OrbitalSegLib.training.templates.template import read_template


def generate(
    templates: Sequence[Path],
    folder: Path,
    seeds: Iterable[int],
    settings: Settings | None = None,
    *,
    truth: bool = False,
    progress: Progress = silent,
) -> list[Path]:
    """Make `FOLDER/TEMPLATE-SEED` for every seed, with the templates in turn, and return the cases' folders.

    Cases that are there already are kept, so that an interrupted run goes on where it stopped, and several processes
    with different seeds may share the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seeds = list(seeds)
    cases = []
    done = 0
    for number, source in enumerate(templates):
        template = None
        for seed in seeds:
            if seed % len(templates) != number:
                continue
            case = folder / f"{source.name}-{seed:05d}"
            if not is_case(case):
                template = template or read_template(source)
                _write_unless_there(synthesize(template, seed, settings, truth=truth), case)
            cases.append(case)
            done += 1
            progress(done / len(seeds))
    return cases


def _write_unless_there(case: Case, folder: Path) -> None:
    try:
        write_case(case, folder)
    except OutputError as error:
        if error.code != "exists" or not is_case(folder):
            raise


def main() -> None:
    """Make cases from the command line."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--templates", type=Path, nargs="+", required=True, help="template folders, taken in turn")
    parser.add_argument(
        "--seeds", type=int, nargs="+", required=True, metavar="N", help="FIRST END [STEP], END not included"
    )
    parser.add_argument("--truth", action="store_true", help="add the bone on a grid of 0.2 mm")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    generate(arguments.templates, arguments.folder, range(*arguments.seeds), truth=arguments.truth)


if __name__ == "__main__":
    main()
