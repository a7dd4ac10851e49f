"""An archive by DIMSE (PS3.7): C-FIND, C-GET, C-STORE, under TLS where the address says so. Needs pynetdicom."""

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, Association, build_context, build_role, evt
from pynetdicom.presentation import PresentationContext

from OrbitalSegLib.errors import InputError, OrbitalSegError
from OrbitalSegLib.export.headers import unchecked
from OrbitalSegLib.pacs.address import SERIES_KEYS, STUDY_KEYS, Address, trusted
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
from OrbitalSegLib.pacs.classes import (
    FIND,
    GET,
    IMAGES,
    IMPLEMENTATION,
    MODALITY,
    NO_ROOM,
    SUCCESS,
    SYNTAXES,
    VERIFICATION,
)

CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 60.0
"""How long it may take until there is an association, and until anything is heard."""

AT_ONCE = 100
"""Images that one question names."""

PENDING = (0xFF00, 0xFF01)


NO_GET = "The archive gives nothing by C-GET: ask it by DICOMweb, or let it send to `orbitalseg watch`."


@contextmanager
def connected(address: Address, calling: str) -> Iterator["DimseArchive"]:
    """See `archives.opened`. Associations are made as they are needed."""
    yield DimseArchive(address, calling)


class DimseArchive:
    """See `archives.Archive`."""

    def __init__(self, address: Address, calling: str) -> None:
        self._address = address
        self._entity = AE(calling)
        self._entity.implementation_class_uid = IMPLEMENTATION
        self._entity.connection_timeout = self._entity.acse_timeout = CONNECT_SECONDS
        self._entity.dimse_timeout = self._entity.network_timeout = ANSWER_SECONDS

    def echo(self) -> None:
        """Whether the archive answers at all (C-ECHO)."""
        with self._association([build_context(VERIFICATION)]) as association:
            _succeeded(association.send_c_echo())

    def studies(self) -> list[ArchivedStudy]:
        asked = self._address.chosen(STUDY_KEYS)
        fields = dict.fromkeys(("StudyInstanceUID", "StudyDate"), "") | asked
        answers = self._find("STUDY", {**fields, "ModalitiesInStudy": MODALITY})
        return in_order(
            ArchivedStudy(uid_in(one, "StudyInstanceUID"), one.get("StudyDate")) for one in answers if fits(asked, one)
        )

    def series(self, study: ArchivedStudy) -> list[ArchivedSeries]:
        asked = {**self._address.chosen(SERIES_KEYS), "Modality": MODALITY}
        fields = dict.fromkeys(("SeriesInstanceUID", *SERIES_FIELDS), "") | asked
        return series_of(study, self._find("SERIES", {"StudyInstanceUID": study.uid, **fields}), asked)

    def images(self, series: ArchivedSeries) -> list[str]:
        keys = {"StudyInstanceUID": series.study, "SeriesInstanceUID": series.uid, "SOPInstanceUID": ""}
        return sorted({uid_in(one, "SOPInstanceUID") for one in self._find("IMAGE", keys)})

    def patients(self, study: str) -> list[str]:
        no_find = InputError("not-let-in", REFUSED)
        try:
            answers = self._find("STUDY", {"StudyInstanceUID": study, "PatientID": ""}, no_find)
        except InputError as error:
            if error is no_find:  # it may store all the same
                return []
            raise
        return [one.get("PatientID", "") for one in answers if one.get("StudyInstanceUID") == study]

    def _find(self, level: str, keys: Mapping[str, str], otherwise: InputError | None = None) -> list[dict[str, str]]:
        answers = []
        with self._association([build_context(FIND)], otherwise) as association:
            for status, answer in association.send_c_find(_query(level, keys), FIND):
                if _status(status) in PENDING and answer is not None:
                    answers.append(said(answer))
                else:
                    _succeeded(status)
        return answers

    def fetch(self, series: ArchivedSeries, images: Sequence[str], keep: Callable[[bytes], Any]) -> None:
        failed: list[OrbitalSegError] = []

        def take(event: evt.Event) -> int:
            try:
                if not failed:
                    keep(event.encoded_dataset())
                    return SUCCESS
            except OrbitalSegError as error:
                failed.append(error)
            return NO_ROOM

        contexts = [build_context(GET), *(build_context(image, syntax) for image in IMAGES for syntax in SYNTAXES)]
        roles = [build_role(image, scp_role=True) for image in IMAGES]
        taking = [(evt.EVT_C_STORE, take)]
        with self._association(contexts, ext_neg=roles, evt_handlers=taking) as association:
            for start in range(0, len(images), AT_ONCE):
                some = "\\".join(images[start : start + AT_ONCE])
                keys = {"StudyInstanceUID": series.study, "SeriesInstanceUID": series.uid, "SOPInstanceUID": some}
                try:
                    for status, _ in association.send_c_get(_query("IMAGE", keys), GET):
                        if failed:
                            raise failed[0]
                        if _status(status) not in PENDING:
                            _succeeded(status)
                except ValueError as error:  # no context for it was accepted
                    raise InputError("bad-answer", NO_GET) from error

    def send(self, file: Path) -> None:
        dataset = dcmread(file)
        context = build_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
        not_stored = InputError("bad-answer", NOT_STORED)
        with self._association([context], not_stored) as association:
            with unchecked():
                status = association.send_c_store(dataset)
            if _status(status) != SUCCESS:
                raise not_stored

    @contextmanager
    def _association(
        self, contexts: list[PresentationContext], otherwise: InputError | None = None, **more: Any
    ) -> Iterator[Association]:
        """Raises what `Archive` does, and `otherwise` where none of the contexts is accepted."""
        if self._address.secure:
            more["tls_args"] = (trusted(), self._address.host)
        try:
            association = self._entity.associate(
                self._address.host, self._address.port, contexts, ae_title=self._address.path, **more
            )
        except OSError as error:  # no such host
            raise InputError("no-archive", UNREACHABLE) from error
        hear_all(association)
        if not association.is_established:
            refused = association.is_rejected or association.rejected_contexts
            raise otherwise or InputError("not-let-in", REFUSED) if refused else self._unreachable()
        try:
            yield association
            association.release()
        except RuntimeError as error:  # the connection was lost between two questions
            raise InputError("no-archive", UNREACHABLE) from error
        finally:
            association.abort()

    def _unreachable(self) -> InputError:
        """Why there is no association: pynetdicom does not say where a certificate was the reason."""
        if self._address.secure:
            place = (self._address.host, self._address.port)
            try:
                with (
                    socket.create_connection(place, CONNECT_SECONDS) as plain,
                    trusted().wrap_socket(plain, server_hostname=self._address.host),
                ):
                    pass
            except ssl.SSLError:
                return InputError("not-trusted", NOT_TRUSTED)
            except OSError:
                pass
        return InputError("no-archive", UNREACHABLE)


def hear_all(association: Association) -> None:
    """Let answers go to who waits for them alone.

    pynetdicom's own thread, meant to be halted meanwhile, takes one and drops it where it is slow to halt.
    """
    heard = association.dimse.get_msg
    association.dimse.get_msg = lambda block=False: heard(block=True) if block else (None, None)


def _query(level: str, keys: Mapping[str, str]) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = level
    with unchecked():
        for keyword, value in keys.items():
            setattr(query, keyword, value)
    return query


def _status(answer: Dataset) -> int:
    """The status of an answer. Raises `InputError` `no-archive` where the connection was lost."""
    if "Status" not in answer:
        raise InputError("no-archive", UNREACHABLE)
    return int(answer.Status)


def _succeeded(answer: Dataset) -> None:
    if _status(answer) != SUCCESS:
        raise InputError("bad-answer", NO_ANSWER)
