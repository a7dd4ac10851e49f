"""The one ONNX graph of a folded U-Net, as bytes.

Written field by field, without the onnx package, whenever an engine is made: no graph that others made ever reaches an
engine, and the same weights give the same bytes everywhere.

Input `slices`: float32 (n, 1, h, w), the window as 0 to 1; h and w multiples of the stride. Output `probability`:
float32 (n, 1, h, w), of the foreground; of a network of several classes (n, classes, h, w), the background's first.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from OrbitalSegLib.networks.layout import Layer, Weights, decoder, encoder

IR_VERSION = 8
OPSET = 13
"""Old enough for every runtime in use; the Resize of 13 is the one written here."""

# Numbers of protocol buffers' wire format and of onnx.proto.
VARINT, BYTES = 0, 2
FLOAT = 1
ATTRIBUTE_INT, ATTRIBUTE_STRING, ATTRIBUTE_INTS = 2, 3, 7


def model(channels: Sequence[int], weights: Weights) -> bytes:
    """The whole file. Of two classes the softmax is the sigmoid of the difference of their logits."""
    nodes, features, skips = [], "slices", []
    for level, layers in enumerate(encoder(channels)):
        if level:
            nodes.append(_node("MaxPool", [features], f"pool.{level}", kernel_shape=[2, 2], strides=[2, 2]))
            features = f"pool.{level}"
        features = _convolutions(nodes, features, layers)
        skips.append(features)
    for layers, skip in reversed(list(zip(decoder(channels), skips[:-1], strict=True))):
        up, joined = skip.replace("encoder", "up"), skip.replace("encoder", "joined")
        resize = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        nodes.append(_node("Resize", [features, "", "twice"], up, **resize))
        nodes.append(_node("Concat", [up, skip], joined, axis=1))
        features = _convolutions(nodes, joined, layers)
    nodes.append(_node("Conv", [features, "head.weight", "head.bias"], "head", kernel_shape=[1, 1]))
    tensors = {**weights, "twice": np.array([1, 1, 2, 2], np.float32)}
    classes = len(weights["head.bias"])
    if classes > 2:
        nodes.append(_node("Softmax", ["head"], "probability", axis=1))
    else:
        nodes.append(_node("Sigmoid", ["head"], "probability"))
        for name in ("head.weight", "head.bias"):
            tensors[name] = weights[name][1:] - weights[name][:1]
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, b"orbitalseg")
    graph += b"".join(_field(5, _tensor(name, tensors[name])) for name in sorted(tensors))
    graph += _field(11, _value("slices")) + _field(12, _value("probability", classes if classes > 2 else 1))
    return _field(1, IR_VERSION) + _field(2, b"orbitalseg") + _field(7, graph) + _field(8, _field(2, OPSET))


def _convolutions(nodes: list[bytes], features: str, layers: Iterable[Layer]) -> str:
    """Add convolutions with their ReLU; return the name of what the last one gives."""
    for layer in layers:
        inputs = [features, f"{layer.name}.weight", f"{layer.name}.bias"]
        nodes.append(_node("Conv", inputs, layer.name, kernel_shape=[3, 3], pads=[1, 1, 1, 1]))
        features = layer.name.replace("convolution", "relu")
        nodes.append(_node("Relu", [layer.name], features))
    return features


def _node(operator: str, inputs: list[str], output: str, **attributes: int | str | list[int]) -> bytes:
    fields = [_field(1, name.encode()) for name in inputs]
    fields += [_field(2, output.encode()), _field(3, output.encode()), _field(4, operator.encode())]
    fields += [_field(5, _attribute(name, value)) for name, value in attributes.items()]
    return b"".join(fields)


def _attribute(name: str, value: int | str | list[int]) -> bytes:
    match value:
        case int():
            content, kind = _field(3, value), ATTRIBUTE_INT
        case str():
            content, kind = _field(4, value.encode()), ATTRIBUTE_STRING
        case _:
            content, kind = b"".join(_field(8, item) for item in value), ATTRIBUTE_INTS
    return _field(1, name.encode()) + content + _field(20, kind)


def _tensor(name: str, values: np.ndarray) -> bytes:
    dimensions = b"".join(_field(1, size) for size in values.shape)
    return dimensions + _field(2, FLOAT) + _field(8, name.encode()) + _field(9, values.astype("<f4").tobytes())


def _value(name: str, channels: int = 1) -> bytes:
    """An input or output: float32 (n, channels, h, w)."""
    dimensions = (_field(2, b"n"), _field(1, channels), _field(2, b"h"), _field(2, b"w"))
    shape = b"".join(_field(1, dimension) for dimension in dimensions)
    return _field(1, name.encode()) + _field(2, _field(1, _field(1, FLOAT) + _field(2, shape)))


def _field(number: int, value: int | bytes) -> bytes:
    """One field of a protocol buffer message."""
    if isinstance(value, int):
        return _varint(number << 3 | VARINT) + _varint(value)
    return _varint(number << 3 | BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Seven bits a byte, lowest first; the top bit says that more follow."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
