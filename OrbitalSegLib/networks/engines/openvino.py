"""A network in OpenVINO, on the processor: the engine that needs no torch."""

import numpy as np
import openvino

from OrbitalSegLib.networks.engines.engine import BATCH, batches

TYPES = {"fp32": openvino.Type.f32, "bf16": openvino.Type.bf16}


class OpenVinoEngine:
    """A network from its ONNX file, compiled for slices of any size: as fast as for one size, and sooner ready."""

    name = "openvino"
    device = "cpu"

    def __init__(self, onnx: bytes, stride: int, precision: str, threads: int) -> None:
        self.precision = precision
        self.threads = threads
        self._stride = stride
        core = openvino.Core()
        options = {
            "INFERENCE_PRECISION_HINT": TYPES[precision],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            # The computer is not ours alone: bound to the first cores, two programs wait for each other on one core.
            "ENABLE_CPU_PINNING": False,
        }
        self._run = core.compile_model(core.read_model(onnx), "CPU", options)

    def probabilities(self, slices: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        count, height, width = slices.shape
        result = np.empty((count, height, width), np.float32)
        for which, batch in batches(slices, self._stride, BATCH):
            found = self._run(batch, share_inputs=True, share_outputs=True)[0]
            result[which] = found[: which.stop - which.start, 0, :height, :width]
        return result


def has_bf16() -> bool:
    """Whether the processor calculates in bf16."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
