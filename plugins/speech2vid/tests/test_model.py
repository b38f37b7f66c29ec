"""The networks: the sizes and counts of the authors' layers, and the same pictures however the work is divided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("redub_speech2vid", reason="install it:  pip install ./plugins/speech2vid")

import torch.nn.functional as F  # noqa: E402
from redub_speech2vid.model import FEATURES, SKIPS, AudioEncoder, Decoder, Sharpener, Speech2Vid  # noqa: E402
from torch import Tensor, nn  # noqa: E402

ALL = ("relu2", "pool1", "relu1")
SETS: list[tuple[Any, ...]] = [(), ("relu2",), ("pool1",), ("relu1",), SKIPS, ("pool1", "relu1"), ALL]
SMALL = 1 / 8


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(params=["bilinear", "transposed"])
def upsampling(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def small(**options: Any) -> Speech2Vid:
    """Return a narrow network in double precision whose biases and statistics are not zero, as after training."""
    model = Speech2Vid(width=SMALL, **options).double().eval()
    for name, values in [*model.named_parameters(), *model.named_buffers()]:
        if name.endswith("running_var"):
            values.data.uniform_(0.5, 2)
        elif name.endswith(("bias", "running_mean")):
            values.data.normal_(std=0.1)
    return model


def speech(count: int) -> Tensor:
    return 8 * torch.randn(count, 1, 12, 35, dtype=torch.float64)


def stills(count: int, each: int = 5) -> Tensor:
    return torch.rand(count, 3 * each, 112, 112, dtype=torch.float64)


def sizes(model: nn.Module, *inputs: Any) -> dict[str, tuple[int, ...]]:
    """Run a network and return what goes into and comes out of each layer, without the batch."""
    seen: dict[str, tuple[int, ...]] = {}

    def watch(name: str) -> Any:
        def note(_: nn.Module, given: Any, made: Any) -> None:
            seen[f"{name} in"] = tuple(given[0].shape[1:])
            if isinstance(made, Tensor):
                seen[name] = tuple(made.shape[1:])

        return note

    for name, layer in model.named_children():
        layer.register_forward_hook(watch(name))
    model(*inputs)
    return seen


def test_the_audio_encoder_has_the_authors_sizes() -> None:
    with torch.device("meta"):
        seen = sizes(AudioEncoder(), torch.empty(2, 1, 12, 35))
    assert seen["conv1"] == (64, 12, 35)
    assert seen["conv2"] == (128, 12, 35)
    assert seen["conv3 in"] == (128, 11, 17)
    assert seen["conv3"] == seen["conv4"] == seen["conv5"] == (256, 11, 17)
    assert seen["fc6 in"] == (256, 5, 8)
    assert seen["fc6"] == (512, 1, 1)
    assert seen["fc7"] == (256, 1, 1)


def test_the_identity_encoder_has_the_authors_sizes() -> None:
    with torch.device("meta"):
        encoder = Speech2Vid().identity
        seen = sizes(encoder, torch.empty(2, 15, 112, 112))
        feature, maps = encoder(torch.empty(2, 15, 112, 112))
    assert seen["conv1"] == (96, 53, 53)
    assert seen["conv2 in"] == (96, 26, 26)
    assert seen["conv2"] == (256, 12, 12)
    assert seen["conv3 in"] == (256, 6, 6)
    assert seen["conv3"] == seen["conv4"] == seen["conv5"] == (512, 6, 6)
    assert seen["fc6"] == (512, 1, 1)
    assert seen["fc7"] == (256, 1, 1)
    assert feature.shape == (2, 256)
    assert {name: tuple(one.shape[1:]) for name, one in maps.items()} == {
        "relu1": (96, 53, 53), "pool1": (96, 26, 26), "relu2": (256, 12, 12),
    }  # fmt: skip


def test_the_decoder_has_the_authors_sizes(upsampling: Any) -> None:
    with torch.device("meta"):
        model = Speech2Vid(skips=ALL, upsampling=upsampling)
        identity = model.identify(torch.empty(2, 15, 112, 112))
        seen = sizes(model.decoder, torch.empty(2, 256), identity)
        made = model(torch.empty(2, 1, 12, 35), identity)
    expected = {
        "conv8 in": (512, 1, 1), "conv8": (128, 1, 1), "conv1_1": (128, 2, 2), "conv1_2": (256, 4, 4), "conv1_3": (512, 6, 6),
        "conv2": (256, 12, 12), "conv3_1": (256, 24, 24), "conv3_2": (96, 26, 26), "conv4": (96, 53, 53),
        "conv5_1": (64, 107, 107), "conv5_2": (32, 108, 108), "conv5_3": (3, 109, 109),
    }  # fmt: skip
    assert {name: seen[name] for name in expected} == expected
    # A skip's share meets what the convolution behind it makes.
    assert {name: tuple(one.shape[1:]) for name, one in identity.skips.items()} == {
        "relu2": (256, 24, 24), "pool1": (96, 53, 53), "relu1": (64, 107, 107),
    }  # fmt: skip
    assert made.shape == (2, 3, 109, 109)


def weights_of(module: nn.Module) -> int:
    """Count weights and biases of convolutions, without batch norm."""
    own = sum(values.numel() for values in module.parameters(recurse=False)) if not isinstance(module, nn.BatchNorm2d) else 0
    return own + sum(weights_of(child) for child in module.children())


def test_there_are_as_many_weights_as_the_authors_have() -> None:
    with torch.device("meta"):
        demo = Speech2Vid(skips=ALL)
        assert weights_of(demo.audio) == 6_924_544
        assert weights_of(demo.identity) == 16_154_112
        assert weights_of(demo.decoder) == 4_958_851
        assert weights_of(Sharpener()) == 298_947
        # The paper's network lacks the kernels of the earliest skip, 96 maps to 64 by 3 x 3.
        assert weights_of(Speech2Vid().decoder) == 4_958_851 - 96 * 64 * 9
        # One still has a fifth of the first layer's kernels, 96 of 7 x 7 for each of its 12 other channels.
        assert weights_of(Speech2Vid(stills=1).identity) == 16_154_112 - 12 * 96 * 49


def test_decoders_have_no_batch_norm_and_encoders_have_one_for_each_layer() -> None:
    with torch.device("meta"):
        model = Speech2Vid()
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == 7 + 7
    assert {layer.eps for layer in norms} == {1e-4}
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in model.decoder.modules())


PADS = {"conv1_1": (1, 1), "conv1_2": (1, 1), "conv1_3": (0, 0), "conv2": (1, 1), "conv3_1": (1, 1), "conv4": (2, 1), "conv5_1": (2, 1)}
"""Rows of zeros above and below, and columns at the left and right: what trained weights rely on."""


def twice(x: Tensor) -> Tensor:
    """Double the size as the authors do: a grid of even steps from corner to corner, sampled bilinearly."""
    steps = torch.linspace(-1, 1, 2 * x.shape[-1], dtype=x.dtype)
    y, x_ = torch.meshgrid(steps, steps, indexing="ij")
    return F.grid_sample(x, torch.stack([x_, y], -1).expand(len(x), -1, -1, -1), align_corners=True)


def plain_decoder(decoder: Decoder, heard: Tensor, feature: Tensor, maps: dict[str, Tensor], skips: Sequence[str]) -> Tensor:
    """Decode as the authors' table says it: skips joined before what comes from below, then twice the size, then a layer."""

    def up(name: str, x: Tensor, skip: str = "") -> Tensor:
        layer: Any = getattr(decoder, name)
        x = torch.cat([maps[skip], x], 1) if skip in skips else x
        low, high = PADS[name]
        if layer.is_transposed:
            x = F.conv_transpose2d(x, layer.weight, layer.bias, stride=2, padding=1)
            x = F.pad(x, (low - 1, high - 1, low - 1, high - 1))
        else:
            x = F.conv2d(F.pad(twice(x), (low, high, low, high)), layer.weight, layer.bias)
        return F.relu(x)

    x = torch.cat([heard, feature], 1)[..., None, None]
    x = F.relu(F.conv2d(x, decoder.conv8.weight, decoder.conv8.bias))
    x = up("conv2", up("conv1_3", up("conv1_2", up("conv1_1", x))))
    x = F.pad(up("conv3_1", x, "relu2"), (3, 3, 3, 3))
    x = F.relu(F.conv2d(x, decoder.conv3_2.weight, decoder.conv3_2.bias))
    x = up("conv5_1", up("conv4", x, "pool1"), "relu1")
    x = F.relu(F.conv2d(F.pad(x, (2, 1, 2, 1)), decoder.conv5_2.weight, decoder.conv5_2.bias))
    return torch.sigmoid(F.conv2d(F.pad(x, (2, 1, 2, 1)), decoder.conv5_3.weight, decoder.conv5_3.bias))


@torch.no_grad()
@pytest.mark.parametrize("skips", SETS, ids=lambda skips: "+".join(skips) or "none")
def test_shares_of_the_skips_make_the_same_picture_as_joined_maps(skips: tuple[Any, ...], upsampling: Any) -> None:
    model = small(skips=skips, upsampling=upsampling)
    faces, mfcc = stills(2), speech(2)
    identity = model.identify(faces)
    assert set(identity.skips) == set(skips)
    feature, maps = model.identity(faces)
    expected = plain_decoder(model.decoder, model.audio(mfcc), feature, maps, skips)
    assert float((expected.amax() - expected.amin()).abs()) > 0.01
    torch.testing.assert_close(model(mfcc, identity), expected, rtol=0, atol=1e-10)


@torch.no_grad()
def test_the_encoders_are_the_authors_layers() -> None:
    model = small()

    def layer(block: Any, x: Tensor, stride: int = 1, pad: int = 0) -> Tensor:
        conv, norm, _ = block
        x = F.conv2d(x, conv.weight, conv.bias, stride=stride, padding=pad)
        mean, spread = norm.running_mean, (norm.running_var + 1e-4).sqrt()
        return F.relu((x - mean[:, None, None]) / spread[:, None, None] * norm.weight[:, None, None] + norm.bias[:, None, None])

    def largest(x: Tensor, stride: tuple[int, int], pad: tuple[int, int, int, int]) -> Tensor:
        padded = F.pad(x, pad, value=-1e9)
        return padded.unfold(2, 3, stride[0]).unfold(3, 3, stride[1]).amax((-1, -2))

    a, mfcc = model.audio, speech(2)
    x = largest(layer(a.conv2, layer(a.conv1, mfcc, pad=1), pad=1), (1, 2), (0, 0, 1, 0))
    x = largest(layer(a.conv5, layer(a.conv4, layer(a.conv3, x, pad=1), pad=1), pad=1), (2, 2), (0, 0, 0, 0))
    torch.testing.assert_close(model.audio(mfcc), layer(a.fc7, layer(a.fc6, x)).flatten(1), rtol=0, atol=1e-9)

    i, faces = model.identity, stills(2)
    relu1 = layer(i.conv1, faces, stride=2)
    pool1 = largest(relu1, (2, 2), (0, 0, 0, 0))
    relu2 = layer(i.conv2, pool1, stride=2, pad=1)
    x = largest(relu2, (2, 2), (0, 1, 0, 1))
    x = layer(i.conv5, layer(i.conv4, layer(i.conv3, x, pad=1), pad=1), pad=1)
    feature, maps = model.identity(faces)
    torch.testing.assert_close(feature, layer(i.fc7, layer(i.fc6, x)).flatten(1), rtol=0, atol=1e-9)
    for name, expected in (("relu1", relu1), ("pool1", pool1), ("relu2", relu2)):
        torch.testing.assert_close(maps[name], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("options", [{"stills": 1}, {"stills": 3}, {"width": 0.5}, {"width": 0.25, "skips": ()}])
def test_its_options_change_no_size_outside(options: dict[str, Any]) -> None:
    with torch.device("meta"):
        model = Speech2Vid(**options)
        identity = model.identify(torch.empty(3, 3 * options.get("stills", 5), 112, 112))
        assert identity.feature.shape == (3, FEATURES)
        assert model.audio(torch.empty(3, 1, 12, 35)).shape == (3, FEATURES)
        assert model(torch.empty(3, 1, 12, 35), identity).shape == (3, 3, 109, 109)


def test_half_the_width_is_about_a_quarter_of_the_weights() -> None:
    with torch.device("meta"):
        whole, half = Speech2Vid(), Speech2Vid(width=0.5)
    assert 0.25 < weights_of(half) / weights_of(whole) < 0.3


@torch.no_grad()
def test_one_speaker_serves_many_frames() -> None:
    model = small(skips=ALL)
    identity, mfcc = model.identify(stills(1)), speech(4)
    many = identity.expand(4)
    assert many.feature.data_ptr() == identity.feature.data_ptr()
    assert all(many.skips[name].data_ptr() == maps.data_ptr() for name, maps in identity.skips.items())
    one_by_one = torch.cat([model(mfcc[i : i + 1], identity) for i in range(4)])
    torch.testing.assert_close(model(mfcc, many), one_by_one, rtol=0, atol=1e-10)


@torch.no_grad()
def test_each_speaker_serves_frames_in_a_row() -> None:
    model = small(skips=ALL)
    faces, mfcc = stills(2), speech(4)
    expected = model(mfcc, model.identify(faces[[0, 0, 1, 1]]))
    torch.testing.assert_close(model(mfcc, model.identify(faces).repeat(2)), expected, rtol=0, atol=1e-10)
    assert float((expected[2] - model(mfcc[2:3], model.identify(faces[:1]))[0]).abs().max()) > 1e-4


@pytest.mark.parametrize("skips", [(), ALL])
def test_what_is_learnt_is_what_is_used(skips: tuple[Any, ...], upsampling: Any) -> None:
    """With gradients the network takes another way through its convolutions, which is quicker to differentiate."""
    model = small(skips=skips, upsampling=upsampling)
    faces, mfcc = stills(1), speech(2)
    with torch.no_grad():
        used = model(mfcc, model.identify(faces).repeat(2))
    torch.testing.assert_close(model(mfcc, model.identify(faces).repeat(2)).detach(), used, rtol=0, atol=1e-10)


def test_a_chosen_speaker_learns_from_all_of_its_frames() -> None:
    """Gradients of frames that share a speaker add up, as if each had been given the stills."""
    model = small()
    faces, mfcc = stills(1), speech(2)
    shared = model(mfcc, model.identify(faces).repeat(2)).sum()
    (once,) = torch.autograd.grad(shared, model.identity.conv1[0].weight)
    (twice_,) = torch.autograd.grad(model(mfcc, model.identify(faces.expand(2, -1, -1, -1))).sum(), model.identity.conv1[0].weight)
    assert float(once.abs().max()) > 0
    torch.testing.assert_close(once, twice_, rtol=1e-6, atol=1e-9)


@torch.no_grad()
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_pictures_stay_within_their_range(scale: float, upsampling: Any) -> None:
    model = Speech2Vid(width=SMALL, upsampling=upsampling, skips=ALL).eval()
    made = model(scale * torch.randn(2, 1, 12, 35), model.identify(torch.rand(2, 15, 112, 112)))
    assert made.isfinite().all()
    assert float(made.min()) >= 0
    assert float(made.max()) <= 1


@torch.no_grad()
@pytest.mark.parametrize("skips", [(), SKIPS])
def test_an_untrained_network_hears(skips: tuple[Any, ...]) -> None:
    """What is said reaches the picture before anything is learned, or nothing would ever be."""
    # As it learns, with batch norm by the batch: the statistics for later use mean nothing yet.
    model = Speech2Vid(width=0.5, skips=skips).train()
    identity = model.identify(torch.rand(2, 15, 112, 112)).repeat(4)
    made = model(8 * torch.randn(8, 1, 12, 35), identity).unflatten(0, (2, 4))
    assert float(made.std(1).mean()) > 1e-3


def parameters_without_gradient(model: nn.Module) -> Iterator[str]:
    for name, values in model.named_parameters():
        if values.grad is None or not values.grad.any():
            yield name


def test_every_weight_is_learned(upsampling: Any) -> None:
    model = Speech2Vid(width=SMALL, skips=ALL, upsampling=upsampling)
    made = model(8 * torch.randn(3, 1, 12, 35), model.identify(torch.rand(3, 15, 112, 112)))
    (made - torch.rand_like(made)).abs().mean().backward()
    # Batch norm takes the mean away, and a bias before it with it.
    idle = [name for name in parameters_without_gradient(model) if not (name.startswith(("audio", "identity")) and name.endswith("0.bias"))]
    assert not idle


@torch.no_grad()
def test_the_sharpener_begins_by_changing_nearly_nothing() -> None:
    pictures = torch.rand(2, 3, 109, 109)
    made = Sharpener()(pictures)
    assert made.shape == pictures.shape
    assert 0 < float((made - pictures).abs().max()) < 0.05


@torch.no_grad()
def test_what_the_sharpener_adds_stays_within_the_range_and_reach() -> None:
    network = Sharpener()
    nn.init.normal_(network.steps[-1].weight, std=1.0)
    pictures = torch.rand(1, 3, 60, 40)
    made = network(pictures)
    assert float(made.min()) >= 0
    assert float(made.max()) <= 1
    # Ten layers of 3 x 3 look ten px far.
    other = pictures.clone()
    other[..., 20, 15] = 1 - other[..., 20, 15]
    changed = (network(other) != made).any(1)[0].nonzero()
    assert (changed - torch.tensor([20, 15])).abs().max() <= 10
