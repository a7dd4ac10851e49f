"""The 3D U-Net of orbital walls: on blocks of 2 x 2 x 2 voxels, with several answers for each voxel.

To be cheap, the eight values of a block become channels at half the resolution (nothing is lost), and the last
convolution gives eight values a block and answer, one for each voxel.
"""

from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

BLOCK = 2
CORNERS = BLOCK**3


def to_blocks(x: torch.Tensor) -> torch.Tensor:
    """(n, c, d, h, w) to (n, 8 c, d / 2, h / 2, w / 2)."""
    n, c, d, h, w = x.shape
    x = x.reshape(n, c, d // 2, 2, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 7, 2, 4, 6)
    return x.reshape(n, CORNERS * c, d // 2, h // 2, w // 2)


def from_blocks(x: torch.Tensor) -> torch.Tensor:
    """(n, 8 c, d, h, w) to (n, c, 2 d, 2 h, 2 w)."""
    n, c, d, h, w = x.shape
    x = x.reshape(n, c // CORNERS, 2, 2, 2, d, h, w).permute(0, 1, 5, 2, 6, 3, 7, 4)
    return x.reshape(n, c // CORNERS, 2 * d, 2 * h, 2 * w)


class Convolution3D(nn.Module):
    """A 3 x 3 x 3 convolution, normalisation over the batch, ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(inputs, outputs, 3, stride, padding=1, bias=False)
        nn.init.kaiming_normal_(self.convolution.weight, mode="fan_out", nonlinearity="relu")
        self.normalisation = nn.BatchNorm3d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.normalisation(self.convolution(x)))


class UNet3D(nn.Module):
    """Volumes (n, `inputs`, d, h, w), lengths multiples of `stride`, to `answers` values a voxel.

    `channels` are the features of each level, from blocks to the coarsest.
    """

    def __init__(self, channels: Sequence[int], inputs: int, answers: int) -> None:
        super().__init__()
        self.channels = tuple(channels)
        before = (CORNERS * inputs, *self.channels[:-1])
        self.encoder = nn.ModuleList(
            nn.Sequential(Convolution3D(a, b, 1 if level == 0 else 2), Convolution3D(b, b))
            for level, (a, b) in enumerate(zip(before, self.channels, strict=True))
        )
        self.reduce = nn.ModuleList(nn.Conv3d(below, own, 1) for own, below in pairwise(self.channels))
        self.decoder = nn.ModuleList(
            nn.Sequential(Convolution3D(2 * own, own), Convolution3D(own, own)) for own in self.channels[:-1]
        )
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.head = nn.Conv3d(self.channels[0], CORNERS * answers, 3, padding=1)

    @property
    def stride(self) -> int:
        return int(BLOCK * 2 ** (len(self.channels) - 1))

    def forward(self, volumes: torch.Tensor) -> torch.Tensor:
        x = to_blocks(volumes).contiguous(memory_format=torch.channels_last_3d)
        skips = []
        for encode in self.encoder:
            x = encode(x)
            skips.append(x)
        for level in reversed(range(len(skips) - 1)):
            x = self.decoder[level](torch.cat([self.up(self.reduce[level](x)), skips[level]], dim=1))
        return from_blocks(self.head(x))


def folded(model: UNet3D) -> UNet3D:
    """A copy for inference in which every normalisation is folded into its convolution: the result at a voxel does not
    depend on what else is in the batch."""
    copy = deepcopy(model).cpu().eval()
    for module in copy.modules():
        if isinstance(module, Convolution3D):
            module.convolution = fuse_conv_bn_eval(module.convolution, module.normalisation)
            module.normalisation = nn.Identity()
    return copy
