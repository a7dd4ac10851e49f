"""Weights as safetensors, read with numpy alone: an engine may have no torch, and nothing in the file is believed."""

import json
import struct
from math import prod

import numpy as np

from OrbitalSegLib.networks.layout import Weights

HEADER_BYTES = 1 << 20
"""No header of ours comes near this."""


class BadWeights(ValueError):
    """The bytes are not the weights that were expected; the text says why, and goes on after 'the weights'."""


def read(content: bytes, shapes: dict[str, tuple[int, ...]]) -> Weights:
    """The weights in a safetensors file: exactly those named in `shapes`, float32, finite. Raises `BadWeights`."""
    header, data = _header(content)
    if header.keys() - {"__metadata__"} != shapes.keys():
        raise BadWeights("are not those of the network that the description names")
    weights, spans = {}, []
    for name, shape in shapes.items():
        if header[name].get("dtype") != "F32" or header[name].get("shape") != list(shape):
            raise BadWeights("have not the shapes of the network that the description names")
        start, end = _span(header[name].get("data_offsets"))
        if end > len(data) or end - start != 4 * prod(shape):
            raise BadWeights("are cut short or lie where they cannot")
        spans.append((start, end))
        weights[name] = np.frombuffer(data[start:end], "<f4").reshape(shape).astype(np.float32)
        if not np.isfinite(weights[name]).all():
            raise BadWeights("hold values that are no numbers")
    starts, ends = zip(*sorted(spans), strict=True)
    if (*starts, len(data)) != (0, *ends):
        raise BadWeights("overlap or leave gaps")
    return weights


def _header(content: bytes) -> tuple[dict, memoryview]:
    """The header as an object of objects, and the bytes after it."""
    size = struct.unpack("<Q", content[:8])[0] if len(content) >= 8 else HEADER_BYTES
    if size >= HEADER_BYTES or 8 + size > len(content):
        raise BadWeights("are no safetensors file")
    try:
        header = json.loads(content[8 : 8 + size].decode())
    except (ValueError, RecursionError) as error:
        raise BadWeights("are no safetensors file") from error
    if not isinstance(header, dict) or not all(isinstance(entry, dict) for entry in header.values()):
        raise BadWeights("are no safetensors file")
    return header, memoryview(content)[8 + size :]


def _span(offsets: object) -> tuple[int, int]:
    match offsets:
        case [int(start), int(end)] if 0 <= start <= end:
            return start, end
    raise BadWeights("are cut short or lie where they cannot")
