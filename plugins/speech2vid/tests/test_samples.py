"""What is drawn from footage: never what is held out, never a still beside its target; and pictures change with their codes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("redub_speech2vid", reason="install it:  pip install ./plugins/speech2vid")

from redub_speech2vid.codes import COMPONENTS, Basis, fit_basis, mirrored, mouth_shapes
from redub_speech2vid.draws import Drawer
from redub_speech2vid.pictures import Mouths, as_floats, change, draw_changes, finish, gather, places
from redub_speech2vid.recipe import DrawSettings, PictureSettings, SampleSettings
from redub_speech2vid.samples import Samples, Stretch, choose_frames, collect
from redub_speech2vid.voices import FAINTEST_DBFS, LOUDEST_DBFS, change_voice, room_noise, room_windows

from redub.errors import RedubError
from redub.faces.landmarks import mouth_openness
from redub.plugin import Piece
from redub.progress import silent
from redub.speech.features import speech_windows
from redub.testing import draw_face

PLAIN = SampleSettings(voices=1)
STILL = PictureSettings(flip=0, warp=0, scale=0, warp_share=0, jitter=0, turn_rad=0, light=0, single=0, code=0)


def make_samples(lengths: list[tuple[str, int, bool]], every: int = 1) -> Samples:
    """Samples of pieces of (speaker, rows, is held out); each row's face is open by chance."""
    stretches, row = [], 0
    for number, (speaker, count, is_held_out) in enumerate(lengths):
        stretches.append(Stretch(name=f"p{number}", speaker=speaker, is_held_out=is_held_out, start=row, stop=row + count))
        row += count
    random = np.random.default_rng(row)
    closed, wide = (draw_face(64, value)[1] / 64 for value in (0.0, 1.0))
    share = random.uniform(size=(row, 1, 1))
    return Samples(
        stretches=tuple(stretches), crops=random.integers(0, 255, (row, 4, 4, 3), dtype=np.uint8),
        windows=random.normal(size=(row, 2, 12, 35)).astype(np.float16), points=(closed + (wide - closed) * share).astype(np.float32),
        frames=np.concatenate([np.arange(len(one)) * every for one in stretches]), loudness=np.ones(row, np.float32),
    )  # fmt: skip


pieces_strategy = st.lists(
    st.tuples(st.sampled_from(["ann", "ben", "cleo"]), st.integers(1, 60), st.booleans()), min_size=1, max_size=8
).filter(lambda pieces: any(count > 6 and not held for _, count, held in pieces))  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(lengths=pieces_strategy, every=st.sampled_from([1, 2, 5]), seed=st.integers(0, 10**6), elsewhere=st.sampled_from([0.0, 1.0]))
def test_nothing_held_out_is_drawn_and_no_still_lies_beside_its_target(lengths, every, seed, elsewhere):
    samples = make_samples(lengths, every)
    gap = 5
    drawer = Drawer(samples, DrawSettings(gap_frames=gap, elsewhere=elsewhere))
    owner = np.concatenate([np.full(len(one), i) for i, one in enumerate(samples.stretches)])
    if not len(drawer.rows):
        return
    random = np.random.default_rng(seed)
    for drawn in (drawer.draw(random, 4, 3), drawer.draw_in_order(seed, seed % 7, min(3, len(drawer.rows)), random)):
        rows = np.concatenate([drawn.stills.ravel(), drawn.targets.ravel()])
        assert not any(samples.stretches[i].is_held_out for i in owner[rows])
        for stills, targets in zip(drawn.stills, drawn.targets, strict=True):
            assert {samples.stretches[i].speaker for i in owner[stills]} == {samples.stretches[i].speaker for i in owner[targets]}
            for target in targets:
                beside = stills[owner[stills] == owner[target]]
                assert not len(beside) or np.abs(samples.frames[beside] - samples.frames[target]).min() >= gap
    heard = drawer.draw_rows(random, 50, 0.5)
    assert not any(samples.stretches[i].is_held_out for i in owner[heard])


def test_stills_of_an_adjoining_piece_are_left_alone():
    samples = make_samples([("ann", 30, False), ("ann", 30, False), ("ann", 30, False)])
    drawer = Drawer(samples, DrawSettings(elsewhere=1.0))
    owner = np.repeat([0, 1, 2], 30)
    random = np.random.default_rng(0)
    met = {
        (int(owner[t]), int(owner[s])) for _ in range(60) for d in [drawer.draw(random, 1, 1)] for t in d.targets[0] for s in d.stills[0]
    }
    assert met == {(0, 0), (1, 1), (2, 2), (0, 2), (2, 0)}


def test_an_epoch_meets_every_sample_once_in_another_order_each_time():
    samples = make_samples([("ann", 30, False), ("ben", 18, False), ("ben", 20, True)])
    drawer = Drawer(samples, DrawSettings())
    random = np.random.default_rng(0)
    epochs = []
    for epoch in (0, 1):
        drawn = [drawer.draw_in_order(3, 12 * epoch + step, 4, random) for step in range(12)]
        epochs.append([int(row) for one in drawn for row in one.targets.ravel()])
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(48))
    assert epochs[0] != epochs[1]


def test_stills_show_the_mouth_from_nearly_closed_to_wide_open():
    samples = make_samples([("ann", 60, False)])
    drawer = Drawer(samples, DrawSettings())
    stills = drawer.choose_stills(np.arange(60), None)
    ranks = np.argsort(np.argsort(mouth_openness(samples.points)))[stills]
    assert list(ranks) == [round(share * 59) for share in (0.1, 0.3, 0.5, 0.7, 0.9)]


def test_wide_open_mouths_are_painted_as_often_as_asked():
    """Of 200 frames ten have a wide open mouth: evenly, they are half of what is painted; as it comes, a twentieth."""
    samples = make_samples([("ann", 200, False)])
    points = samples.points.copy()
    is_open = np.arange(200) % 20 == 0
    for rows, openness in ((~is_open, 0.0), (is_open, 1.0)):
        points[rows] = ((draw_face(112, openness, 1)[1] + 0.5) / 112).astype(np.float32)
    samples = replace(samples, points=points)
    shares = []
    for evenly in (0.0, 1.0):
        drawer, random = Drawer(samples, DrawSettings(evenly=evenly, elsewhere=0.0, gap_frames=1)), np.random.default_rng(0)
        drawn = np.concatenate([drawer.draw(random, 1, 20).targets.ravel() for _ in range(40)])
        shares.append(float(is_open[drawn].mean()))
    assert shares[0] == pytest.approx(0.05, abs=0.03)
    assert shares[1] == pytest.approx(0.5, abs=0.1)


def test_a_rare_speaker_is_drawn_as_the_balance_says():
    samples = make_samples([("ann", 100, False), ("ben", 10, False)])
    random = np.random.default_rng(0)
    shares = [(Drawer(samples, DrawSettings()).draw_rows(random, 4000, balance) >= 100).mean() for balance in (1.0, 0.0)]
    assert shares == pytest.approx([10 / 110, 0.5], abs=0.03)


def test_collected_samples_are_the_pieces(pieces, tmp_path):
    samples = collect(lambda: iter(pieces), tmp_path / "samples", PLAIN, 0, silent)
    assert [(one.name, one.speaker, one.is_held_out, len(one)) for one in samples.stretches] == [
        (piece.name, piece.speaker, piece.is_held_out, len(piece.crops)) for piece in pieces
    ]
    assert [one.name for one in samples.held_out] == ["a/002"]
    for piece, one in zip(pieces, samples.stretches, strict=True):
        assert np.array_equal(samples.crops[one.start : one.stop], piece.crops)
        assert np.array_equal(samples.points[one.start : one.stop], piece.points)
        wanted = speech_windows(piece.speech, piece.times_s)
        assert np.allclose(samples.windows[one.start : one.stop, 0], wanted, rtol=1e-3, atol=1e-2)


def test_every_fifth_frame_at_25_a_second_of_a_faster_video(pieces):
    times_s = 0.5 + np.arange(60) / 50
    faster = replace(pieces[0], times_s=times_s)
    chosen = choose_frames(faster, SampleSettings(every=5, rate_hz=25.0))
    assert list(chosen) == [0, 10, 20, 30, 40, 50]
    assert list(choose_frames(replace(faster, times_s=times_s[:1]), SampleSettings(rate_hz=25.0))) == [0]


def test_sound_that_is_early_is_taken_where_the_lips_say_it(pieces, tmp_path):
    early = [replace(piece, offset_s=0.08) for piece in pieces[:1]]
    samples = collect(lambda: iter(early), tmp_path / "samples", PLAIN, 0, silent)
    wanted = speech_windows(early[0].speech, early[0].times_s - 0.08)
    assert np.allclose(samples.windows[:, 0], wanted, rtol=1e-3, atol=1e-2)


def test_collecting_goes_on_where_it_was_killed(pieces, tmp_path):
    whole = collect(lambda: iter(pieces), tmp_path / "whole", SampleSettings(voices=3), 4, silent)

    def broken():
        yield from pieces[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(broken, tmp_path / "cut", SampleSettings(voices=3), 4, silent)
    with (tmp_path / "cut" / "windows.bin").open("ab") as file:
        file.write(b"half a piece")
    with (tmp_path / "cut" / "pieces.jsonl").open("a") as file:
        file.write('{"name": "b/0')
    cut = collect(lambda: iter(pieces), tmp_path / "cut", SampleSettings(voices=3), 4, silent)
    assert cut.stretches == whole.stretches
    for name in ("crops", "windows", "points", "frames", "loudness"):
        assert np.array_equal(getattr(cut, name), getattr(whole, name)), name


def test_samples_that_are_there_are_not_read_again_unless_they_are_of_another_kind(pieces, tmp_path):
    read = []

    def reading():
        read.append(1)
        return iter(pieces)

    for kind, times in ((PLAIN, 1), (PLAIN, 1), (SampleSettings(voices=2), 2)):
        collect(reading, tmp_path / "samples", kind, 0, silent)
        assert len(read) == times
    (tmp_path / "samples" / "crops.bin").write_bytes(b"")
    assert len(collect(reading, tmp_path / "samples", SampleSettings(voices=2), 0, silent).crops) == sum(len(one.crops) for one in pieces)


def test_footage_without_anything_to_learn_from_is_refused(pieces, tmp_path):
    with pytest.raises(RedubError, match="nothing to learn from"):
        collect(lambda: iter([pieces[-1]]), tmp_path / "samples", PLAIN, 0, silent)


def test_other_voices_differ_and_are_no_louder_than_allowed(pieces):
    random = np.random.default_rng(0)
    kind = SampleSettings(gain_db=6.0, noise_least_db=60.0, noise_most_db=60.0)
    levels = [20 * np.log10(np.sqrt(np.mean(change_voice(pieces[0].speech, kind, random) ** 2)) / 0.05) for _ in range(20)]
    assert -6.1 < min(levels) < 0 < max(levels) < 6.1


def test_rooms_without_speech_are_as_loud_as_rooms_are_and_differ():
    random = np.random.default_rng(0)
    rooms = [room_noise(random) for _ in range(40)]
    levels_dbfs = np.array([20 * np.log10(np.sqrt((room.astype(np.float64) ** 2).mean())) for room in rooms])
    assert levels_dbfs.min() > FAINTEST_DBFS - 6
    assert levels_dbfs.max() < LOUDEST_DBFS + 6
    assert np.ptp(levels_dbfs) > 30
    windows = room_windows(70, random)
    assert windows.shape == (70, 12, 35)
    assert np.isfinite(windows).all()
    # Within a room columns resemble each other, from room to room they do not.
    means = windows.mean(axis=2)
    assert np.abs(means[0] - means[31]).mean() < 0.5 * np.abs(means[0] - means[40]).mean()


def test_a_code_is_zero_at_rest_and_says_the_same_of_a_larger_mouth(pieces):
    basis = whole_basis(pieces)
    piece = pieces[0]
    codes = basis.encode(mouth_shapes(piece.points))
    least = np.argsort(mouth_openness(piece.points))[:5]
    assert np.abs(codes[least, 0]).max() < 0.35 * np.abs(codes[:, 0]).max()
    assert np.corrcoef(codes[:, 0], mouth_openness(piece.points))[0, 1] ** 2 > 0.95
    # A face drawn half as large, elsewhere, moves its mouth the same.
    points = piece.points.copy()
    rest = points[mouth_openness(points) <= np.quantile(mouth_openness(points), 0.25)].mean(axis=0)
    wider = rest + 1.3 * (points - rest)
    wider[:, 27:48] = points[:, 27:48]
    assert np.allclose(basis.encode(mouth_shapes(wider)), codes, atol=0.15 * np.abs(codes).max())


def test_a_mirror_twice_is_the_face_itself(pieces):
    points = pieces[0].points
    assert np.allclose(mirrored(mirrored(points)), points, atol=1e-6)
    # The corner of the mouth that lay left lies right, where its mirror image was.
    assert np.allclose(mirrored(points)[:, 54, 0], 1 - points[:, 48, 0])
    assert not np.array_equal(mirrored(points), points)


def whole_basis(pieces: list[Piece]) -> Basis:
    return fit_basis(mouth_shapes(side) for piece in pieces for side in (piece.points, mirrored(piece.points)))


def test_a_flipped_picture_goes_with_the_code_of_its_mirrored_landmarks(pieces, tmp_path):
    lopsided = []
    for piece in pieces[:2]:
        points = piece.points.copy()
        points[:, 48, 1] += 0.1 * mouth_openness(points)  # one corner of the mouth drops as it opens
        lopsided.append(replace(piece, points=points))
    samples = collect(lambda: iter(lopsided), tmp_path / "samples", PLAIN, 0, silent)
    mouths = Mouths(samples, whole_basis(lopsided))
    drawn = Drawer(samples, DrawSettings()).draw(np.random.default_rng(1), 2, 3)
    same, turned = (gather(samples, mouths, drawn, replace(STILL, flip=share), np.random.default_rng(2)) for share in (0.0, 1.0))
    pairs = zip(finish(same), finish(turned), strict=True)
    stills, targets = pairs
    assert torch.equal(stills[0].flip(-1), stills[1])
    assert torch.equal(targets[0].flip(-1), targets[1])
    rows = drawn.targets.ravel()
    ends = np.cumsum([len(one) for one in samples.stretches])
    shapes = np.concatenate(
        [whole_basis(lopsided).encode(mouth_shapes(mirrored(part))) for part in np.split(np.asarray(samples.points), ends[:-1])]
    )
    assert np.allclose(turned.codes, shapes[rows])
    assert not np.allclose(turned.codes, same.codes, atol=0.05)


def test_without_changes_pictures_stay_as_they_are(pieces, tmp_path):
    samples = collect(lambda: iter(pieces), tmp_path / "samples", PLAIN, 0, silent)
    mouths = Mouths(samples, whole_basis(pieces))
    drawn = Drawer(samples, DrawSettings()).draw(np.random.default_rng(1), 2, 3)
    batch = gather(samples, mouths, drawn, STILL, np.random.default_rng(2))
    stills, targets = finish(batch)
    assert torch.allclose(stills[1, 3:6], as_floats(torch.from_numpy(samples.crops[drawn.stills[1]])[1]), atol=1e-6)
    wanted = as_floats(torch.from_numpy(samples.crops[drawn.targets[1]])[2])
    assert torch.allclose(targets[5], wanted, atol=1e-6)
    assert np.allclose(batch.codes[5], mouths.codes[drawn.targets[1, 2]])


def test_target_and_stills_of_an_identity_are_changed_alike():
    kind = PictureSettings(jitter=0, turn_rad=0, warp_share=1.0, flip=0.5)
    changes = draw_changes(np.random.default_rng(3), 3, 5, kind)
    # Smooth, since targets are interpolated more sharply.
    coarse = torch.rand(3, 3, 8, 8)
    one = torch.nn.functional.interpolate(coarse, (112, 112), mode="bicubic", align_corners=True).clamp(0, 1)[:, None]
    changed = change(one.expand(3, 5, 3, 112, 112), changes, is_still=True)
    target = change(one, changes, is_still=False)
    assert torch.allclose(changed, target.expand_as(changed), atol=0.02)
    assert not torch.allclose(changed[0], changed[1], atol=0.05)
    assert (changed >= 0).all()
    assert (changed <= 1).all()


def test_jitter_moves_stills_and_not_their_target():
    kind = replace(STILL, jitter=0.02, turn_rad=0.02)
    changes = draw_changes(np.random.default_rng(3), 2, 5, kind)
    pictures = torch.rand(2, 1, 3, 112, 112)
    assert torch.allclose(change(pictures, changes, is_still=False), pictures, atol=1e-4)
    stills = change(pictures.expand(2, 5, 3, 112, 112), changes, is_still=True)
    assert not torch.allclose(stills[0, 0], stills[0, 1], atol=0.05)


def test_a_warp_is_smooth_and_small():
    changes = draw_changes(np.random.default_rng(5), 8, 5, PictureSettings(warp_share=1.0))
    still = draw_changes(np.random.default_rng(5), 8, 5, replace(STILL))
    moved = (places(changes, 112) - places(still, 112)) * 56
    assert 0.5 < moved.abs().mean() < 6
    assert (places(changes, 112).diff(dim=2)[..., 0] > 0).float().mean() > 0.999  # nothing is folded over


def test_one_still_may_stand_in_for_all():
    samples = make_samples([("ann", 40, False)])
    mouths = Mouths(samples, Basis(vectors=np.eye(COMPONENTS, 58, dtype=np.float32), scale=1.0))
    drawn = Drawer(samples, DrawSettings()).draw(np.random.default_rng(1), 4, 1)
    batch = gather(samples, mouths, drawn, replace(STILL, single=1.0), np.random.default_rng(2))
    assert (batch.stills == batch.stills[:, :1]).all()
    assert json.dumps(drawn.stills.tolist()) != json.dumps(drawn.stills[:, :1].repeat(5, 1).tolist())
