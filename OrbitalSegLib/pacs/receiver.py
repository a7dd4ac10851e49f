"""What a PACS or a scanner sends by itself: a storage SCP (PS3.4, B) that lets nobody in but who is expected."""

import socket
import ssl
import time
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from pynetdicom import AE, Association, build_context, evt

from OrbitalSegLib.errors import InputError, OrbitalSegError
from OrbitalSegLib.pacs.address import Address
from OrbitalSegLib.pacs.classes import (
    IMAGES,
    IMPLEMENTATION,
    NO_ROOM,
    NOT_UNDERSTOOD,
    OTHER_OBJECT,
    SUCCESS,
    SYNTAXES,
    VERIFICATION,
)

LONGEST_PDU_BYTES = 1 << 18
"""Of what is read at once; nobody sends more who heard what we take at most (PS3.8, D.1)."""

MOST_ASSOCIATIONS = 32
CONNECT_SECONDS, PDU_SECONDS, IDLE_SECONDS = 10.0, 10.0, 60.0
"""How long it may take until there is an association, until what is begun is said, and until anything is heard."""

CANNOT_LISTEN = "Nothing can be received at that address: it must be this computer's own, with a port that is free."

Keep = Callable[[bytes, str], Any]
"""Takes the bytes of a file, and the UID under which it was announced.

Raises `InputError` `bad-answer` for what is no image and `other-object` for another one, and `OutputError`.
"""

STATUSES = {"bad-answer": NOT_UNDERSTOOD, "other-object": OTHER_OBJECT}
"""By the code of an error what the sender hears; whatever else it is, there is no room."""


@contextmanager
def receiving(address: Address, allowed: Collection[str], most_bytes: int, keep: Keep) -> Iterator[None]:
    """Take what the `allowed` titles send to an address, for the length of a block.

    An association that sends an object of more than `most_bytes` is ended. Raises `InputError` `cannot-listen`.
    """
    entity = AE(address.path)
    entity.implementation_class_uid = IMPLEMENTATION
    entity.require_called_aet, entity.require_calling_aet = True, sorted(allowed)
    entity.maximum_associations = MOST_ASSOCIATIONS
    entity.acse_timeout = CONNECT_SECONDS
    entity.dimse_timeout = entity.network_timeout = IDLE_SECONDS
    entity.supported_contexts = [build_context(VERIFICATION), *(build_context(one, [*SYNTAXES]) for one in IMAGES)]
    handlers = [
        (evt.EVT_CONN_OPEN, _guard, [most_bytes]),
        (evt.EVT_C_STORE, _take, [keep]),
        (evt.EVT_PDU_RECV, _count, [most_bytes]),
        (evt.EVT_DIMSE_RECV, _begin_anew),
    ]
    try:
        server = entity.start_server((address.host, address.port), block=False, evt_handlers=handlers)
    except (OSError, ssl.SSLError) as error:
        raise InputError("cannot-listen", CANNOT_LISTEN) from error
    try:
        with warnings.catch_warnings():  # on standard error pydicom would say what strangers sent
            warnings.filterwarnings("ignore", module=r"pydicom\.")
            yield
    finally:
        server.shutdown()


def _take(event: evt.Event, keep: Keep) -> int:
    try:
        keep(event.encoded_dataset(), str(event.request.AffectedSOPInstanceUID))
    except OrbitalSegError as error:
        return STATUSES.get(error.code, NO_ROOM)
    return SUCCESS


def _guard(event: evt.Event, most_bytes: int) -> None:
    """Let nobody, whoever it is, fill the memory or hold the line; hang up where nonsense is sent.

    pynetdicom's own thread would die of it, and the association would never end.
    """
    connection, machine = event.assoc.dul.socket, event.assoc.dul.state_machine
    act = machine.do_action

    def guarded(what: str) -> None:
        try:
            act(what)
        except Exception:  # noqa: BLE001 - whatever it is, it was made of what a stranger sent
            connection.close()

    def limited(count: int) -> bytearray:
        if count > LONGEST_PDU_BYTES or _heard(event.assoc) > most_bytes:
            raise OSError("too long")
        return _read(connection.socket, count)

    connection.recv, machine.do_action = limited, guarded


def _read(connection: socket.socket, count: int) -> bytearray:
    """So many bytes, or what came before the other side hung up. Raises OSError where they are long in coming."""
    last, usual = time.monotonic() + PDU_SECONDS, connection.gettimeout()
    content = bytearray()
    try:
        while len(content) < count:
            connection.settimeout(max(last - time.monotonic(), 0.001))
            some = connection.recv(count - len(content))
            if not some:
                break
            content += some
    finally:
        connection.settimeout(usual)
    return content


def _heard(association: Association) -> int:
    """How long its message is by now."""
    return getattr(association, "orbitalseg_bytes", 0)


def _count(event: evt.Event, most_bytes: int) -> None:
    """End an association whose message grows beyond all bounds; `_guard` reads no more of it."""
    event.assoc.orbitalseg_bytes = _heard(event.assoc) + len(event.pdu)
    if _heard(event.assoc) > most_bytes:
        event.assoc.abort()


def _begin_anew(event: evt.Event) -> None:
    event.assoc.orbitalseg_bytes = 0
