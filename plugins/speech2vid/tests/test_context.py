"""The network that paints in context: what it cannot see, the table's sizes, and that it learns, paints and adapts."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("redub_speech2vid", reason="install it:  pip install ./plugins/speech2vid")

import torch.nn.functional as F  # noqa: E402
from redub_speech2vid import adapt as adapting  # noqa: E402
from redub_speech2vid import train as trainer  # noqa: E402
from redub_speech2vid.canvas import PLAIN, context_canvas  # noqa: E402
from redub_speech2vid.generator import load  # noqa: E402
from redub_speech2vid.hidden import INSIDE, OUTSIDE, fade, hidden_mask, hide, outline  # noqa: E402
from redub_speech2vid.incontext import CONTEXT, CONTEXT_PX, IDENTITY, REACH, Build, InContext, mixed  # noqa: E402
from redub_speech2vid.recipe import choose_recipe  # noqa: E402
from redub_speech2vid.weights import read_base  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from redub.errors import ConfigError, PluginError  # noqa: E402
from redub.faces.canonical import CANONICAL_FACE  # noqa: E402
from redub.faces.masks import lower_face_mask  # noqa: E402
from redub.plugin import AdaptRequest, Blend, LoadContext, Piece, TrainRequest  # noqa: E402
from redub.testing import draw_face, make_clip  # noqa: E402
from redub.training.checkpoint import read_tensors  # noqa: E402
from redub.training.stock import reduced  # noqa: E402

TINY = {
    "width": "0.0625", "context.width": "0.0625", "context.fine": "0.0625", "precision": "float32",
    "reader.steps": "2", "reader.identities": "2", "reader.targets": "2", "reader.look_every": "2",
    "mouth.steps": "3", "mouth.identities": "2", "mouth.targets": "2", "mouth.look_every": "3",
}  # fmt: skip
SMALL = Build(width=1 / 8, context=1 / 4, fine=3 / 16)
ALL = ("pool2", "relu2", "pool1", "relu1")


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def large_pieces(pieces: list[Piece]) -> list[Piece]:
    """The same people at 224 px."""
    return [replace(piece, crops=piece.crops.repeat(2, axis=1).repeat(2, axis=2)) for piece in pieces]


class TestWhatIsHidden:
    def test_all_that_a_mask_of_the_lower_face_shows_is_hidden(self) -> None:
        for size in (112, 224):
            assert hidden_mask(size)[lower_face_mask(size, 0.0) > 0].all()

    def test_a_jaw_that_drops_stays_hidden_and_eyes_do_not(self) -> None:
        mask = hidden_mask(CONTEXT_PX)
        open_jaw = CANONICAL_FACE[[*range(5, 12), *range(48, 68)]] + [0.0, 0.08]
        column, row = np.minimum(open_jaw * CONTEXT_PX, CONTEXT_PX - 3).astype(int).T
        assert mask[row, column].all()
        column, row = (CANONICAL_FACE[27:31] * CONTEXT_PX).astype(int).T
        assert not mask[row, column].any()
        assert not mask[: CONTEXT_PX // 3].any()

    def test_the_context_is_the_same_to_the_bit_whatever_is_hidden(self) -> None:
        face = torch.from_numpy(draw_face(CONTEXT_PX, 0.2, 3)[0].copy()).permute(2, 0, 1)[None].float() / 255
        other = torch.where(torch.from_numpy(hidden_mask(CONTEXT_PX).copy()), torch.rand_like(face), face)
        assert not torch.equal(face, other)
        assert torch.equal(hide(face), hide(other))

    def test_outside_the_mask_the_frame_is_as_it_was_and_inside_it_is_the_skins_colour(self) -> None:
        face = torch.rand(2, 3, CONTEXT_PX, CONTEXT_PX)
        face[:, :, 40:90, 40:180] = torch.tensor([0.7, 0.5, 0.4])[:, None, None]  # a patch of skin below the eyes
        mask = torch.from_numpy(hidden_mask(CONTEXT_PX).copy())
        found = hide(face)
        assert torch.equal(found[:, :, ~mask], face[:, :, ~mask])
        assert torch.allclose(found[:, :, mask], torch.tensor([0.7, 0.5, 0.4])[None, :, None])

    def test_what_is_shown_fades_in_around_the_outline(self) -> None:
        shown, mask = fade(CONTEXT_PX), hidden_mask(CONTEXT_PX)
        assert shown.max() == 1.0
        assert shown[-1].max() < 0.05
        inside = np.linalg.norm(outline()[None] - CANONICAL_FACE[66], axis=-1).min()
        assert inside > INSIDE
        assert shown[tuple((CANONICAL_FACE[66, ::-1] * CONTEXT_PX).astype(int))] == 1.0
        far = F.max_pool2d(
            torch.from_numpy(mask.copy()).float()[None, None], 2 * int(OUTSIDE * CONTEXT_PX + 2) + 1, 1, int(OUTSIDE * CONTEXT_PX + 2)
        )
        assert shown[(far[0, 0] == 0).numpy()].max() == 0.0


class TestTheNetwork:
    def test_the_table_has_its_sizes(self) -> None:
        seen: dict[str, tuple[int, ...]] = {}

        def watch(name: str) -> Any:
            return lambda _module, given, made: seen.update({name: tuple(made.shape[1:]) if isinstance(made, Tensor) else ()})

        with torch.device("meta"):
            network = InContext(Build(identity_skips=ALL, context_skips=ALL)).eval()
            for part in ("context", "decoder"):
                for name, layer in getattr(network, part).named_children():
                    layer.register_forward_hook(watch(f"{part}.{name}"))
            made = network(torch.empty(2, 1, 12, 35), network.identify(torch.empty(2, 15, 224, 224)), torch.empty(2, 3, 224, 224))
        assert made.shape == (2, 3, 224, 224)
        assert seen["context.conv1"] == (96, 109, 109)
        assert seen["context.conv2"] == (256, 26, 26)
        assert seen["context.conv3"] == seen["context.conv5"] == (512, 13, 13)
        assert seen["context.fc6"] == (512, 1, 1)
        assert seen["decoder.conv1_3"] == (512, 6, 6)
        assert seen["decoder.conv2"] == (256, 13, 13)
        assert seen["decoder.conv3_1"] == (256, 26, 26)
        assert seen["decoder.conv3_2"] == (96, 54, 54)
        assert seen["decoder.conv4"] == (96, 109, 109)
        assert seen["decoder.conv5_1"] == (64, 220, 220)
        assert seen["decoder.conv5_2"] == (32, 222, 222)

    @pytest.mark.parametrize("shape", ["table", "slim", "moving"])
    @pytest.mark.parametrize("rows", [34, 54])
    def test_the_lower_rows_alone_can_be_painted(self, shape: Any, rows: int) -> None:
        with torch.device("meta"):
            network = InContext(replace(SMALL, rows=rows, shape=shape)).eval()
            made = network(torch.empty(1, 1, 12, 35), network.identify(torch.empty(1, 15, 224, 224)), torch.empty(1, 3, 224, 224))
        canvas = context_canvas(rows)
        assert made.shape == (1, 3, canvas.height, canvas.width)
        assert canvas.top + canvas.height == CONTEXT_PX
        assert not hidden_mask(CONTEXT_PX)[: canvas.top].any()

    @torch.no_grad()
    def test_shares_make_the_same_picture_as_joined_maps(self) -> None:
        network = InContext(replace(SMALL, identity_skips=("relu2", "relu1"), context_skips=("pool2", "relu2", "pool1"))).double().eval()
        for name, values in network.named_parameters():
            if name.endswith("bias"):
                values.normal_(std=0.1)
        decoder, frames = network.decoder, torch.rand(2, 3, 224, 224, dtype=torch.float64)
        stills, mfcc = torch.rand(2, 15, 224, 224, dtype=torch.float64), 8 * torch.randn(2, 1, 12, 35, dtype=torch.float64)
        (feature, one), (around, other) = network.identity(stills), network.context(frames)

        def up(name: str, x: Tensor, joined: tuple[Tensor, ...] = (), grows: bool = True) -> Tensor:
            layer = getattr(decoder, name)
            x = torch.cat([*joined, x], 1)
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True) if grows else x
            return F.conv2d(F.pad(x, layer.pad), layer.weight, layer.bias)

        x = torch.cat([network.audio(mfcc), feature, around], 1)[..., None, None]
        x = F.relu(up("conv8", x, grows=False))
        for name in ("conv1_1", "conv1_2", "conv1_3", "conv2"):
            x = F.relu(up(name, x))
        x = F.relu(up("conv3_1", x, (other["pool2"],)))
        x = F.relu(up("conv3_2", x, (one["relu2"], other["relu2"])))
        x = F.relu(up("conv4", x, (other["pool1"],)))
        x = F.relu(up("conv5_1", x, (one["relu1"],)))
        x = F.relu(up("conv5_2", x, grows=False))
        expected = torch.sigmoid(up("conv5_3", x, grows=False))
        assert float(expected.amax() - expected.amin()) > 0.01
        torch.testing.assert_close(network(mfcc, network.identify(stills), frames), expected, rtol=0, atol=1e-10)

    def test_pixels_come_from_where_it_says_in_the_still_that_is_believed(self) -> None:
        stills, painted = torch.rand(2, 5, 3, 32, 32), torch.rand(4, 3, 24, 32)
        said = torch.zeros(4, 16, 12, 16)
        said[:, 0] = -30.0  # paint nothing
        said[:, 1 + 3] = 5.0  # believe the fourth still
        taken = mixed(painted, said, stills)
        # Two frames of the first speaker, two of the second; the lower 24 of 32 rows.
        torch.testing.assert_close(taken, stills[[0, 0, 1, 1], 3, :, 8:], rtol=0, atol=1e-5)
        said[:, 6 + 2 * 3] = float(np.arctanh(2 * 2 / 32 / REACH))  # two px from the right
        torch.testing.assert_close(mixed(painted, said, stills)[..., :-2], taken[..., 2:], rtol=0, atol=1e-4)
        said[:, 0] = 30.0
        torch.testing.assert_close(mixed(painted, said, stills), painted, rtol=0, atol=1e-6)

    @pytest.mark.parametrize("shape", ["table", "slim", "moving"])
    def test_every_weight_is_learned(self, shape: Any) -> None:
        network = InContext(replace(SMALL, shape=shape, rows=34, identity_skips=ALL, context_skips=ALL))
        made = network(torch.randn(2, 1, 12, 35), network.identify(torch.rand(2, 15, 224, 224)), torch.rand(2, 3, 224, 224))
        made.square().mean().backward()
        still = [name for name, one in network.named_parameters() if one.grad is None or not one.grad.abs().sum() > 0]
        # A bias before a batch norm is taken off again.
        assert all(name.endswith("0.bias") for name in still)

    def test_the_shipped_recipe_is_small(self) -> None:
        with torch.device("meta"):
            network = trainer._make_network(choose_recipe("context", {}))
            table = trainer._make_network(choose_recipe("paper-context", {"identity": "random", "loss.content": "random"}))
        assert 2 * count(network) < 45e6
        assert count(table) > 4 * count(network)


def count(network: nn.Module) -> int:
    return sum(one.numel() for one in network.parameters())


def test_a_picture_is_read_as_the_plain_network_would_have_painted_it() -> None:
    canvas, whole = context_canvas(34), torch.rand(2, 3, 224, 224)
    small = torch.from_numpy(reduced(np.rint(whole.permute(0, 2, 3, 1).numpy() * 255).astype(np.uint8), 112)).permute(0, 3, 1, 2) / 255
    read = canvas.as_read(canvas.cut(whole), whole)
    torch.testing.assert_close(read, PLAIN.cut(small), rtol=0, atol=0.004)
    hidden = whole.clone()
    hidden[:, :, canvas.top :] = 0
    assert torch.equal(canvas.as_read(canvas.cut(whole), hidden), read)


@pytest.fixture(scope="session")
def trained(large_pieces: list[Piece], tmp_path_factory: pytest.TempPathFactory) -> TrainRequest:
    """Weights of a tiny network, learnt in a few steps from a base that does not paint in context."""
    folder = tmp_path_factory.mktemp("context")
    plain = TrainRequest(
        pieces=lambda: iter(large_pieces), output=folder / "plain.safetensors", work=folder / "plain", device="cpu",
        settings={
            "width": "0.0625", "precision": "float32", "samples.voices": "1", "stages": "reader,mouth,ear",
            **{key: value for key, value in TINY.items() if key.startswith(("reader", "mouth"))},
            "ear.steps": "3", "ear.batch": "8", "ear.look_every": "3",
        },
    )  # fmt: skip
    trainer.train(plain)
    request = replace(
        plain, output=folder / "context.safetensors", work=folder / "context", recipe="context", settings=TINY, base=plain.output
    )
    trainer.train(request)
    return request


def test_it_learns_from_a_base_and_hears_with_its_ear(trained: TrainRequest) -> None:
    tensors, facts = read_tensors(trained.output)
    assert (facts["blend"], facts["context.rows"], facts["context.shape"]) == ("network", "34", "moving")
    assert facts["steps"] == "reader:2,mouth:3"
    assert (trained.work / "mouth-sheet.png").exists()
    assert trained.base is not None
    base, _ = read_tensors(trained.base)
    assert torch.equal(tensors["audio.conv1.0.weight"], base["audio.conv1.0.weight"])
    # What is heard goes through the teacher that was learnt since.
    teacher = {name.removeprefix("teacher."): one.float() for name, one in tensors.items() if name.startswith("teacher.")}
    assert not torch.equal(tensors["teacher.fc.weight"], base["teacher.fc.weight"])
    head = teacher["gain"][:, None] * teacher["head.weight"][:12]
    torch.testing.assert_close(tensors["audio.fc7.0.weight"][:, :, 0, 0].float(), teacher["fc.weight"] @ head, rtol=0.01, atol=0.002)


def test_a_base_gives_its_painter_as_far_as_it_fits(trained: TrainRequest) -> None:
    recipe = choose_recipe("context", TINY)
    assert trained.base is not None
    base, network = read_base(trained.base, recipe), trainer._make_network(recipe)
    fresh = {name: one.clone() for name, one in network.state_dict().items()}
    base.fill(network)
    now = network.state_dict()
    assert torch.equal(now["decoder.conv1_3.weight"], base.network["decoder.conv1_3.weight"])
    # Speech and stills come first, and the context, which is new, is not listened to yet.
    assert torch.equal(now["decoder.conv8.weight"][:, :512], base.network["decoder.conv8.weight"])
    assert not now["decoder.conv8.weight"][:, 512:].any()
    assert torch.equal(now["context.conv1.0.weight"], fresh["context.conv1.0.weight"])


def test_without_an_ear_it_is_not_trained(trained: TrainRequest, tmp_path: Any) -> None:
    request = replace(trained, base=None, output=tmp_path / "deaf.safetensors", work=tmp_path / "deaf")
    with pytest.raises(ConfigError, match="ear of a base") as caught:
        trainer.train(request)
    assert "--base" in caught.value.hint


def test_bases_that_do_not_fit_are_refused(trained: TrainRequest) -> None:
    assert trained.base is not None
    with pytest.raises(ConfigError, match="width '0.0625' and not '0.5'"):
        read_base(trained.base, choose_recipe("context", {}))
    with pytest.raises(ConfigError, match="context encoder"):
        read_base(trained.output, choose_recipe("own", {"width": "0.0625"}))


def test_it_paints_what_the_frame_shows_around_the_mouth(trained: TrainRequest) -> None:
    context = LoadContext(device="cpu", mode=Blend.NETWORK, weights={"w": trained.output})
    from redub_speech2vid.plugin import INFO

    with load(context) as generator:
        clip = make_clip(INFO, INFO.modes[Blend.NETWORK], 5)
        painted = generator.generate(clip)
        dark = generator.generate(replace(clip, frames=clip.frames // 2))
    assert painted.frames.shape == (5, 224, 224, 3)
    assert painted.alpha is not None
    top = context_canvas(34).top
    assert np.array_equal(painted.frames[:, :top], clip.frames[:, :top])
    assert not painted.alpha[:, :top].any()
    assert not np.array_equal(painted.frames[:, top:], dark.frames[:, top:])


def test_weights_of_the_other_blending_are_refused(trained: TrainRequest) -> None:
    with pytest.raises(PluginError, match="do not paint for poisson"):
        load(LoadContext(device="cpu", mode=Blend.POISSON, weights={"w": trained.output}))


def test_it_adapts(trained: TrainRequest, large_pieces: list[Piece], tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapting, "CONTEXT_STEPS", 24)
    monkeypatch.setattr(adapting, "RATE", 3e-3)
    monkeypatch.setattr(adapting, "LEAST_S", 1.0)
    request = AdaptRequest(
        pieces=[one for one in large_pieces if one.speaker == "ann"], mode=Blend.NETWORK, weights={"w": trained.output},
        output=tmp_path / "ann.safetensors", device="cpu",
    )  # fmt: skip
    adapted = adapting.adapt(request)
    assert not adapted.remark
    assert adapted.after < adapted.before
    changed, _ = read_tensors(request.output)
    assert any(name.startswith("decoder.") for name in changed)
    load(LoadContext(device="cpu", mode=Blend.NETWORK, weights={"w": trained.output}, adapted=request.output)).close()


def test_sources_of_skips_have_shares_of_their_own() -> None:
    network = InContext(SMALL).eval()
    maps = network.context(torch.rand(1, 3, 224, 224))[1]
    assert set(network.decoder.shares(maps, CONTEXT)) == {"relu2", "pool1", "relu1"}
    assert set(network.identify(torch.rand(1, 15, 224, 224)).skips) == {"relu2", "pool1"}
    assert IDENTITY != CONTEXT


def test_weights_that_ship_are_there() -> None:
    from redub_speech2vid.plugin import CONTEXT_WEIGHTS

    for file in CONTEXT_WEIGHTS:
        assert (resources.files("redub_speech2vid") / file.name).is_file()
