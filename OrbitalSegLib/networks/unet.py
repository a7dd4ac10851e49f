"""The U-Net of every package: 2D, two 3 x 3 convolutions a level, skip connections [3532-2 D.3; Ekman, table 2]."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from OrbitalSegLib.networks import layout

CHANNELS = (16, 32, 64, 96, 112, 112)
"""Six levels [3532-2 D.3]; the width is ours: 1.4 million weights, under 10 MB."""


class Convolution(nn.Module):
    """A 3 x 3 convolution with 'same' padding by zeros, normalisation over the batch, ReLU."""

    def __init__(self, inputs: int, outputs: int, normalised: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=not normalised)
        nn.init.kaiming_normal_(self.convolution.weight, mode="fan_out", nonlinearity="relu")
        self.normalisation = nn.BatchNorm2d(outputs) if normalised else nn.Identity()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.normalisation(self.convolution(features)))


class UNet(nn.Module):
    """One slice, or a patch of it, to logits of `classes` classes, background first.

    `channels` are the features of each level, from full resolution to the coarsest, and say how many levels there are.
    The first weights come from torch's generator alone: the same `torch.manual_seed`, the same network. With
    `normalised` false the convolutions have biases in place of normalisation: the form that `folded` makes.
    """

    def __init__(self, channels: Sequence[int] = CHANNELS, classes: int = 2, normalised: bool = True) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.classes = classes
        self.normalised = normalised
        inputs = (1, *self.channels[:-1])
        self.encoder = nn.ModuleList(
            nn.Sequential(Convolution(before, own, normalised), Convolution(own, own, normalised))
            for before, own in zip(inputs, self.channels, strict=True)
        )
        self.decoder = nn.ModuleList(
            nn.Sequential(Convolution(below + own, own, normalised), Convolution(own, own, normalised))
            for own, below in pairwise(self.channels)
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.head = nn.Conv2d(self.channels[0], classes, 1)

    @property
    def stride(self) -> int:
        """Height and width of what goes in must be multiples of this: 32 for six levels."""
        return layout.stride(self.channels)

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """(n, 1, h, w), the window as 0 to 1, to logits (n, classes, h, w)."""
        features = slices
        skips = []
        for encode in self.encoder[:-1]:
            skips.append(encode(features))
            features = self.pool(skips[-1])
        features = self.encoder[-1](features)
        for decode, skip in zip(reversed(self.decoder), reversed(skips), strict=True):
            features = decode(torch.cat([self.up(features), skip], dim=1))
        return self.head(features)


def foreground(logits: torch.Tensor) -> torch.Tensor:
    """Probability (n, h, w) that it is not background, of logits (n, classes, h, w)."""
    return 1 - logits.softmax(1)[:, 0]


def of_classes(logits: torch.Tensor) -> torch.Tensor:
    """Probability (n, classes - 1, h, w) of each class but the background, of logits (n, classes, h, w)."""
    return logits.softmax(1)[:, 1:] if logits.shape[1] > 2 else foreground(logits)[:, None]


def folded(model: UNet) -> UNet:
    """A copy that gives the same in use (`eval`), with each normalisation folded into its convolution."""
    state = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    if model.normalised:
        for name, module in model.named_modules():
            if isinstance(module, Convolution):
                _fold(state, name, module.normalisation.eps)
    copy = UNet(model.channels, model.classes, normalised=False)
    copy.load_state_dict(state)
    return copy.eval()


def rounded(model: UNet) -> UNet:
    """A copy of a folded network whose convolutions have weights that bf16 holds, in fp32; biases stay as they are."""
    state = {
        name: value.bfloat16().to(value.dtype) if name.endswith(".weight") else value
        for name, value in model.state_dict().items()
    }
    copy = UNet(model.channels, model.classes, normalised=False)
    copy.load_state_dict(state)
    return copy.eval()


def _fold(state: dict[str, torch.Tensor], name: str, eps: float) -> None:
    """Replace one layer's normalisation by its convolution's weight and bias. In double precision, for the roots."""
    gain, shift, mean, variance = (
        state.pop(f"{name}.normalisation.{part}").double() for part in ("weight", "bias", "running_mean", "running_var")
    )
    state.pop(f"{name}.normalisation.num_batches_tracked")
    scale = gain / (variance + eps).sqrt()
    weight = state[f"{name}.convolution.weight"]
    state[f"{name}.convolution.weight"] = (weight.double() * scale[:, None, None, None]).to(weight.dtype)
    state[f"{name}.convolution.bias"] = (shift - mean * scale).to(weight.dtype)
