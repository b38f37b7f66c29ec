"""The published network has the published sizes, its file is converted name by name, and ours reads what it wrote."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from redub.errors import RedubError, ShapeError, WeightError
from redub.speech import syncnet
from redub.speech.shipped import SYNC
from redub.speech.sync import embed_track, load_sync, sync_of_track
from redub.speech.sync_features import log_mel
from redub.speech.sync_layers import FRAMES, ClipSync, SyncNet, centred, changes, evened
from redub.speech.syncnet import OwnSync, PublishedSync, convert, main, read_model, renamed, write_own

SOUND_SIZES = [(64, 13, 20), (192, 11, 9), (384, 11, 9), (256, 11, 9), (256, 5, 4), (512, 1, 1)]
FACE_SIZES = [(96, 1, 54, 54), (256, 1, 13, 13), (256, 1, 13, 13), (256, 1, 13, 13), (256, 1, 6, 6), (512, 1, 1, 1)]
"""The published table, channels first, each behind its pool."""


def faces(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and landmarks of nobody: (T, 112, 112, 3), (T, 68, 2)."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, 112, 112, 3), np.uint8), random.uniform(0.2, 0.8, (count, 68, 2)).astype(np.float32)


KERNELS = {"sound": [3 * 3, 3 * 3, 3 * 3, 3 * 3, 3 * 3, 5 * 4], "face": [5 * 7 * 7, 5 * 5, 3 * 3, 3 * 3, 3 * 3, 6 * 6]}
CONVOLUTIONS, NORMS = (0, 4, 8, 11, 14, 18), (1, 5, 9, 12, 15, 19)
"""Where they stand in the published stacks."""


def published(seed: int = 0) -> dict[str, torch.Tensor]:
    """A file's tensors as the authors named them, made from the table."""
    torch.manual_seed(seed)
    state = {}
    for part, sizes, inputs, rest in (
        ("netcnnaud", SOUND_SIZES, 1, [(3, 3)] * 5 + [(5, 4)]),
        ("netcnnlip", FACE_SIZES, 3, [(5, 7, 7), (1, 5, 5), *[(1, 3, 3)] * 3, (1, 6, 6)]),
    ):
        for convolution, norm, (outputs, *_), kernel in zip(CONVOLUTIONS, NORMS, sizes, rest, strict=True):
            state[f"{part}.{convolution}.weight"] = torch.randn(outputs, inputs, *kernel) * (inputs * np.prod(kernel)) ** -0.5
            state[f"{part}.{convolution}.bias"] = torch.randn(outputs) * 0.1
            state |= norm_tensors(f"{part}.{norm}", outputs)
            inputs = outputs
    for part in ("netfcaud", "netfclip"):
        state |= {f"{part}.0.weight": torch.randn(512, 512) * 0.04, f"{part}.0.bias": torch.randn(512) * 0.1}
        state |= norm_tensors(f"{part}.1", 512)
        state |= {f"{part}.3.weight": torch.randn(1024, 512) * 0.04, f"{part}.3.bias": torch.randn(1024) * 0.1}
    return state


def norm_tensors(name: str, count: int) -> dict[str, torch.Tensor]:
    values = {"weight": torch.rand(count) + 0.5, "bias": torch.randn(count) * 0.1}
    statistics = {"running_mean": torch.randn(count) * 0.1, "running_var": torch.rand(count) + 0.5}
    return {f"{name}.{kind}": tensor for kind, tensor in {**values, **statistics}.items()}


@pytest.fixture(scope="module")
def network() -> SyncNet:
    torch.manual_seed(0)
    return SyncNet().eval()


@pytest.fixture
def tiny() -> ClipSync:
    torch.manual_seed(0)
    return ClipSync(width=0.25, features=16).eval()


@torch.inference_mode()
def test_every_layer_has_the_size_of_the_table(network):
    for stack, inputs, sizes in ((network.sound, (1, 1, 13, 20), SOUND_SIZES), (network.face, (1, 3, 5, 224, 224), FACE_SIZES)):
        found = torch.zeros(inputs)
        for block, size in zip(stack, sizes, strict=True):
            found = block(found)
            assert found.shape[1:] == size
    assert network.embed_sound(torch.zeros(2, 13, 20)).shape == (2, 1024)
    assert network.embed_face(torch.zeros(1, 3, 5, 224, 224)).shape == (1, 1024)
    assert network.lip_feature(torch.zeros(1, 3, 5, 224, 224)).shape == (1, 512)


def test_the_number_of_parameters_is_that_of_the_table(network):
    for name, sizes, inputs in (("sound", SOUND_SIZES, 1), ("face", FACE_SIZES, 3)):
        wanted = 0
        for (outputs, *_), kernel in zip(sizes, KERNELS[name], strict=True):
            # Weights, bias, and the norm's factor and shift.
            wanted, inputs = wanted + outputs * (inputs * kernel + 1 + 2), outputs
        assert sum(one.numel() for one in getattr(network, name).parameters()) == wanted
        head = getattr(network, f"{name}_head")
        assert sum(one.numel() for one in head.parameters()) == 512 * 512 + 512 + 2 * 512 + 1024 * 512 + 1024


@torch.inference_mode()
def test_renamed_tensors_compute_what_the_published_stack_computes():
    state = published()
    network = SyncNet()
    network.load_state_dict(renamed(state))
    network.eval()
    windows = torch.randn(2, 13, 20)

    def block(found, convolution, norm, padding, pool=None):
        found = torch.nn.functional.conv2d(
            found, state[f"netcnnaud.{convolution}.weight"], state[f"netcnnaud.{convolution}.bias"], padding=padding
        )  # fmt: skip
        found = batch_norm(found, f"netcnnaud.{norm}").relu()
        return torch.nn.functional.max_pool2d(found, 3, pool) if pool else found

    def batch_norm(found, name):
        kinds = ("running_mean", "running_var", "weight", "bias")
        return torch.nn.functional.batch_norm(found, *(state[f"{name}.{kind}"] for kind in kinds))

    found = block(windows[:, None], 0, 1, 1)
    found = block(found, 4, 5, 1, (1, 2))
    found = block(block(found, 8, 9, 1), 11, 12, 1)
    found = block(block(found, 14, 15, 1, (2, 2)), 18, 19, 0).flatten(1)
    found = batch_norm(found @ state["netfcaud.0.weight"].T + state["netfcaud.0.bias"], "netfcaud.1").relu()
    found = found @ state["netfcaud.3.weight"].T + state["netfcaud.3.bias"]
    torch.testing.assert_close(network.embed_sound(windows), found, rtol=1e-4, atol=1e-4)


def test_a_published_file_is_converted_and_read(tmp_path):
    state = published()
    torch.save(state, tmp_path / "syncnet_v2.model")
    assert main(["convert", str(tmp_path / "syncnet_v2.model"), str(tmp_path / "v2.safetensors")]) == 0
    model = read_model(tmp_path / "v2.safetensors")
    assert isinstance(model, PublishedSync)
    loaded = model.network.state_dict()
    assert torch.equal(loaded["face.1.0.weight"], state["netcnnlip.4.weight"])
    assert torch.equal(loaded["sound.5.1.running_var"], state["netcnnaud.19.running_var"])
    assert torch.equal(loaded["face_head.3.bias"], state["netfclip.3.bias"])
    # It never writes over a file.
    with pytest.raises(RedubError, match="exists"):
        convert(tmp_path / "syncnet_v2.model", tmp_path / "v2.safetensors")


class Harm:
    def __reduce__(self):
        return (open, ("harm.txt", "w"))


@pytest.mark.parametrize("what", ["code", "other network", "missing tensor", "list", "text", "nothing"])
def test_what_is_not_the_published_file_is_refused_and_runs_nothing(what, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "in.model"
    state = published()
    if what == "code":
        source.write_bytes(pickle.dumps({"netcnnaud.0.weight": Harm()}))
    elif what == "text":
        source.write_text("no weights")
    elif what != "nothing":
        del state["netfclip.3.bias"]
        torch.save({"list": [1, 2], "other network": {"conv.weight": torch.zeros(3)}, "missing tensor": state}[what], source)
    assert main(["convert", str(source), str(tmp_path / "out.safetensors")]) == 1
    assert not (tmp_path / "harm.txt").exists()
    assert not (tmp_path / "out.safetensors").exists()
    assert capsys.readouterr().err.strip()


def test_without_arguments_the_conversion_says_how_it_is_used(capsys):
    assert main([]) == 2
    assert "convert IN.model OUT.safetensors" in capsys.readouterr().err


def test_ours_is_read_as_it_was_written(tiny, tmp_path):
    write_own(tmp_path / "s.safetensors", tiny, {"seed": "7"})
    model = load_sync(tmp_path / "s.safetensors")
    assert isinstance(model, OwnSync)
    face = faces(12)
    np.testing.assert_allclose(model.embed_faces(*face), OwnSync(tiny).embed_faces(*face), atol=0.02)
    assert (model.network.width, model.network.features) == (0.25, 16)
    # Half precision.
    assert (tmp_path / "s.safetensors").stat().st_size < 2.2 * sum(one.numel() for one in tiny.parameters()) + 20_000


def test_the_network_that_ships_is_small():
    weights = sum(one.numel() for one in ClipSync().parameters())
    assert 2 * weights < 5e6


@torch.inference_mode()
def test_a_clip_and_its_windows_one_by_one_give_the_same(tiny):
    random = np.random.default_rng(1)
    pictures = changes(torch.from_numpy(random.integers(0, 256, (1, 9, 56, 64), np.uint8)))
    bands = torch.from_numpy(random.normal(size=(1, 40, 4 * 4 + 20)).astype(np.float32))
    seen, sounds = tiny.embed_pictures(pictures)[0], tiny.embed_sounds(bands)[0]
    assert seen.shape == (5, 16)
    assert sounds.shape == (5, 2, 16)
    for i in range(5):
        torch.testing.assert_close(tiny.embed_pictures(pictures[:, i : i + FRAMES])[0, 0], seen[i], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(tiny.embed_sounds(bands[:, :, 4 * i : 4 * i + 20])[0, 0], sounds[i], rtol=1e-4, atol=1e-5)


def test_what_is_steady_is_taken_off():
    random = torch.Generator().manual_seed(0)
    found = torch.randn(1, 200, 8, generator=random)
    whole = centred(found)
    torch.testing.assert_close(whole.norm(dim=-1), torch.ones(1, 200))
    torch.testing.assert_close(centred(found + 5), whole, rtol=1e-3, atol=1e-4)
    near = centred(found, 20)
    for i in (0, 7, 100, 199):
        mean = found[:, max(i - 20, 0) : i + 21].mean(1)
        torch.testing.assert_close(near[:, i], torch.nn.functional.normalize(found[:, i] - mean, dim=-1), rtol=1e-4, atol=1e-5)
    # A face that turns is another one behind the turn.
    turned = found + 9 * (torch.arange(200)[None, :, None] >= 100)
    torch.testing.assert_close(centred(turned, 20)[:, 140:], near[:, 140:], rtol=1e-3, atol=1e-4)
    short = found[:, :15]
    torch.testing.assert_close(centred(short, 20), centred(short))


def test_a_long_track_does_not_show_where_it_was_cut_into_blocks(tiny, monkeypatch):
    crops, points = faces(150, 2)
    crops[90:] //= 2
    whole = OwnSync(tiny).embed_faces(crops, points)
    monkeypatch.setattr(OwnSync, "block", 13)
    np.testing.assert_allclose(OwnSync(tiny).embed_faces(crops, points), whole, atol=1e-4)


def test_both_views_count_alike_and_are_needed(tiny):
    crops, points = faces(40, 4)
    model = OwnSync(tiny)
    whole = model.embed_faces(crops, points)[2:-2]
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(whole[:, :16], axis=1), 0.5**0.5, rtol=1e-4)
    # Other pictures leave what is seen of the landmarks alone, and the other way round.
    others = faces(40, 5)
    np.testing.assert_allclose(model.embed_faces(others[0], points)[2:-2, 16:], whole[:, 16:], atol=1e-6)
    np.testing.assert_allclose(model.embed_faces(crops, others[1])[2:-2, :16], whole[:, :16], atol=1e-6)
    for wrong in (None, points[:-1]):
        with pytest.raises(ShapeError, match="landmarks"):
            model.embed_faces(crops, wrong)


def test_where_the_face_is_and_how_it_is_built_does_not_matter(tiny):
    crops, points = faces(40, 6)
    model = OwnSync(tiny)
    whole = model.embed_faces(crops, points)
    np.testing.assert_allclose(model.embed_faces(crops, points + np.array([0.1, -0.05], np.float32)), whole, atol=2e-3, equal_nan=True)
    longer_jaw = points.copy()
    longer_jaw[:, 3:14, 1] += 0.08
    np.testing.assert_allclose(model.embed_faces(crops, longer_jaw), whole, atol=2e-3, equal_nan=True)


def test_another_face_at_rest_leaves_no_trace(tiny):
    random = np.random.default_rng(3)
    moving = random.integers(0, 60, (1, 40, 56, 64)).astype(np.float32)
    still = random.integers(0, 60, (1, 1, 56, 64)).astype(np.float32)
    # Both faces have the same light and contrast.
    one, other = (changes(torch.from_numpy(moving + 90 + way * still)) for way in (0, 1))
    assert float((one - other).abs().mean()) < 0.35 * float(one.abs().mean())
    assert float(changes(torch.from_numpy(still).expand(1, 40, 56, 64)).abs().max()) < 1e-4


def test_light_and_contrast_of_a_picture_do_not_matter():
    picture = torch.rand(1, 56, 64) * 100 + 40
    torch.testing.assert_close(evened(picture + 50), evened(picture), rtol=1e-3, atol=1e-3)
    assert float(evened(picture).mean()) == pytest.approx(0, abs=1e-4)
    # A picture of nothing has no contrast to show.
    assert float(evened(torch.full((1, 56, 64), 90.0) + 0.1 * torch.rand(1, 56, 64)).abs().max()) < 0.02


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 70])
def test_faces_stand_at_their_instants(tiny, count):
    crops, points = faces(count, 2)
    model = OwnSync(tiny)
    found = model.embed_faces(crops, points)
    scored = np.isfinite(found).all(axis=1)
    assert scored.tolist() == [2 <= i < count - 2 for i in range(count)]
    for i in np.flatnonzero(scored)[[0, -1]] if count > 60 else ():
        # The next two pictures belong to it, those further on only to what is steady.
        changed = crops.copy()
        changed[i - 3 if i > 5 else i + 3] = 0
        same, near = crops.copy(), crops.copy()
        near[i + 2] = 0
        distances = [float(np.linalg.norm(model.embed_faces(one, points)[i] - found[i])) for one in (same, changed, near)]
        assert distances[0] == 0
        assert 3 * distances[1] < distances[2]
    np.testing.assert_array_equal(model.embed_faces(model.prepare(crops), points), found)


def test_a_sound_stands_at_its_instant(tiny):
    speech = (0.1 * np.random.default_rng(3).normal(size=32000)).astype(np.float32)
    at = 0.4 + np.arange(30) / 25
    sounds = OwnSync(tiny).embed_sound(speech, at)
    assert sounds.shape == (30, 32)
    # Instants that share no columns are heard one by one, and say the same.
    apart = np.sort(np.concatenate([at, at + 0.013]))
    np.testing.assert_allclose(syncnet.sound_windows(speech, at)[7], syncnet.sound_course(speech, at)[:, 28:48], atol=1e-4)
    assert syncnet.sound_course(speech, apart) is None
    moved = OwnSync(tiny).embed_sound(np.concatenate([np.zeros(333, np.float32), speech]), at + 333 / 16000)
    np.testing.assert_allclose(moved, sounds, atol=1e-4)
    assert OwnSync(tiny).embed_sound(speech, np.zeros(0)).shape[0] == 0
    assert log_mel(speech, np.zeros(0, np.int64)).shape == (0, 40)


def test_the_published_network_reads_bgr_and_any_size():
    class Colours(SyncNet):
        def embed_face(self, windows):
            return windows.mean((2, 3, 4))

    model = PublishedSync(Colours())
    red = np.zeros((6, 100, 100, 3), np.uint8)
    red[..., 0] = 200
    found = model.embed_faces(red)
    np.testing.assert_allclose(found[2:4], [[0, 0, 200]] * 2)
    assert np.isnan(found[[0, 1, 4, 5]]).all()
    with pytest.raises(ShapeError, match="colour"):
        model.embed_faces(red[..., 0])


@pytest.mark.parametrize("rate", [24, 25, 30000 / 1001, 50])
def test_a_track_of_any_rate_is_read_at_25_hz(tiny, rate):
    count = round(2 * rate)
    times = 0.5 + (np.arange(count) + 0.5) / rate
    crops, points = faces(count, 5)
    speech = (0.1 * np.random.default_rng(6).normal(size=48000)).astype(np.float32)
    model = OwnSync(tiny)
    series = embed_track(model, crops, points, times, speech)
    assert 49 <= len(series.times_s) <= 50
    assert series.is_speech.all()
    scored = np.isfinite(series.faces).all(axis=1)
    assert scored[2:-2].all()
    # An instant's embedding is that of the five pictures nearest to it and to its neighbours.
    middle = 20
    nearest = [int(np.abs(times - time).argmin()) for time in series.times_s]
    np.testing.assert_allclose(series.faces[middle], model.embed_faces(crops[nearest], points[nearest])[middle], atol=1e-4)
    reading = sync_of_track(model, crops, points, times, speech)
    assert reading.distance == series.read().distance


def test_a_hole_in_a_track_hides_the_instants_around_it(tiny):
    times = np.concatenate([np.arange(30), 40 + np.arange(30)]) / 25 + 0.5
    series = embed_track(OwnSync(tiny), *faces(60, 5), times, np.zeros(64000, np.float32))
    scored = np.isfinite(series.faces).all(axis=1)
    assert np.flatnonzero(scored).tolist() == [*range(2, 28), *range(42, 68)]
    assert series.read().coverage == 0


@pytest.mark.parametrize("what", ["missing", "text", "other weights", "cut off", "other shape"])
def test_a_file_that_is_no_sync_network_is_refused(what, tiny, tmp_path):
    path = tmp_path / "s.safetensors"
    if what == "text":
        path.write_text("hello")
    elif what == "other weights":
        from safetensors.torch import save_file

        save_file({"a": torch.zeros(2)}, path)
    elif what != "missing":
        write_own(path, tiny, {} if what == "cut off" else {"width": "0.5"})
        if what == "cut off":
            path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RedubError) as error:
        read_model(path)
    assert error.value.hint


def test_the_shipped_network_is_the_declared_one(tmp_path, monkeypatch):
    model = load_sync()
    assert model.name == f"redub-sync-2-{SYNC.sha256[:12]}"
    monkeypatch.setattr(syncnet, "SYNC", replace(SYNC, package="", name="elsewhere.safetensors"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(WeightError, match="not on this machine"):
        load_sync()
