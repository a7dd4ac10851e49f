"""What the worker and the library say, in Slicer's language where the panel shows it.

What a job and a record say stays as it is: only what is shown is in another language.
"""

from OrbitalSegLib import languages
from OrbitalSegPanel.language import language


def told(text: str) -> str:
    """Words or sentences as a person reads them, line by line; what is not known is told as it is."""
    return "\n".join(languages.told(line, code()) for line in text.split("\n"))


def code() -> str:
    """Slicer's language, where the library has it; else English."""
    spoken = language().partition("_")[0]
    return spoken if spoken in languages.LANGUAGES else languages.ENGLISH
