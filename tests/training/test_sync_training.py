"""The sync network learns what lips and voice have in common, goes on where it was, and never learns from what is held out."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from redub.cli import app
from redub.errors import ConfigError, RedubError
from redub.plugin import Piece, TrainRequest
from redub.speech.sync import sync_of_track
from redub.speech.sync_features import BANDS, MOUTH_SIZE, as_grey, column_starts, log_mel, take_mouths
from redub.speech.syncnet import read_model
from redub.training.checkpoint import read_tensors
from redub.training.sync.changes import changed_bands, changed_mouths, changed_shapes, plain_mouths
from redub.training.sync.lesson import _shares, _wanted
from redub.training.sync.recipe import PictureSettings, ShapeSettings, SoundSettings, choose_recipe, what_matters
from redub.training.sync.samples import Stretch, collect
from redub.training.sync.train import train

TINY = {
    "width": "0.25", "features": "16", "precision": "float32", "draw.clips": "2", "draw.instants": "12", "sync.steps": "4",
    "sync.look_every": "2", "sync.warm_up": "0",
}  # fmt: skip
STILL = PictureSettings(
    flip=False, mix=0, scale=0, angle=0, shift_px=0, jitter_px=0, warp_px=0, gamma=0, contrast=0, brightness=0, blur=0, noise=0, erase=0
)
SILENT = SoundSettings(tract=0, tone=0, noise=0)


def talk(name: str, seed: int, *, rate: float = 25.0, seconds: float = 3.0, early_s: float = 0.0, **more) -> Piece:
    """A dark mouth on a grey face that is as high as the voice is loud."""
    random = np.random.default_rng(seed)
    times = 0.5 + (np.arange(round(seconds * rate)) + 0.5) / rate
    knots = np.arange(0, seconds + 2, 0.12)
    heights = np.interp(np.arange(0, seconds + 2, 1 / 1000), knots, random.uniform(0, 1, len(knots)))
    samples = np.arange(round((seconds + 1) * 16000)) / 16000
    loud = np.interp(samples + early_s, np.arange(len(heights)) / 1000, heights)
    speech = 0.2 * 10 ** (1.5 * (loud - 1)) * random.normal(size=len(samples))
    y, x = np.mgrid[0:112, 0:112]
    shade = random.integers(120, 180)
    crops = []
    for time in times:
        height = 2 + 14 * np.interp(time, np.arange(len(heights)) / 1000, heights)
        is_open = ((x - 56) / 14) ** 2 + ((y - 70) / height) ** 2 < 1
        crops.append(np.where(is_open, 40, shade)[..., None] + random.integers(-3, 4, (112, 112, 3)))
    return Piece(
        name=name, speaker=more.pop("speaker", name), crops=np.stack(crops).astype(np.uint8), times_s=times,
        points=np.zeros((len(times), 68, 2), np.float32), speech=speech.astype(np.float32), **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def pieces() -> list[Piece]:
    held_out = [talk(f"h{seed}", 50 + seed, is_held_out=True) for seed in range(3)]
    return [*(talk(f"p{seed}", seed, speaker=f"s{seed % 2}") for seed in range(8)), *held_out]


@pytest.fixture
def request_for(pieces, tmp_path):
    def make(name: str = "w", settings: dict[str, str] | None = None, **more) -> TrainRequest:
        return TrainRequest(
            pieces=more.pop("pieces", lambda: iter(pieces)), output=tmp_path / f"{name}.safetensors", work=tmp_path / name, device="cpu",
            settings={**TINY, **(settings or {})}, **more,
        )  # fmt: skip

    return make


def test_it_learns_to_find_the_moment_and_the_offset(request_for):
    steps = {"sync.steps": "60", "sync.look_every": "60", "sync.rate": "3e-3", "draw.clips": "4", "draw.instants": "24", "dropout": "0"}
    few = {f"picture.{name}": "0" for name in ("noise", "blur", "erase", "gamma", "scale")} | {"sound.noise": "0"}
    request = request_for(settings={**steps, **few})
    train(request)
    found = json.loads((request.work / "result.json").read_text())
    # Chance is 0.1.
    assert found["right_at_15"] > 0.5
    model = read_model(request.output)
    for early_s in (0.0, 0.2, -0.24):
        unseen = talk("u", 99, seconds=6.0, early_s=early_s)
        reading = sync_of_track(model, unseen.crops, unseen.points, unseen.times_s, unseen.speech)
        assert reading.offset_s == pytest.approx(early_s, abs=0.05)
        assert reading.offset_frames == pytest.approx(25 * reading.offset_s)


def test_the_file_says_what_it_is_and_where_it_comes_from(request_for):
    request = request_for(seed=3)
    train(request)
    tensors, metadata = read_tensors(request.output)
    assert (metadata["kind"], metadata["width"], metadata["features"], metadata["bands"]) == ("redub-sync-2", "0.25", "16", "40")
    assert (metadata["seed"], metadata["speakers"], metadata["steps"]) == ("3", "2", "4")
    assert int(metadata["instants"]) == 8 * 75
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    assert {path.name for path in request.work.iterdir()} >= {"sync.jsonl", "sync-curves.png", "sync-sheet.png", "result-sheet.png"}


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(request_for):
    # A falling rate depends on the number of steps, a fixed one does not.
    whole = request_for("whole", settings={"sync.schedule": "fixed"})
    train(whole)
    train(request_for("stopped", settings={"sync.schedule": "fixed", "sync.steps": "2"}))
    stopped = request_for("stopped", settings={"sync.schedule": "fixed"})
    stopped.output.unlink()
    train(stopped)
    first, second = (read_tensors(request.output)[0] for request in (whole, stopped))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert [json.loads(line)["step"] for line in (stopped.work / "sync.jsonl").read_text().splitlines()] == [2, 4]


def test_what_is_held_out_changes_nothing_that_is_learnt(request_for, pieces):
    train(request_for("with"))
    train(request_for("without", pieces=lambda: iter(pieces[:8])))
    first, second = (read_tensors(request_for(name).output)[0] for name in ("with", "without"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_it_goes_on_from_a_base_of_the_same_shape_only(request_for):
    train(request_for("base"))
    base = request_for("base").output
    train(request_for("more", base=base, settings={"sync.rate": "0", "sync.decay": "0"}))
    first, second = (read_tensors(request_for(name).output)[0] for name in ("base", "more"))
    assert all(torch.equal(first[name], second[name]) for name in first if name.endswith("weight"))
    with pytest.raises(RedubError, match=r"width 0\.25"):
        train(request_for("other", base=base, settings={"width": "0.5"}))


def test_footage_that_is_too_short_is_refused(request_for, pieces):
    with pytest.raises(RedubError, match="too short"):
        train(request_for(pieces=lambda: iter([talk("short", 1, seconds=0.5)])))
    with pytest.raises(RedubError, match="nothing to learn"):
        train(request_for("none", pieces=lambda: iter(pieces[8:])))


def test_values_are_checked_by_name():
    assert choose_recipe("", {"draw.clips": "3"}).draw.clips == 3
    with pytest.raises(ConfigError, match="draw.clip") as error:
        choose_recipe("", {"draw.clip": "3"})
    assert "draw.clips" in error.value.hint
    with pytest.raises(ConfigError, match="no recipe"):
        choose_recipe("paper", {})
    one, other = (what_matters(choose_recipe("", {"sync.steps": steps})) for steps in ("5", "9"))
    assert one == other
    assert what_matters(choose_recipe("", {"width": "0.5"})) != one


def test_the_command_trains_the_engines_own_network(pieces, tmp_path, monkeypatch):
    from fractions import Fraction

    from redub.media.store import store_piece

    pack = tmp_path / "talk.pack"
    for number, piece in enumerate(pieces[:3]):
        folder = pack / f"clip{number}-0123456789a{number}"
        folder.mkdir(parents=True)
        starts = [Fraction(12 + k, 25) + Fraction(1, 50) for k in range(75)]
        store_piece(folder / "000.mkv", piece.crops, starts, piece.speech)
        np.savez_compressed(folder / "000.npz", points=np.zeros((75, 68, 2), np.int16), times_s=piece.times_s)
        entry = {"name": "000", "frames": 75, "offset_s": 0.0}
        table = {"source": "c", "speaker": piece.speaker, "is_held_out": False, "pieces": [entry]}
        (folder / "source.json").write_text(json.dumps(table))
    (pack / "pack.json").write_text(json.dumps({"version": 1, "size_px": 112}))
    output = tmp_path / "sync.safetensors"
    assignments = [word for name, value in TINY.items() for word in ("--set", f"{name}={value}")]
    result = CliRunner().invoke(app, ["train", "sync", str(pack), "-o", str(output), "--device", "cpu", *assignments])
    assert result.exit_code == 0, result.output
    assert read_model(output).kind == "redub-sync-2"
    assert (tmp_path / "sync.train" / "sync-curves.png").is_file()


def test_samples_lie_at_25_hz_instants_with_the_sound_that_the_lips_say(tmp_path):
    piece = talk("p", 1, rate=50, offset_s=0.08)
    samples = collect(lambda: iter([piece]), tmp_path / "samples", lambda *_: None)
    (one,) = samples.stretches
    assert len(one) == 75
    assert samples.mouths.shape[1:] == (68, 80, 3)
    np.testing.assert_array_equal(plain_mouths(samples.mouths[10:11]), as_grey(take_mouths(piece.crops[20:21])))
    # The sound is 0.08 s early, so what belongs to an instant lies before it.
    heard = log_mel(piece.speech, column_starts(piece.times_s[20:21] - 0.08)[0])
    np.testing.assert_allclose(samples.bands[one.columns(10, 1)], heard, atol=0.02)
    assert samples.bands[one.columns(0, 75)].shape == (4 * 74 + 20, BANDS)
    # Opened again without a look at the pieces.
    assert collect(lambda: iter([]), tmp_path / "samples", lambda *_: None).stretches == samples.stretches


def test_samples_that_were_cut_short_are_made_anew(tmp_path):
    def broken():
        yield talk("p", 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(broken, tmp_path / "samples", lambda *_: None)
    assert len(collect(lambda: iter([talk("p", 1), talk("q", 2)]), tmp_path / "samples", lambda *_: None).stretches) == 2


def test_without_changes_a_clip_stays_as_it_is():
    wide = np.random.default_rng(0).integers(0, 256, (4, 68, 80, 3), np.uint8)
    assert np.abs(changed_mouths(wide, STILL, np.random.default_rng(1)).astype(int) - plain_mouths(wide)).max() <= 1
    bands = np.random.default_rng(0).normal(size=(50, BANDS)).astype(np.float32)
    np.testing.assert_allclose(changed_bands(bands, SILENT, np.random.default_rng(1)), bands, atol=1e-4)


def test_a_clip_is_changed_alike_and_trembles_a_little():
    wide = np.random.default_rng(0).integers(0, 256, (1, 68, 80, 3), np.uint8).repeat(6, axis=0)
    still = PictureSettings(jitter_px=0, noise=0, warp_px=1.0)
    for seed in range(4):
        clip = changed_mouths(wide, still, np.random.default_rng(seed))
        assert clip.shape == (6, *MOUTH_SIZE)
        assert (clip == clip[0]).all()
        assert np.abs(clip[0].astype(int) - plain_mouths(wide[:1])[0]).mean() > 5
    trembling = changed_mouths(wide, PictureSettings(), np.random.default_rng(0))
    assert (trembling[0] != trembling[1]).any()


def test_a_mirrored_mouth_stays_in_its_place():
    wide = np.zeros((1, 68, 80, 3), np.uint8)
    # The middle of the mouth's picture is (55.5, 81.5) px of the crop.
    wide[0, 30:45, 30:49] = 200
    settings = replace(STILL, flip=True)
    seen = {changed_mouths(wide, settings, np.random.default_rng(seed)).tobytes() for seed in range(12)}
    assert len(seen) == 2
    straight, mirrored = sorted((np.frombuffer(one, np.uint8).reshape(MOUTH_SIZE) for one in seen), key=lambda one: one[25, :25].sum())
    assert np.abs(straight.astype(int) - mirrored[:, ::-1]).max() <= 1


def test_landmarks_of_another_face_move_by_another_amount():
    random = np.random.default_rng(0)
    shapes = random.normal(size=(60, 65)).astype(np.float32) + 3
    still = ShapeSettings(scale=0, each=0, jitter=0)
    np.testing.assert_allclose(changed_shapes(shapes, still, random), shapes - shapes.mean(axis=0), atol=1e-5)
    grown = changed_shapes(shapes, replace(still, scale=0.2), np.random.default_rng(1))
    ratio = grown.std(axis=0) / shapes.std(axis=0)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
    assert abs(np.log(ratio[0])) > 0.01
    shaken = changed_shapes(shapes, replace(still, jitter=0.5), random) - (shapes - shapes.mean(axis=0))
    assert shaken.std() == pytest.approx(0.5, rel=0.1)


def test_a_shorter_vocal_tract_moves_the_formants_up():
    bands = np.zeros((1, BANDS), np.float32)
    bands[0, 20] = 10
    places = set()
    for seed in range(20):
        changed = changed_bands(bands, SoundSettings(tract=0.1, tone=0, noise=0), np.random.default_rng(seed))
        factor = np.exp(np.random.default_rng(seed).normal(0, 0.1))
        moved = int(changed[0].argmax()) - 20
        assert moved * np.log(factor) >= 0
        places.add(moved)
    assert len(places) > 2


def test_noise_fills_the_gaps_and_leaves_speech():
    bands = np.where(np.arange(200)[:, None] % 40 < 25, 15.0, -3.0).astype(np.float32).repeat(BANDS, axis=1)
    changed = changed_bands(bands, SoundSettings(tract=0, tone=0, noise=1, loudest=5, faintest=6), np.random.default_rng(0))
    assert changed[bands > 0].mean() == pytest.approx(15, abs=0.3)
    assert 5 < changed[bands < 0].mean() < 13


def test_speakers_are_balanced():
    stretches = [
        Stretch(name="", speaker=speaker, is_held_out=False, start=0, stop=stop, first_column=0)
        for speaker, stop in (("a", 900), ("a", 900), ("b", 200))
    ]
    as_it_lies, alike = (np.array(_shares(stretches, balance)) for balance in (1.0, 0.0))
    assert as_it_lies == pytest.approx([0.45, 0.45, 0.1])
    assert alike == pytest.approx([0.25, 0.25, 0.5])


@pytest.mark.parametrize("soft", [0.0, 0.3])
def test_the_truth_of_each_instant_sums_to_one(soft):
    wanted = _wanted(9, soft)
    assert wanted.sum(0) == pytest.approx(1.0)
    assert wanted.sum(1) == pytest.approx(1.0)
    assert wanted[4].tolist() == pytest.approx([0, 0, 0, soft / 2, 1 - soft, soft / 2, 0, 0, 0])
