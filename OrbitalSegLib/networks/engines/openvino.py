"""A network in OpenVINO, on the processor: the engine that needs no torch."""

import numpy as np

from OrbitalSegLib.networks.engines.engine import BATCH, batches
from OrbitalSegLib.networks.engines.quiet import openvino

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
        # Slices side by side, a thread or more for each, are a sixth faster than all threads on one after the other
        # (measured on two cores), and take no more memory than a batch.
        at_once = min(threads, BATCH)
        options = {
            "INFERENCE_PRECISION_HINT": TYPES[precision],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": at_once,
            # The computer is not ours alone: bound to the first cores, two programs wait for each other on one core.
            "ENABLE_CPU_PINNING": False,
        }
        self._compiled = core.compile_model(core.read_model(onnx), "CPU", options)
        self._queue = openvino.AsyncInferQueue(self._compiled, at_once)

    def probabilities(self, slices: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        count, height, width = slices.shape
        channels = self._compiled.output(0).partial_shape[1].get_length()
        classes = slice(1, channels) if channels > 1 else 0
        shape = (count, channels - 1, height, width) if channels > 1 else (count, height, width)
        result = np.empty(shape, np.float32)

        def keep(request: openvino.InferRequest, which: slice) -> None:
            result[which] = request.get_output_tensor().data[:, classes, :height, :width]

        self._queue.set_callback(keep)
        for which, one in batches(slices, self._stride, 1):
            self._queue.start_async({0: one}, which)
        self._queue.wait_all()
        return result


def has_bf16() -> bool:
    """Whether the processor calculates in bf16."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
