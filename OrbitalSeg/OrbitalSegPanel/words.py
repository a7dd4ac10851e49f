"""Words of the worker and of the library that the panel shows by themselves, in Slicer's language.

What a job and a record call things stays as it is: only what is shown is another word.
"""

from slicer.i18n import tr as _

VERDICTS = ("trust", "check", "do not use")
FEASIBILITIES = ("feasible", "borderline", "not feasible")
CONDITIONS = ("met", "not met", "not stated")
STEPS = (
    *("reading", "acquisition", "locating", "segmenting", "postprocessing", "monitoring", "modelling", "measuring"),
    *("review", "writing", "preview", "phantom"),
)
"""Of the tasks that the panel gives to the worker."""

WORDS = (*VERDICTS, *FEASIBILITIES, *CONDITIONS, *STEPS)


def told(word: str) -> str:
    """A word as a person reads it; one that is not known here is told as it is."""
    return _(word)
