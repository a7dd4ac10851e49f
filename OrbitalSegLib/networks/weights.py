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


BYTES = {"F32": 4, "BF16": 2}
"""Of a value, by safetensors' name of its kind."""


def read(content: bytes, shapes: dict[str, tuple[int, ...]], kind: str = "F32") -> Weights:
    """The weights in a safetensors file: exactly those named in `shapes`, of one of `BYTES`, finite, as float32.

    Raises `BadWeights`.
    """
    header, data = _header(content)
    if header.keys() - {"__metadata__"} != shapes.keys():
        raise BadWeights("are not those of the network that the description names")
    weights, spans = {}, []
    for name, shape in shapes.items():
        if header[name].get("dtype") != kind or header[name].get("shape") != list(shape):
            raise BadWeights("have not the shapes of the network that the description names")
        start, end = _span(header[name].get("data_offsets"))
        if end > len(data) or end - start != BYTES[kind] * prod(shape):
            raise BadWeights("are cut short or lie where they cannot")
        spans.append((start, end))
        weights[name] = _values(data[start:end], kind).reshape(shape)
        if not np.isfinite(weights[name]).all():
            raise BadWeights("hold values that are no numbers")
    starts, ends = zip(*sorted(spans), strict=True)
    if (*starts, len(data)) != (0, *ends):
        raise BadWeights("overlap or leave gaps")
    return weights


def _values(data: memoryview, kind: str) -> np.ndarray:
    """As float32: bf16 is the upper half of one."""
    if kind == "F32":
        return np.frombuffer(data, "<f4").astype(np.float32)
    return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)


def write_bf16(weights: Weights) -> bytes:
    """A safetensors file of weights in bf16: those that it does not hold exactly are cut off, so round before.

    The same weights give the same bytes.
    """
    header, contents, start = {}, [], 0
    for name, values in sorted(weights.items()):
        content = (np.ascontiguousarray(values, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
        header[name] = {"dtype": "BF16", "shape": list(values.shape), "data_offsets": [start, start + len(content)]}
        contents.append(content)
        start += len(content)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(contents)


def rounded_to_bf16(values: np.ndarray) -> np.ndarray:
    """The nearest values that bf16 holds, float32."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    nearest = bits + 0x7FFF + ((bits >> 16) & 1)
    return (nearest & np.uint32(0xFFFF0000)).view(np.float32)


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
