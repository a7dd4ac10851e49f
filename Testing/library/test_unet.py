"""The U-Net: its shape, its first weights, and normalisation folded into its convolutions."""

import pytest

pytest.importorskip("torch")

import torch
from tiny_network import CHANNELS

from OrbitalSegLib.networks import layout
from OrbitalSegLib.networks.unet import CHANNELS as SHIPPED_CHANNELS
from OrbitalSegLib.networks.unet import UNet, folded, foreground

pytestmark = pytest.mark.learn


@pytest.fixture
def used() -> UNet:
    """A network whose normalisation has seen data, so that it is not the identity."""
    torch.manual_seed(7)
    model = UNet(CHANNELS)
    with torch.no_grad():
        for _ in range(3):
            model(torch.rand(4, 1, 64, 64))
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 2)
                module.bias.uniform_(-0.5, 0.5)
    return model.eval()


@pytest.mark.parametrize("channels", [(3, 5), (4, 8, 8), CHANNELS])
def test_logits_have_the_size_of_the_slice_and_one_channel_a_class(channels):
    model = UNet(channels, classes=3)
    assert model.stride == 2 ** (len(channels) - 1)
    height, width = 2 * model.stride, 4 * model.stride
    assert model(torch.rand(2, 1, height, width)).shape == (2, 3, height, width)


def test_the_standards_network_has_six_levels_of_two_convolutions_and_stays_under_10_mb():
    model = UNet()
    convolutions = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3)]
    assert len(SHIPPED_CHANNELS) == 6
    assert len(convolutions) == 2 * (6 + 5)
    assert 4 * sum(parameter.numel() for parameter in model.parameters()) < 10e6


def test_the_same_seed_gives_the_same_first_weights():
    def first(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        return UNet(CHANNELS).state_dict()

    one, same, other = first(1), first(1), first(2)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["encoder.0.0.convolution.weight"], other["encoder.0.0.convolution.weight"])


def test_folding_changes_nothing_but_rounding(used):
    slices = torch.rand(3, 1, 96, 64)
    before = {name: value.clone() for name, value in used.state_dict().items()}
    with torch.no_grad():
        difference = (used(slices) - folded(used)(slices)).abs().max()
        size = used(slices).abs().max()
    assert 0 < difference < 1e-4 * size
    assert all(torch.equal(before[name], value) for name, value in used.state_dict().items())


def test_folding_twice_is_folding_once(used):
    once = folded(used).state_dict()
    twice = folded(folded(used)).state_dict()
    assert all(torch.equal(once[name], twice[name]) for name in once)


def test_a_folded_network_has_the_layout_that_engines_without_torch_expect(used):
    state = folded(used).state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == layout.shapes(CHANNELS, 2)


def test_foreground_is_all_that_is_not_background():
    logits = torch.randn(2, 3, 4, 5)
    expected = logits.softmax(1)[:, 1:].sum(1)
    assert torch.allclose(foreground(logits), expected, atol=1e-6)


def test_channels_last_stays_channels_last(used):
    out = used.to(memory_format=torch.channels_last)(torch.rand(2, 1, 64, 64).to(memory_format=torch.channels_last))
    assert out.is_contiguous(memory_format=torch.channels_last)
