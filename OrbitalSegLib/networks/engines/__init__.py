"""Engines: what runs a network, behind one protocol. Which one runs is chosen here; each is imported when it is."""

import ctypes
import os
from importlib.util import find_spec

from OrbitalSegLib.errors import InputError
from OrbitalSegLib.networks import layout
from OrbitalSegLib.networks.engines.engine import Engine
from OrbitalSegLib.networks.package import Package

__all__ = ["DEVICES", "ENGINES", "PRECISIONS", "Engine", "choose", "cores", "precision_of", "threads_of"]

ENGINES = ("auto", "openvino", "torch")
PRECISIONS = ("auto", "fp32", "bf16")
DEVICES = ("auto", "cpu", "cuda", "mps")

CARD_DRIVERS = ("libcuda.so.1", "nvcuda.dll")
"""What a computer with an NVIDIA card has. Asked first, because importing torch takes a second and much memory."""


def choose(
    package: Package,
    network: str,
    engine: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    threads: int | None = None,
) -> Engine:
    """The engine for one network of a package; what was taken stands in its fields.

    `auto` takes torch on an NVIDIA card, else OpenVINO, else torch; bf16 where the device calculates in it, else fp32.

    Parameters
    ----------
    package
        As `load_package` gives it.
    network
        One of its names.
    engine
        `auto`, `openvino` or `torch`.
    precision
        `auto`, `fp32` or `bf16`.
    device
        `auto`, `cpu`, `cuda` or `mps`.
    threads
        Of the processor; None is one for each core.

    Returns
    -------
    engine
        Ready to run.

    Raises
    ------
    InputError
        `no-engine` where what is asked for is not installed or the device cannot do it; `bad-model`.
    """
    taken = _engine(engine, device)
    threads = threads or cores()
    if taken == "openvino":
        from OrbitalSegLib.networks.engines import openvino

        precision = precision_of(precision, openvino.has_bf16())
        stride = layout.stride(package.networks[network].channels)
        return openvino.OpenVinoEngine(package.onnx(network), stride, precision, threads)
    from OrbitalSegLib.networks.engines import torch

    device = torch.device(device)
    model = torch.from_weights(package.networks[network].channels, package.weights(network))
    return torch.TorchEngine(model, precision_of(precision, torch.has_bf16(device)), device, threads)


def cores(spare: int = 0) -> int:
    """The processor's cores that this program may use, `spare` of them left to others, and at least one.

    Parameters
    ----------
    spare
        So many are left to others.

    Returns
    -------
    count
        At least one.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, usable - spare)


def threads_of(asked: int | None) -> int:
    """How many threads are meant: None is one for each core, a negative number leaves so many cores free.

    Parameters
    ----------
    asked
        As a job has it.

    Returns
    -------
    count
        At least one.

    Examples
    --------
    >>> threads_of(2), threads_of(None) == cores(), threads_of(-1) == cores(spare=1)
    (2, True, True)
    """
    if asked is None or asked == 0:
        return cores()
    return asked if asked > 0 else cores(spare=-asked)


def _engine(engine: str, device: str) -> str:
    """`openvino` or `torch`: the one that was asked for, or the best that is installed and has the device."""
    installed = [name for name in ("openvino", "torch") if find_spec(name)]
    fit = [name for name in installed if name == "torch" or device in ("auto", "cpu")]
    if engine == "auto" and device == "auto" and "torch" in fit and _has_card():
        return "torch"
    wanted = fit if engine == "auto" else [name for name in fit if name == engine]
    if wanted:
        return wanted[0]
    missing = "torch" if engine == "torch" or device in ("cuda", "mps") else "openvino"
    if missing in installed:
        raise InputError(
            "no-engine", "OpenVINO runs on the processor here: choose the device cpu, or the engine torch."
        )
    extra = {"openvino": "infer", "torch": "learn"}[missing]
    raise InputError(
        "no-engine", f"The networks need {missing}, which is not installed: pip install 'orbitalseg[{extra}]'."
    )


def precision_of(precision: str, has_bf16: bool) -> str:
    """`fp32` or `bf16`, whichever is meant.

    Parameters
    ----------
    precision
        `auto`, `fp32` or `bf16`.
    has_bf16
        Whether the device calculates in it.

    Returns
    -------
    precision
        Never `auto`.

    Raises
    ------
    InputError
        `no-engine`: bf16 is asked for where there is none.
    """
    if precision == "bf16" and not has_bf16:
        raise InputError("no-engine", "This device does not calculate in bf16: choose the precision auto or fp32.")
    return ("bf16" if has_bf16 else "fp32") if precision == "auto" else precision


def _has_card() -> bool:
    for name in CARD_DRIVERS:
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False
