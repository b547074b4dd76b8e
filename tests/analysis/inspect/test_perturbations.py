"""Noise inside a network and corruptions of images: their size, and what they depend on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ean_transfer import attach
from ean_transfer.analysis.inspect.perturbations import constant_noise, corruptions
from ean_transfer.asr import fold
from ean_transfer.backbones import TicketResNetCIFAR
from ean_transfer.errors import ConfigError
from tests.attachment.networks import small

IMAGES = torch.randn(3, 3, 9, 9, generator=torch.Generator().manual_seed(1))
SE, SRM, CBAM = {"type": "SE", "reduction": 4}, {"type": "SRM"}, {"type": "CBAM", "reduction": 4}


def network(attention=SE, ticket: str = "full", **kwargs) -> TicketResNetCIFAR:
    """Trained a bit: no parameter or statistic has its initial value."""
    torch.manual_seed(0)
    net = TicketResNetCIFAR(14, attention, ticket=ticket, base_channels=8, **kwargs)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        net.train()(IMAGES)
    return net.eval()


def added(net: nn.Module, strength: float, *seed: int) -> dict[str, torch.Tensor]:
    """What noise adds after each normalisation, (C,), in units of its weight."""
    noise = {}
    for name, layer in net.named_modules():
        if isinstance(layer, _BatchNorm):
            x = torch.randn(2, layer.num_features, *[3] * (isinstance(layer, nn.BatchNorm2d) * 2))
            plain = layer(x)
            with constant_noise(net, strength, seed):
                difference = (layer(x) - plain) / layer.weight.reshape(-1, *[1] * (x.dim() - 2))
            first = difference.reshape(2, layer.num_features, -1)[0, :, 0]
            everywhere = first.reshape(-1, *[1] * (x.dim() - 2)).expand_as(x)
            torch.testing.assert_close(difference, everywhere, atol=1e-4, rtol=0)
            noise[name] = first.detach()
    return noise


@torch.no_grad()
def test_no_strength_changes_nothing_and_noise_ends_with_its_block() -> None:
    net = network()
    (before,) = net(IMAGES)
    with constant_noise(net, 0.0, [0]):
        assert torch.equal(net(IMAGES)[0], before)
    with constant_noise(net, 0.1, [0]):
        assert not torch.allclose(net(IMAGES)[0], before)
    assert torch.equal(net(IMAGES)[0], before)
    with pytest.raises(RuntimeError, match="stopped"), constant_noise(net, 0.1, [0]):
        raise RuntimeError("stopped")
    assert torch.equal(net(IMAGES)[0], before)


def test_noise_is_standard_normal_and_drawn_for_each_layer() -> None:
    noises = list(added(network(), 0.5, 0).values())
    drawn = torch.cat(noises) / 0.5
    assert drawn.mean() == pytest.approx(0, abs=0.15) and drawn.std() == pytest.approx(1, abs=0.1)
    firsts = [noise[0].item() for noise in noises]
    assert len(set(firsts)) == len(firsts) == 1 + 6 * 2 + 2


@pytest.mark.parametrize("attention", [SRM, CBAM])
def test_all_arms_get_the_same_noise_and_their_attention_gets_none(attention) -> None:
    plain = added(network(attention, "none"), 0.2, 3)
    full = added(network(attention, "full"), 0.2, 3)
    own = {name for name in full if "attention" in name.split(".")}
    assert own and set(full) - own == set(plain)
    for name, noise in full.items():
        expected = torch.zeros_like(noise) if name in own else plain[name]
        torch.testing.assert_close(noise, expected, atol=1e-4, rtol=0)
    other = added(network(attention, "none"), 0.2, 4)
    assert not torch.allclose(other["norm1" if "norm1" in other else "bn1"], plain["bn1"])


@torch.no_grad()
def test_attention_that_is_folded_into_its_layer_is_disturbed_alike() -> None:
    net = network(asr=True)
    folded = fold(net)
    with constant_noise(net, 0.3, [0]), constant_noise(folded, 0.3, [0]):
        torch.testing.assert_close(folded(IMAGES)[0], net(IMAGES)[0], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_noise_comes_before_attention_that_is_attached_to_the_normalisation() -> None:
    net: Any = attach(small(), SE).eval()
    seen: list[torch.Tensor] = []
    net.attention["stage1"].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    net(IMAGES)
    plain, blocks = seen.copy(), net.attention.places
    with constant_noise(blocks[0].bn2, 0.2, [0]):
        net(IMAGES)
    difference = seen[len(plain)] - plain[0]
    assert difference.abs().max() > 0.05
    torch.testing.assert_close(difference, difference[:1, :, :1, :1].expand_as(difference))


@torch.no_grad()
def test_noise_comes_before_the_activation_of_a_normalisation_with_one() -> None:
    layer = pytest.importorskip("timm.layers").BatchNormAct2d(8).eval()
    x = torch.randn(2, 8, 3, 3)
    with constant_noise(nn.Sequential(layer), 1.0, [0]):
        noisy = layer(x)
    assert (noisy >= 0).all() and not torch.allclose(noisy, layer(x))


def test_network_without_normalisation_is_refused() -> None:
    with pytest.raises(ConfigError, match="in the Linear"):
        constant_noise(nn.Linear(2, 2), 0.1, [0]).__enter__()


def pictures(side: int) -> list[torch.Tensor]:
    """Smooth images with some texture, (3, side, side) uint8."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(6, 3, 6, 6, generator=generator)
    smooth = nn.functional.interpolate(coarse, (side, side), mode="bicubic")
    fine = torch.randn(6, 3, side, side, generator=generator)
    return list((128 + 40 * smooth + 8 * fine).clamp(0, 255).to(torch.uint8))


@pytest.mark.parametrize("side", [32, 70])
@pytest.mark.parametrize("kind", range(6))
def test_corruptions_grow_with_their_level(side: int, kind: int) -> None:
    corruption, images = corruptions(side)[kind], pictures(side)
    errors = []
    for level in range(5):
        changed = corruption.images(images, level, seed=0)
        assert all(one.dtype == torch.uint8 for one in changed)
        difference = torch.stack(changed).double() - torch.stack(images).double()
        errors.append(float(difference.square().mean().sqrt()))
    assert errors[0] > 0 and errors == sorted(set(errors)), corruption.name


def test_large_images_are_corrupted_more() -> None:
    def spread(side: int) -> list[float]:
        grey = [torch.full((3, side, side), 128, dtype=torch.uint8)]
        noise = corruptions(side)[0]
        return [float(noise.images(grey, level, 0)[0].double().std()) / 255 for level in range(2)]

    assert spread(64) == pytest.approx([0.04, 0.06], rel=0.05)
    assert spread(65) == pytest.approx([0.08, 0.12], rel=0.05)


def test_brightness_and_contrast_are_their_formulas() -> None:
    named = {one.name: one for one in corruptions(20)}
    image = pictures(20)[0]
    (brighter,) = named["brightness"].images([image], 4, seed=0)
    expected = (image.double() + 0.3 * 255).clamp(max=255)
    assert (brighter.double() - expected).abs().max() <= 1
    (flatter,) = named["contrast"].images([image], 1, seed=0)
    grey = (torch.tensor([0.299, 0.587, 0.114])[:, None, None] * image).sum(0).mean()  # of RGB
    assert (flatter.double() - 0.5 * image.double() - 0.5 * grey).abs().max() <= 1.5


def test_bgr_images_are_corrupted_as_rgb_ones() -> None:
    images = pictures(20)
    swapped = [image.flip(0) for image in images]
    for rgb, bgr in zip(corruptions(20), corruptions(20, bgr=True), strict=True):
        for one, other in zip(rgb.images(images, 3, 0), bgr.images(swapped, 3, 0), strict=True):
            assert torch.equal(one, other.flip(0)), rgb.name


def test_an_images_corruption_depends_on_its_number_and_the_seed_alone() -> None:
    noise, images = corruptions(20)[0], pictures(20)
    together = noise.images(images, 2, seed=1)
    (alone,) = noise.images(images[4:5], 2, seed=1, first=4)
    assert torch.equal(together[4], alone)
    assert not torch.equal(noise.images(images[4:5], 2, seed=2, first=4)[0], alone)
    assert not torch.equal(noise.images(images[4:5], 2, seed=1, first=5)[0], alone)
