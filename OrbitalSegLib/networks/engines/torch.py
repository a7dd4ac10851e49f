"""A network in torch: on a graphics card (CUDA, MPS) or the processor."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import torch

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.networks.engines.engine import BATCH, CARD_BATCH, batches
from OrbitalSegLib.networks.layout import Weights
from OrbitalSegLib.networks.unet import UNet, folded, of_classes

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class TorchEngine:
    """A folded copy of a network as it is now: training goes on without changing it."""

    name = "torch"

    def __init__(self, model: UNet, precision: str = "fp32", device: str = "cpu", threads: int | None = None) -> None:
        self.precision = precision
        self.device = device
        self.threads = threads or torch.get_num_threads()
        self._type = TYPES[precision]
        copy = folded(model) if model.normalised else deepcopy(model).eval()
        self._model = copy.to(device, self._type, memory_format=torch.channels_last)

    def probabilities(self, slices: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        count, height, width = slices.shape
        result = np.empty((count, self._model.classes - 1, height, width), np.float32)
        size = BATCH if self.device == "cpu" else CARD_BATCH
        with torch.inference_mode(), _threads(self.threads), _exact_cards():
            for which, batch in batches(slices, self._model.stride, size):
                there = (
                    torch.from_numpy(batch).to(self.device, self._type).contiguous(memory_format=torch.channels_last)
                )
                found = of_classes(self._model(there).float()).cpu().numpy()
                result[which] = found[: which.stop - which.start, :, :height, :width]
        return result[:, 0] if self._model.classes == 2 else result


def from_weights(channels: Sequence[int], weights: Weights) -> UNet:
    """A folded network with these weights."""
    model = UNet(channels, classes=len(weights["head.bias"]), normalised=False)
    model.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()})
    return model


def device(wanted: str) -> str:
    """`cuda`, `mps` or `cpu`; `auto` takes the first of these that there is. Raises `InputError` `no-engine`."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(name for name, usable in there.items() if usable)
    if not there[wanted]:
        raise InputError("no-engine", f"Torch finds no {wanted} device here: choose another device, or auto.")
    return wanted


def has_bf16(device: str) -> bool:
    """Whether the device calculates in bf16; older versions of torch do not know it of a processor."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported()
    can: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return device == "cpu" and bool(can.get("avx512_bf16") or can.get("amx_bf16"))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Torch's number of threads is one for the whole program: set it, and put it back."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _exact_cards() -> AbstractContextManager[None]:
    """The same bits every time, and fp32 that is fp32: cards round it to 10 bits unless they are told not to."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
