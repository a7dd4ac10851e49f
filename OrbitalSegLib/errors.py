"""The errors that a user can cause; every other exception is a bug."""

INTERNAL = "OrbitalSeg made a mistake of its own: please report it with the text on standard error."
NO_MEMORY = "The scan does not fit into the memory: close other programs, or choose a region."


class OrbitalSegError(Exception):
    """One sentence that says what is wrong, where, and what to do.

    `code` and `exit_code` are those of docs/contracts.md, section 7. The text holds no path and no patient identity,
    because it is shown, logged and passed on.
    """

    exit_code = 1

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class JobError(OrbitalSegError):
    """The job cannot be understood."""

    exit_code = 2


class InputError(OrbitalSegError):
    """The input cannot be used."""

    exit_code = 3


class OutputError(OrbitalSegError):
    """The result cannot be written."""

    exit_code = 4


class Cancelled(OrbitalSegError):
    """The user stopped the work."""

    exit_code = 130

    def __init__(self) -> None:
        super().__init__("cancelled", "The work was cancelled; nothing was left behind.")
