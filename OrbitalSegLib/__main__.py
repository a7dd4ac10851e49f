"""`orbitalseg` and `python -m OrbitalSegLib`: the command line, or what it needs."""

import sys


def main() -> None:
    """Start the command line. Without the extra `cli`, say how to get it."""
    try:
        from OrbitalSegLib import cli
    except ModuleNotFoundError as missing:
        if missing.name not in ("typer", "rich"):
            raise
        sys.exit("The command line needs two more packages: pip install 'orbitalseg[cli]'")
    cli.main()


if __name__ == "__main__":
    main()
