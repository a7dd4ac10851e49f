"""Where an archive is, what of it is meant, and who asks."""

import json
import os
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from OrbitalSegLib.errors import InputError, JobError

DICOMWEB, DIMSE = "dicomweb", "dimse"
PROTOCOLS = {f"{way}{secure}": (way, bool(secure)) for way in (DICOMWEB, DIMSE) for secure in ("", "s")}
"""By the first word of an address the way, and whether it is under TLS."""

STUDY_KEYS = ("PatientID", "AccessionNumber", "StudyInstanceUID", "StudyDate", "StudyDescription")
SERIES_KEYS = ("SeriesInstanceUID", "SeriesDescription", "BodyPartExamined")
"""By what studies and series may be chosen."""

LONGEST_TITLE = 16
"""Of an application entity (PS3.5, AE)."""

PORTS = {DICOMWEB: (80, 443), DIMSE: (104, 2762)}

OWN_TITLE = "ORBITALSEG"
"""The application entity that asks, where nothing else is said."""

THIS_COMPUTER = ("localhost", "127.0.0.1", "::1")

USER, PASSWORD, TOKEN, FILE, CERTIFICATES = (
    f"ORBITALSEG_PACS_{name}" for name in ("USER", "PASSWORD", "TOKEN", "CREDENTIALS", "CERTIFICATES")
)
"""Variables of the environment: who asks, or a file that says it; and a file of authorities (PEM) to trust."""

FORM = (
    "An archive is given as dicomweb://HOST:PORT/PATH or dimse://HOST:PORT/TITLE (under TLS as dicomwebs:// and "
    "dimses://), and may say what is meant of it, as ?StudyDate=20260101-20260131."
)
NO_KEY = f"An archive may be asked by: {', '.join((*STUDY_KEYS, *SERIES_KEYS))}."
SECRET_IN_ADDRESS = (
    f"A password has no place in an address, which others can see: give it in {USER} and {PASSWORD}, or in a file "
    f"that {FILE} names."
)
NO_CREDENTIALS = f"The file that {FILE} names must be JSON with `user` and `password`, or with `token`, and must exist."
OPEN_FILE = f"Others can read the file that {FILE} names: let its owner alone read it (chmod 600), then run again."
IN_THE_CLEAR = (
    "A password would cross the network unprotected: give the archive as dicomwebs://, or leave the password out."
)
NO_CERTIFICATES = f"The file that {CERTIFICATES} names must exist and hold certificates in PEM."


@dataclass(frozen=True)
class Address:
    """An archive, and what of it is meant."""

    way: str
    secure: bool
    host: str
    port: int
    path: str
    """Of DICOMweb the path of its services, of DIMSE the title of the archive's application entity."""
    asked: Mapping[str, str] = field(default_factory=dict)
    """By attributes: `STUDY_KEYS` and `SERIES_KEYS`."""

    @property
    def is_here(self) -> bool:
        """Whether it is this computer."""
        return self.host in THIS_COMPUTER

    def chosen(self, keys: tuple[str, ...]) -> dict[str, str]:
        """What is asked by these attributes."""
        return {key: value for key, value in self.asked.items() if key in keys}


def is_address(text: str) -> bool:
    """Whether a text means an archive, not a path."""
    return text.partition("://")[0] in PROTOCOLS and "://" in text


def address_of(text: str) -> Address:
    """An archive from its address. Raises `JobError` `invalid-job`.

    Examples
    --------
    >>> address_of("dimse://pacs:4242/ARCHIVE?StudyDate=20260101-20260131").port
    4242
    """
    try:
        parts = urlsplit(text)
        way, secure = PROTOCOLS[parts.scheme]
        host, port = parts.hostname or "", parts.port
    except (ValueError, KeyError) as error:
        raise JobError("invalid-job", FORM) from error
    if "@" in parts.netloc:
        raise JobError("invalid-job", SECRET_IN_ADDRESS)
    path = parts.path.strip("/")
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    if not set(asked) <= {*STUDY_KEYS, *SERIES_KEYS}:
        raise JobError("invalid-job", NO_KEY)
    if not host or parts.fragment or (way == DIMSE and not is_title(path)):
        raise JobError("invalid-job", FORM)
    return Address(way, secure, host, port or PORTS[way][secure], path, asked)


def is_title(text: str) -> bool:
    """Whether a text may name an application entity."""
    return (
        0 < len(text) <= LONGEST_TITLE
        and text.isascii()
        and text.isprintable()
        and "\\" not in text
        and text == text.strip()
    )


@dataclass(frozen=True)
class Credentials:
    """Who asks an archive; nothing shows them."""

    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.user or self.token)


def credentials(address: Address) -> Credentials:
    """Those of the environment, or of the file that it names; none where neither says any.

    Raises `InputError` `no-credentials` where they cannot be used, or would cross a network in the clear.
    """
    file = os.environ.get(FILE)
    found = _of_file(Path(file)) if file else _of_environment()
    if found and not address.secure and not address.is_here:
        raise InputError("no-credentials", IN_THE_CLEAR)
    return found


def _of_environment() -> Credentials:
    return Credentials(*(os.environ.get(name, "") for name in (USER, PASSWORD, TOKEN)))


def _of_file(path: Path) -> Credentials:
    try:
        if sys.platform != "win32" and path.stat().st_mode & 0o077:
            raise InputError("no-credentials", OPEN_FILE)
        given = json.loads(path.read_text(encoding="utf-8"))
        if not given or not all(isinstance(value, str) for value in given.values()):
            raise TypeError
        return Credentials(**given)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError("no-credentials", NO_CREDENTIALS) from error


def trusted() -> ssl.SSLContext:
    """TLS that is verified, by this computer's authorities or by those that the environment names.

    Raises `InputError` `no-credentials` where their file cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=os.environ.get(CERTIFICATES))
    except (OSError, ssl.SSLError) as error:
        raise InputError("no-credentials", NO_CERTIFICATES) from error
