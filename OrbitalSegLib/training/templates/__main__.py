"""`python -m OrbitalSegLib.training.templates FOLDER [--data FOLDER] [--templates FOLDER ...]`: build all templates."""

import argparse
from pathlib import Path

from OrbitalSegLib.training.templates.sources import templates
from OrbitalSegLib.training.templates.template import write_template


def main() -> None:
    """Write each template into a folder of its own name."""
    parser = argparse.ArgumentParser(prog="python -m OrbitalSegLib.training.templates", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="where the templates are put")
    parser.add_argument("--data", type=Path, help="a folder with skull-template/ and visible-human-female/")
    parser.add_argument("--templates", type=Path, nargs="+", default=[], help="folders with seeds.json and skull.nrrd")
    parser.add_argument("--overwrite", action="store_true", help="replace templates of the same name")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for template in templates(arguments.data, arguments.templates):
        write_template(template, arguments.folder / template.name, overwrite=arguments.overwrite)


if __name__ == "__main__":
    main()
