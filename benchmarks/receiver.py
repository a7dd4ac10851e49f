#!/usr/bin/env python3
"""What a receiver bears: nonsense of 500 kinds, and 1000 objects from 4 senders at once, out of order and twice.

    PYTHONPATH=.:Testing/library python benchmarks/receiver.py FOLDER

The receiver is a process of its own, whose memory is looked at: before, after the nonsense, and after it once more.
"""

import json
import multiprocessing
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

from test_watch import MOST_BYTES, SENDER, TITLE, free_port, images_in, malformed, send, series, throw

from OrbitalSegLib.archive.watching import sent_to
from OrbitalSegLib.pacs.address import address_of
from OrbitalSegLib.pacs.receiver import CONNECT_SECONDS

NONSENSE = 500
OBJECTS = 1000


def listen(port: int, private: Path, told: Any) -> None:
    """Receive until asked to end; says when it is there, and how many threads it has when it is asked."""
    private.mkdir(parents=True)
    with sent_to(address_of(f"dimse://127.0.0.1:{port}/{TITLE}"), [SENDER], MOST_BYTES, 3600, private):
        told.send("there")
        while told.recv():
            told.send(threading.active_count())


def memory_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


def main() -> None:
    """Print what was found as JSON."""
    folder, port = Path(sys.argv[1]), free_port()
    told, heard = multiprocessing.Pipe()
    receiver = multiprocessing.get_context("spawn").Process(target=listen, args=(port, folder / "private", heard))
    receiver.start()
    told.recv()

    def look() -> dict[str, float]:
        told.send(True)
        return {"MB": round(memory_mb(receiver.pid or 0), 1), "threads": told.recv()}

    found: dict[str, Any] = {"before": look()}
    for again in ("nonsense", "nonsense again"):
        for seed in range(NONSENSE):
            throw(port, malformed(seed))
        time.sleep(CONNECT_SECONDS + 5)  # until nobody is waited for any more
        found[again] = look()
    sent = [image for number in range(1, 5) for image in series(number, OBJECTS // 4)]
    parts = [Random(number).sample(sent, len(sent))[: OBJECTS // 2] for number in range(3)]
    missing = [image for image in sent if not any(image in part for part in parts)]
    start = time.monotonic()
    with ThreadPoolExecutor(4) as senders:
        statuses = [status for some in senders.map(lambda part: send(port, part), [*parts, missing]) for status in some]
    found["objects"] = {
        "sent": len(statuses),
        "refused": sum(status != 0 for status in statuses),
        "kept": len(images_in(folder / "private/arriving")),
        "seconds": round(time.monotonic() - start, 1),
        "alive": receiver.is_alive(),
        "beside its folder": sorted(path.name for path in folder.iterdir() if path.name != "private"),
    }
    time.sleep(1)
    found["after"] = look()
    told.send(False)
    receiver.join()
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
