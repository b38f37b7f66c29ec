"""What faces are compared by: its layers, how published weights become ours, and that blur is undone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("redub_speech2vid", reason="install it:  pip install ./plugins/speech2vid")

from redub_speech2vid.content import VGG_MEAN, Reader, VggM, load_vgg, random_vgg, start_identity
from redub_speech2vid.losses import content_loss, focus_map, gradient_loss, image_loss
from redub_speech2vid.model import IdentityEncoder
from redub_speech2vid.sharpen import blur
from redub_speech2vid.vggface import LAYERS, convert
from scipy.io import savemat

from redub.errors import RedubError
from redub.training.checkpoint import read_tensors

SHAPES = {"conv1": (96, 3, 7, 7), "conv2": (256, 96, 5, 5), "conv3": (512, 256, 3, 3), "conv4": (512, 512, 3, 3), "conv5": (512, 512, 3, 3)}


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    """Filters (out, in, height, width) and biases of a made-up VGG-M."""
    random = np.random.default_rng(0)
    found = {}
    for name, shape in SHAPES.items():
        found[f"{name}.weight"] = random.normal(0, 0.02, shape).astype(np.float32)
        found[f"{name}.bias"] = random.normal(0, 0.1, shape[0]).astype(np.float32)
    return found


def matconvnet(arrays, name: str) -> list[np.ndarray]:
    """A layer's arrays as MatConvNet keeps them: (height, width, in, out)."""
    return [arrays[f"{name}.weight"].transpose(2, 3, 1, 0), arrays[f"{name}.bias"][:, None]]


def cell(values) -> np.ndarray:
    made = np.empty(len(values), object)
    made[:] = values
    return made


def same(path, arrays) -> None:
    found, _ = read_tensors(path)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert np.allclose(found[name].numpy(), array, atol=1e-6), name


def test_a_plain_matconvnet_file_becomes_ours(arrays, tmp_path):
    layers = []
    for name in LAYERS:
        layers += [{"name": name, "type": "conv", "weights": cell(matconvnet(arrays, name))}, {"name": f"relu{name[-1]}", "type": "relu"}]
    layers.append({"name": "fc6", "type": "conv", "weights": cell([np.zeros((6, 6, 4, 5), np.float32), np.zeros(5)])})
    mean = np.tile(np.float32([129.2, 104.8, 93.6]), (224, 224, 1))
    savemat(tmp_path / "vgg.mat", {"layers": cell(layers), "meta": {"normalization": {"averageImage": mean}}})
    convert(tmp_path / "vgg.mat", tmp_path / "vgg.safetensors")
    same(tmp_path / "vgg.safetensors", arrays)
    assert read_tensors(tmp_path / "vgg.safetensors")[1]["mean"] == "129.200,104.800,93.600"


def test_a_matconvnet_graph_with_batch_norms_gives_the_same_maps(arrays, tmp_path):
    random = np.random.default_rng(1)
    layers, parameters, norms = [], [], {}
    for name in LAYERS:
        channels = len(arrays[f"{name}.bias"])
        moments = np.stack([random.normal(0, 0.3, channels), random.uniform(0.5, 2, channels)], axis=1).astype(np.float32)
        norms[name] = (random.uniform(0.5, 2, channels).astype(np.float32), random.normal(size=channels).astype(np.float32), moments)
        layers.append({"name": name, "type": "dagnn.Conv", "params": cell([f"{name}f", f"{name}b"])})
        layers.append({"name": f"bn{name[-1]}", "type": "dagnn.BatchNorm", "params": cell([f"{name}m", f"{name}o", f"{name}s"])})
        values = [*matconvnet(arrays, name), *norms[name]]
        parameters += [{"name": name + kind, "value": value} for kind, value in zip("fbmos", values, strict=True)]
    savemat(tmp_path / "bn.mat", {"net": {"layers": cell(layers), "params": cell(parameters)}})
    convert(tmp_path / "bn.mat", tmp_path / "bn.safetensors")
    network = load_vgg(tmp_path / "bn.safetensors", "unit")
    pictures = torch.rand(2, 3, 109, 109)
    x = torch.nn.functional.conv2d(pictures, torch.from_numpy(arrays["conv1.weight"]), torch.from_numpy(arrays["conv1.bias"]), 2)
    gain, offset, moments = (torch.from_numpy(part) for part in norms["conv1"])
    wanted = ((x - moments[:, 0, None, None]) / moments[:, 1, None, None] * gain[:, None, None] + offset[:, None, None]).relu()
    assert torch.allclose(network.maps(pictures)[0], wanted, atol=1e-4)


@pytest.mark.parametrize("patterns", [("{}_weight", "{}_bias"), ("{}/0", "{}/1"), ("{}.weight", "{}.bias")])
def test_an_archive_of_arrays_becomes_ours(arrays, tmp_path, patterns):
    renamed = {
        pattern.format(name): arrays[f"{name}.{kind}"]
        for name in LAYERS
        for kind, pattern in zip(("weight", "bias"), patterns, strict=True)
    }
    np.savez(tmp_path / "vgg.npz", fc6_weight=np.zeros(3), **renamed)
    convert(tmp_path / "vgg.npz", tmp_path / "vgg.safetensors")
    same(tmp_path / "vgg.safetensors", arrays)
    convert(tmp_path / "vgg.npz", tmp_path / "bgr.safetensors", is_bgr=True)
    assert np.array_equal(read_tensors(tmp_path / "bgr.safetensors")[0]["conv1.weight"].numpy(), arrays["conv1.weight"][:, ::-1])


def test_another_network_and_formats_with_code_are_refused(arrays, tmp_path):
    np.savez(tmp_path / "small.npz", **{**arrays, "conv3.weight": arrays["conv3.weight"][:, :128]})
    with pytest.raises(RedubError, match=r"conv3\.weight should be \(512, 256, 3, 3\) and is \(512, 128, 3, 3\)"):
        convert(tmp_path / "small.npz", tmp_path / "out.safetensors")
    np.savez(tmp_path / "objects.npz", conv1_weight=np.array([{"a": 1}], object))
    with pytest.raises(RedubError, match="cannot be read"):
        convert(tmp_path / "objects.npz", tmp_path / "out.safetensors")
    (tmp_path / "broken.mat").write_bytes(b"no network")
    with pytest.raises(RedubError, match="cannot be read"):
        convert(tmp_path / "broken.mat", tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_maps_have_the_sizes_of_the_paper_graph():
    network = random_vgg(0, width=1.0)
    sizes = [tuple(one.shape[1:]) for one in network.maps(torch.rand(1, 3, 109, 109))]
    assert sizes == [(96, 52, 52), (256, 12, 12), (512, 6, 6), (512, 6, 6), (512, 6, 6)]


def test_an_untrained_network_is_the_same_for_the_same_seed():
    pictures = torch.rand(1, 3, 109, 109)
    one, again, other = (random_vgg(seed).maps(pictures)[4] for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    # Maps keep their size through the layers, so that each has its say.
    means = [float(x.detach().mean()) for x in random_vgg(1).maps(pictures)]
    assert min(means) > 0.02
    assert max(means) < 5


def test_pictures_are_shown_as_the_network_was_trained(arrays, tmp_path):
    np.savez(tmp_path / "vgg.npz", **arrays)
    convert(tmp_path / "vgg.npz", tmp_path / "vgg.safetensors")
    pictures = torch.rand(1, 3, 109, 109)
    shown = pictures * 255 - torch.tensor(VGG_MEAN).view(1, 3, 1, 1)
    weight, bias = (torch.from_numpy(arrays[f"conv1.{kind}"]) for kind in ("weight", "bias"))
    wanted = torch.nn.functional.conv2d(shown, weight, bias, 2).relu() / 255
    assert torch.allclose(load_vgg(tmp_path / "vgg.safetensors", "vgg").maps(pictures)[0], wanted, atol=1e-4)
    plain = torch.nn.functional.conv2d(pictures, weight, bias, 2).relu()
    assert torch.allclose(load_vgg(tmp_path / "vgg.safetensors", "unit").maps(pictures)[0], plain, atol=1e-5)


def test_an_identity_encoder_that_starts_from_vgg_gives_its_maps_for_five_alike(arrays):
    vgg = VggM()
    vgg.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    encoder = IdentityEncoder()
    start_identity(encoder, vgg)
    picture = torch.rand(1, 3, 112, 112)
    assert torch.allclose(encoder.conv1[0](picture.repeat(1, 5, 1, 1)), vgg.conv1(picture), atol=1e-4)
    for name in LAYERS[1:]:
        assert torch.equal(getattr(encoder, name)[0].weight, getattr(vgg, name).weight)


def test_a_readers_maps_shrink_to_its_code():
    reader = Reader().eval()
    maps = reader.maps(torch.rand(2, 3, 109, 109))
    assert [one.shape[-1] for one in maps] == [55, 28, 14, 14, 14]
    assert reader.code(maps).shape == (2, 12)


def test_losses_are_means_whatever_the_size():
    true = torch.rand(2, 3, 109, 109)
    flat = torch.ones(1, 1, 109, 109)
    assert float(image_loss(true + 0.25, true, flat)) == pytest.approx(0.25, abs=1e-5)
    assert float(gradient_loss(true + 0.25, true, flat)) == pytest.approx(0, abs=1e-6)
    ramp = torch.arange(109.0) * 0.01
    assert float(gradient_loss(true + ramp, true, flat)) == pytest.approx(0.01, abs=1e-5)
    maps = [torch.zeros(1, 2, 9, 9), torch.zeros(1, 50, 2, 2)]
    assert float(content_loss([maps[0] + 1, maps[1] + 3], maps)) == pytest.approx(4)


def test_the_mouth_counts_most_and_all_pixels_count_one_on_average():
    weight = focus_map()[0, 0]
    assert float(weight.mean()) == pytest.approx(1, abs=1e-5)
    assert float(weight.min()) > 0
    y, x = divmod(int(weight.argmax()), 109)
    assert (x, y) == (pytest.approx(54, abs=6), pytest.approx(69, abs=8))


def test_blur_keeps_the_mean_and_is_as_wide_as_asked():
    point = torch.zeros(2, 3, 61, 61)
    point[..., 30, 30] = 1
    blurred = blur(point, torch.tensor([0.8, 2.0]), 13)
    place = torch.arange(61.0) - 30
    assert torch.allclose(blurred.sum((2, 3)), torch.ones(2, 3), atol=1e-5)
    widths = (blurred.sum(2) * place**2).sum(-1) ** 0.5
    assert torch.allclose(widths[0], torch.full((3,), 0.8), atol=0.02)
    assert torch.allclose(widths[1], torch.full((3,), 2.0), atol=0.05)
    flat = torch.full((1, 3, 20, 20), 0.4)
    assert torch.allclose(blur(flat, torch.tensor([2.0]), 5), flat, atol=1e-6)
