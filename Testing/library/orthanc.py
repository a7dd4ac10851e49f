"""A real archive: Orthanc on this computer, with a configuration of its own, started and stopped by the tests."""

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
USER, PASSWORD = "lab", "never-shown"
TITLE, KNOWN = "ARCHIVE", "ORBITALSEG"
START_SECONDS = 60.0


def need() -> None:
    """Leave the tests of a file out where Orthanc is missing, or fail where no skip is allowed."""
    if shutil.which("Orthanc") and Path(PLUGIN).exists():
        return
    reason = "tool Orthanc is missing: apt-get install orthanc orthanc-dicomweb"
    if os.environ.get("ORBITALSEG_NO_SKIP"):
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Orthanc:
    """An archive that keeps what it has when it is stopped, and starts anew with it."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.folder = folder
        self.http, self.dicom = free_port(), free_port()
        self.configuration = {
            "Name": "test",
            "HttpPort": self.http,
            "DicomPort": self.dicom,
            "DicomAet": TITLE,
            "DicomCheckCalledAet": True,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {USER: PASSWORD},
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "Plugins": [PLUGIN],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            **{f"DicomAlwaysAllow{service}": False for service in ("Find", "Get", "Move", "Store")},
            "DicomModalities": {"known": [KNOWN, "127.0.0.1", 1]},
            **more,
        }
        self.start()

    def start(self) -> None:
        file = self.folder / "configuration.json"
        file.write_text(json.dumps(self.configuration))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(["Orthanc", str(file)], stdout=log, stderr=log)
        last = time.monotonic() + START_SECONDS
        for port in (self.http, self.dicom):
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    if time.monotonic() > last or self.process.poll() is not None:
                        raise
                    time.sleep(0.02)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def web(self, secure: str = "", host: str = "127.0.0.1") -> str:
        return f"dicomweb{secure}://{host}:{self.http}/dicom-web"

    def dimse(self, secure: str = "", host: str = "127.0.0.1") -> str:
        return f"dimse{secure}://{host}:{self.dicom}/{TITLE}"
