"""The configurations that come with the library, by name."""

from pathlib import Path

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.training import config
from OrbitalSegLib.training.config import Training

FOLDER = Path(__file__).parent / "configs"


def presets() -> dict[str, Path]:
    """Name -> TOML file: `iso-3532-2`, `ekman-2025`, `orbitalseg`."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}


def load(name_or_file: str | Path) -> Training:
    """A preset by its name, or the configuration in a file. Raises `InputError` `invalid-config`."""
    known = presets()
    if str(name_or_file) in known:
        return config.load(known[str(name_or_file)])
    if not Path(name_or_file).is_file():
        raise unknown()
    return config.load(Path(name_or_file))


def unknown() -> InputError:
    """The refusal of what is neither a preset nor a file."""
    return InputError(
        "invalid-config", f"There is no such configuration: give a file, or one of {', '.join(presets())}."
    )
