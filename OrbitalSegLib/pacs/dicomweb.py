"""An archive by DICOMweb (PS3.18): QIDO-RS, WADO-RS, STOW-RS. Needs dicomweb-client."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from requests.adapters import HTTPAdapter

from OrbitalSegLib.dicom_files import save_dicom
from OrbitalSegLib.errors import InputError
from OrbitalSegLib.export.headers import unchecked
from OrbitalSegLib.pacs.address import SERIES_KEYS, STUDY_KEYS, Address, Credentials, credentials, trusted
from OrbitalSegLib.pacs.archives import (
    NO_ANSWER,
    NOT_STORED,
    NOT_TRUSTED,
    REFUSED,
    SERIES_FIELDS,
    UNREACHABLE,
    ArchivedSeries,
    ArchivedStudy,
    fits,
    in_order,
    said,
    series_of,
    uid_in,
)
from OrbitalSegLib.pacs.classes import MODALITY

SECONDS = (10.0, 60.0)
"""How long it may take until there is a connection, and until anything is heard."""

MOST_BYTES, MOST_JSON_BYTES = 2_000_000_000, 256_000_000
"""Of an image, and of a page of what is found, unpacked."""

SLOWEST_BYTES_S = 10_000.0
"""Who says less for long is not waited for."""

CHUNK_BYTES = 1 << 16

TOO_MUCH = (
    "The archive's answer is too large, or comes too slowly: ask for less of it, as by StudyDate, or ask whoever runs "
    "it."
)

AS_STORED = (("application/dicom", "*"),)
"""No archive is to decompress what we can read."""


for _name in ("dicomweb_client", "retrying", "urllib3"):
    logging.getLogger(_name).addHandler(logging.NullHandler())  # they would write addresses to standard error


class _Bounded(HTTPAdapter):
    """TLS by `trusted`, and answers that end: an endless one, or one packed to be endless, fills no memory."""

    def init_poolmanager(self, *arguments: Any, **more: Any) -> Any:
        return super().init_poolmanager(*arguments, ssl_context=trusted(), **more)

    def send(self, request: requests.PreparedRequest, *arguments: Any, **more: Any) -> requests.Response:
        response = super().send(request, *arguments, **{**more, "stream": True})
        most = MOST_JSON_BYTES if "json" in request.headers.get("Accept", "") else MOST_BYTES
        begun, content = time.monotonic(), bytearray()
        while some := response.raw.read1(CHUNK_BYTES, decode_content=True):
            content += some
            late = time.monotonic() - begun > SECONDS[1] + len(content) / SLOWEST_BYTES_S
            if late or len(content) > most:
                response.close()
                raise InputError("bad-answer", TOO_MUCH)
        response._content = bytes(content)
        return response


class _As(requests.auth.AuthBase):
    """Who asks; with no credentials nobody, whatever this computer's own files hold."""

    def __init__(self, who: Credentials) -> None:
        self._who = who

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._who.token:
            request.headers["Authorization"] = f"Bearer {self._who.token}"
        elif self._who.user:
            return requests.auth.HTTPBasicAuth(self._who.user.encode(), self._who.password.encode())(request)
        return request


WRONG = (InvalidDicomError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError, RecursionError)
"""What comes of an answer that is no DICOM."""


@contextmanager
def connected(address: Address, _calling: str) -> Iterator["WebArchive"]:
    """See `archives.opened`. Raises `InputError` `no-credentials` too."""
    with requests.Session() as session:
        session.auth = _As(credentials(address))
        session.trust_env = False  # no proxy hears who asks
        session.max_redirects = 0  # credentials go nowhere else
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Bounded())
        host = f"[{address.host}]" if ":" in address.host else address.host
        url = f"http{'s' if address.secure else ''}://{host}:{address.port}/{address.path}".rstrip("/")
        client = DICOMwebClient(url, session=session, timeout=SECONDS)
        client.set_http_retry_params(retry=False)
        yield WebArchive(client, address)


@contextmanager
def _answering() -> Iterator[None]:
    """Turn what goes wrong between here and the archive into its sentence."""
    try:
        with unchecked():
            yield
    except requests.exceptions.SSLError as error:
        raise InputError("not-trusted", NOT_TRUSTED) from error
    except requests.HTTPError as error:
        answer = error.response.status_code if error.response is not None else 0
        if answer in (401, 403):
            raise InputError("not-let-in", REFUSED) from None
        raise InputError("bad-answer", NO_ANSWER) from None
    except requests.TooManyRedirects:
        raise InputError("bad-answer", NO_ANSWER) from None
    except requests.exceptions.JSONDecodeError as error:
        raise InputError("bad-answer", NO_ANSWER) from error
    except (requests.RequestException, OSError):
        raise InputError("no-archive", UNREACHABLE) from None
    except WRONG as error:
        raise InputError("bad-answer", NO_ANSWER) from error


class WebArchive:
    """See `archives.Archive`."""

    def __init__(self, client: DICOMwebClient, address: Address) -> None:
        self._client = client
        self._address = address

    def studies(self) -> list[ArchivedStudy]:
        asked = self._address.chosen(STUDY_KEYS)
        search = partial(self._client.search_for_studies, search_filters={**asked, "ModalitiesInStudy": MODALITY})
        answers = self._all(search, "StudyInstanceUID")
        return in_order(ArchivedStudy(uid, one.get("StudyDate")) for uid, one in answers.items() if fits(asked, one))

    def series(self, study: ArchivedStudy) -> list[ArchivedSeries]:
        asked = {**self._address.chosen(SERIES_KEYS), "Modality": MODALITY}
        search = partial(self._client.search_for_series, study.uid, fields=SERIES_FIELDS, search_filters=asked)
        return series_of(study, self._all(search, "SeriesInstanceUID").values(), asked)

    def images(self, series: ArchivedSeries) -> list[str]:
        search = partial(self._client.search_for_instances, series.study, series.uid)
        return sorted(self._all(search, "SOPInstanceUID"))

    def patients(self, study: str) -> list[str]:
        with _answering():
            answers = self._client.search_for_studies(search_filters={"StudyInstanceUID": study})
            held = [said(Dataset.from_json(answer)) for answer in answers]
        return [one.get("PatientID", "") for one in held if one.get("StudyInstanceUID") == study]

    def _all(self, search: Callable[..., Any], uid: str) -> dict[str, dict[str, str]]:
        """What a search finds, by its UIDs: page by page, until an archive has no more, or says again what it said."""
        found: dict[str, dict[str, str]] = {}
        while True:
            with _answering():
                page = [said(Dataset.from_json(answer)) for answer in search(offset=len(found) or None)]
                new = {uid_in(one, uid): one for one in page if one.get(uid) not in found}
            if not new:
                return found
            found |= new

    def fetch(self, series: ArchivedSeries, images: Sequence[str], keep: Callable[[bytes], Any]) -> None:
        for image in images:
            with _answering():
                dataset = self._client.retrieve_instance(series.study, series.uid, image, media_types=AS_STORED)
                content = BytesIO()
                save_dicom(dataset, content)
            keep(content.getvalue())

    def send(self, file: Path) -> None:
        with _answering():
            failed = self._client.store_instances([dcmread(file)]).get("FailedSOPSequence")
        if failed:
            raise InputError("bad-answer", NOT_STORED)
