"""OpenVINO without its telemetry, which tells its makers over the network that it was imported: nothing leaves the
user's computer. Whoever needs OpenVINO takes it from here."""

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # no module: it does without

import openvino  # noqa: E402 - only after the line above
from openvino import opset13 as ops  # noqa: E402 - the same

__all__ = ["openvino", "ops"]
