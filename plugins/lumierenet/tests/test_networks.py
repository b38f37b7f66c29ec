"""The networks against the tables: sizes, parameters, and the losses' equations."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from redub_lumierenet import vgg19  # noqa: E402
from redub_lumierenet.losses import VGG_INDICES, Vgg, believed, divergence, feature_distance, load_vgg, stand_in, taught, weighted_l1  # noqa: E402
from redub_lumierenet.networks import VAE, Critic, Decoder, Ear, Encoder, UNet  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from redub.errors import RedubError  # noqa: E402


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def on_paper(make):
    """Shapes without numbers: nothing is allocated."""
    with torch.device("meta"):
        return make()


def test_the_vae_is_as_large_as_the_table_says():
    encoder, decoder = on_paper(Encoder), on_paper(Decoder)
    assert [layer.out_channels for layer in encoder.convolutions] == [32, 64, 128]
    assert {layer.kernel_size for layer in [*encoder.convolutions, *decoder.convolutions]} == {(3, 3)}
    # Two heads on 128 x 32 x 32, and on 128 x 16 x 16.
    assert encoder.mean.in_features == 131_072
    assert count(encoder.mean) + count(encoder.log_variance) == 2 * (131_072 * 128 + 128)
    assert on_paper(lambda: Encoder(128)).mean.in_features == 32_768
    assert [layer.out_channels for layer in decoder.convolutions] == [128, 64, 32, 3]
    assert decoder.start.out_features == 128 * 16 * 16
    assert count(decoder) == 129 * 128 * 256 + (128 * 9 + 1) * 128 + (128 * 9 + 1) * 64 + (64 * 9 + 1) * 32 + (32 * 9 + 1) * 3


@pytest.mark.parametrize("side", [64, 128, 256])
def test_the_vae_gives_figures_back_in_their_size(side):
    vae = on_paper(lambda: VAE(side))
    given, mean, log_variance = vae(torch.empty(2, 3, side, side, device="meta"), torch.empty(2, 128, device="meta"))
    assert given.shape == (2, 3, side, side)
    assert mean.shape == log_variance.shape == (2, 128)


def test_noise_moves_the_codes_by_their_deviation():
    torch.manual_seed(0)
    vae = VAE(64, 1 / 8).eval()
    figures = torch.rand(1, 3, 64, 64)
    plain, mean, log_variance = vae(figures)
    noisy, _, _ = vae(figures, torch.ones(1, 128))
    assert torch.allclose(plain, vae.decoder(mean))
    assert torch.allclose(noisy, vae.decoder(mean + torch.exp(log_variance / 2)), atol=1e-6)


def test_the_ear_is_one_layer_of_256_cells_each_way_and_an_fc_layer():
    ear = on_paper(Ear)
    assert count(ear.lstm) == 610_304
    assert count(ear.fc) == 65_664
    assert ear(torch.empty(2, 15, 40, device="meta")).shape == (2, 128)


def test_both_directions_of_the_ear_have_heard_the_whole_window():
    torch.manual_seed(0)
    ear = Ear(8).eval()
    heard = torch.randn(1, 15, 40)
    for step in (0, 14):
        other = heard.clone()
        other[0, step] += 1
        joined = [ear.lstm(one)[1][0][:, 0] for one in (heard, other)]
        assert not torch.allclose(joined[0][0], joined[1][0], atol=1e-7)
        assert not torch.allclose(joined[0][1], joined[1][1], atol=1e-7)


def test_the_unet_is_pix2pixs():
    network = on_paper(UNet)
    assert 54.40e6 < count(network) < 54.42e6
    # A quarter at half the width, but for the ends.
    assert count(on_paper(lambda: UNet(width=0.5))) / count(network) == pytest.approx(0.25, abs=0.001)
    sizes = []
    for down in network.downs:
        down.register_forward_hook(lambda _m, _i, out: sizes.append(tuple(out.shape[1:])))
    assert network(torch.empty(2, 3, 256, 256, device="meta")).shape == (2, 3, 256, 256)
    assert sizes == [(64, 128, 128), (128, 64, 64), (256, 32, 32), (512, 16, 16), (512, 8, 8), (512, 4, 4), (512, 2, 2), (512, 1, 1)]
    norms = [sum(isinstance(one, torch.nn.BatchNorm2d) for one in layer.modules()) for layer in network.downs]
    assert norms == [0, 1, 1, 1, 1, 1, 1, 0]


def test_the_unet_drops_out_in_three_layers_while_it_learns_and_paints_within_0_to_1():
    torch.manual_seed(0)
    network, figure = UNet(width=1 / 16), torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        # Statistics of one picture at 1 px would be refused.
        pair = torch.cat([figure, figure * 0.5])
        assert not torch.equal(network(pair), network(pair))
        network.eval()
        painted = network(figure)
        assert torch.equal(painted, network(figure))
    assert 0 <= float(painted.min()) <= float(painted.max()) <= 1


def test_a_backdrop_is_what_is_painted_before_anything_is_learnt():
    network, picture = UNet(side=16, width=1 / 16, backdrop=True).eval(), torch.rand(3, 16, 16) * 0.98 + 0.01
    network.hang(picture)
    with torch.no_grad():
        for parameter in network.ups[-1].parameters():
            parameter.zero_()
        assert torch.allclose(network(torch.rand(2, 3, 16, 16)), picture.expand(2, 3, 16, 16), atol=1e-5)
    assert UNet(side=16, width=1 / 16).backdrop is None


def test_the_discriminator_looks_at_the_whole_picture():
    torch.manual_seed(0)
    critic = Critic(width=1 / 16).eval()
    assert on_paper(Critic).last.kernel_size == (4, 4)
    pictures = torch.rand(2, 3, 256, 256, requires_grad=True)
    scores = critic(pictures)
    assert scores.shape == (2,)
    scores[0].backward()
    reached = pictures.grad[0].abs().sum(dim=0) > 0
    assert reached[:8, :8].any()
    assert reached[-8:, -8:].any()
    assert not pictures.grad[1].any()


def test_the_game_is_least_squares():
    true, painted = torch.tensor([1.0, 0.5]), torch.tensor([0.0, 0.5])
    assert float(taught(true, painted)) == pytest.approx(0.5 * (0.125 + 0.125))
    assert float(believed(painted)) == pytest.approx((1 + 0.25) / 2)
    assert float(taught(torch.ones(3), torch.zeros(3))) == 0


def test_codes_that_are_standard_normal_do_not_diverge():
    assert float(divergence(torch.zeros(2, 128), torch.zeros(2, 128))) == 0
    # KL of N(1, 1) from N(0, 1) is a half.
    assert float(divergence(torch.ones(2, 128), torch.zeros(2, 128))) == pytest.approx(0.5)


def test_weights_decide_where_differences_count():
    one, other, weight = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4), torch.ones(1, 1, 4, 4)
    other[..., 0, 0] = 1.0
    weight[..., 0, 0] = 5.0
    assert float(weighted_l1(one, other)) == pytest.approx(1 / 16)
    assert float(weighted_l1(one, other, weight)) == pytest.approx(5 / 16)


@pytest.fixture(scope="module")
def a_vgg_file(tmp_path_factory):
    """A file as torchvision publishes it, with drawn numbers."""
    torch.manual_seed(4)
    sizes = {
        0: (3, 64),
        2: (64, 64),
        5: (64, 128),
        7: (128, 128),
        10: (128, 256),
        12: (256, 256),
        14: (256, 256),
        16: (256, 256),
        19: (256, 8),
    }
    tensors = {}
    for index, (before, after) in sizes.items():
        tensors[f"features.{index}.weight"] = torch.randn(after, before, 3, 3) * (2 / (9 * before)) ** 0.5
        tensors[f"features.{index}.bias"] = torch.randn(after) * 0.1
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save(tensors, path)
    return path, tensors


def test_a_converted_vgg19_computes_pool1_to_pool3(a_vgg_file, tmp_path):
    path, tensors = a_vgg_file
    vgg19.convert(path, tmp_path / "vgg19.safetensors")
    with pytest.raises(RedubError, match="exists"):
        vgg19.convert(path, tmp_path / "vgg19.safetensors")
    vgg = load_vgg(tmp_path / "vgg19.safetensors")
    picture = torch.rand(1, 3, 32, 32)
    x = (picture - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    for found, indices in zip(vgg(picture), VGG_INDICES, strict=True):
        for index in indices:
            x = torch.relu(torch.nn.functional.conv2d(x, tensors[f"features.{index}.weight"], tensors[f"features.{index}.bias"], padding=1))
        x = torch.nn.functional.max_pool2d(x, 2)
        assert torch.allclose(found, x, atol=1e-4)
    assert not any(parameter.requires_grad for parameter in vgg.parameters())


def test_a_file_that_is_no_vgg19_is_one_clear_error(tmp_path):
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("nothing")
    for name in ("other.pth", "text.pth"):
        with pytest.raises(RedubError):
            vgg19.convert(tmp_path / name, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()
    save_file({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "half.safetensors")
    with pytest.raises(RedubError, match="convolutions of VGG-19"):
        load_vgg(tmp_path / "half.safetensors")


def test_features_are_farther_the_more_pictures_differ():
    vgg = stand_in(0)
    torch.manual_seed(1)
    picture = torch.nn.functional.interpolate(torch.rand(1, 3, 8, 8), size=64, mode="bicubic").clamp(0, 1)
    moved = [picture.roll(step, dims=-1) for step in (0, 1, 4, 16)]
    far = [float(feature_distance(vgg, one, picture)) for one in moved]
    assert far[0] == 0
    assert sorted(far) == far
    assert all(torch.equal(a, b) for a, b in zip(stand_in(0).state_dict().values(), vgg.state_dict().values(), strict=True))


def test_features_of_the_stand_in_have_a_gradient_and_learn_nothing():
    vgg, picture = stand_in(0), torch.rand(1, 3, 32, 32, requires_grad=True)
    feature_distance(vgg, picture, torch.rand(1, 3, 32, 32)).backward()
    assert np.isfinite(float(picture.grad.abs().sum()))
    assert float(picture.grad.abs().sum()) > 0
    assert isinstance(vgg, Vgg)
