"""Photographs become a talking video, and stand for the stills of a video: `redub speak` and ``--identity``."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import redub
from redub.cli import app
from redub.config import Config
from redub.errors import MediaError, NoFaceError, PluginError, RedubError
from redub.faces.crop import take_crop
from redub.media import open_video, read_mark
from redub.media.still import still_frame, write_film
from redub.stills import CONSENT, by_openness, load_stills
from redub.types import Fit

PLUGIN = """
import os
import numpy as np
from redub.plugin import AudioWindow, Generator, GeneratorInfo, Mode, Painted, Region, hookimpl
from redub.types import Blend

@hookimpl
def redub_generators():
    common = dict(api=(1, 0), licence="MIT", audio=AudioWindow(rate_hz=16000, before_s=0.1, after_s=0.1), factory="sitters:Sitter")
    mode = Mode(input_px=64, output_px=64)
    yield GeneratorInfo(name="sitter", summary="Shows the last still.", region=Region.FACE, references=5,
        modes={Blend.NETWORK: mode}, **common)
    yield GeneratorInfo(name="cloned", summary="The same, blended by gradients.", region=Region.FACE, references=5,
        modes={Blend.POISSON: mode}, **common)
    yield GeneratorInfo(name="loud", summary="White where there is sound.", region=Region.FACE, references=1,
        modes={Blend.NETWORK: mode}, **(common | {"factory": "sitters:Loud"}))
    yield GeneratorInfo(name="wall", summary="Paints the whole picture.", region=Region.FRAME, modes={Blend.NETWORK: mode}, **common)

class Sitter(Generator):
    def __init__(self, context):
        pass
    def generate(self, clip):
        if "STILLS" in os.environ:
            np.save(os.environ["STILLS"], clip.references)
        return Painted(frames=np.repeat(clip.references[-1:], len(clip.frames), 0))

class Loud(Sitter):
    def generate(self, clip):
        middles = [round(t * 16000) for t in clip.times_s]
        loud = [np.abs(clip.speech[max(0, m - 160) : m + 160]).max() > 0.05 for m in middles]
        return Painted(frames=np.stack([np.full_like(clip.frames[0], 255 * is_loud) for is_loud in loud]))
"""

SHUT, HALF, WIDE = range(3)


@pytest.fixture
def sitters(tmp_path_factory, monkeypatch) -> None:
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitters.py").write_text(PLUGIN)
    info = folder / "sitters-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sitters\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[redub]\nsitters = sitters\n")
    monkeypatch.syspath_prepend(folder)


@pytest.fixture(scope="session")
def faces(demo) -> list[np.ndarray]:
    """(360, 640, 3) frames of the demo whose mouths are shut, half open and wide open in truth."""
    with np.load(demo / "truth.npz") as truth:
        order = np.argsort(truth["opening_px"])
    wanted = [int(order[round(share * (len(order) - 1))]) for share in (0.0, 0.7, 1.0)]
    with open_video(demo / "lecture.mp4") as reader:
        found = {frame.index: frame.rgb() for frame in reader.read(0, max(wanted) + 1) if frame.index in wanted}
    return [cv2.resize(found[index], (640, 360), interpolation=cv2.INTER_AREA) for index in wanted]


@pytest.fixture
def face(faces, tmp_path) -> Path:
    return save(tmp_path / "face.png", faces[SHUT])


@pytest.fixture
def beep(tmp_path) -> Path:
    """1.5 s of silence with a tone from 0.8 to 1.2 s."""
    samples = np.zeros(24000, np.int16)
    samples[12800:19200] = 8000 * np.sin(np.arange(6400) * 0.2)
    return write_sound(tmp_path / "beep.wav", samples)


@pytest.fixture
def hum(tmp_path) -> Path:
    """A tone of 0.2 s, which five frames last."""
    return write_sound(tmp_path / "hum.wav", (8000 * np.sin(np.arange(3200) * 0.2)).astype(np.int16))


@pytest.fixture
def lossless() -> Config:
    return Config().set("encode.preset=ultrafast").set("encode.crf=0")


def save(path: Path, picture: np.ndarray, **options) -> Path:
    Image.fromarray(picture).save(path, **options)
    return path


def write_sound(path: Path, samples: np.ndarray) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = 16000
        out.mux([*stream.encode(frame), *stream.encode()])
    return path


def shown(path: Path) -> list[np.ndarray]:
    with open_video(path) as reader:
        return [frame.rgb().astype(int) for frame in reader.read()]


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_echo_gives_the_still_back_for_as_long_as_the_sound(face, faces, beep, tmp_path, lossless):
    result = redub.speak([face], beep, "echo", output=tmp_path / "out.mp4", config=lossless)
    pictures = shown(result.output)
    assert len(pictures) == result.frames == result.painted_frames == 38  # 1.5 s in 25ths, to the end of the last
    assert result.plan is None
    for picture in pictures:
        assert np.abs(picture - faces[SHUT]).mean() < 1.5  # colour at half size, as everywhere
        np.testing.assert_array_equal(picture, pictures[0])


def test_only_the_face_is_painted(face, faces, hum, tmp_path, lossless):
    write_film(still_frame(faces[SHUT]), tmp_path / "film.mkv")
    (unpainted,) = shown(tmp_path / "film.mkv")
    painted = shown(redub.speak(face, hum, "echo", output=tmp_path / "out.mp4", config=lossless).output)[3]
    (still,) = load_stills(face)
    left, top = still.points.min(axis=0) - 20
    right, bottom = still.points.max(axis=0) + 20
    changed = np.argwhere((unpainted != painted).any(axis=-1))
    assert len(changed), "echo resamples what it paints, so that some samples round otherwise"
    assert (changed >= (top, left)).all()
    assert (changed <= (bottom, right)).all()


def test_the_result_is_marked_and_has_the_new_sound(face, beep, tmp_path):
    result = redub.speak(face, beep, "echo", output=tmp_path / "out.mp4")
    mark = read_mark(result.output)
    assert mark is not None
    assert mark.generator == "echo"
    assert CONSENT in result.notices
    with av.open(str(result.output)) as made:
        (sound,) = made.streams.audio
        (picture,) = made.streams.video
        assert float(sound.duration * sound.time_base) == pytest.approx(1.5, abs=0.03)
        assert picture.average_rate == 25
        assert picture.pix_fmt == "yuv420p"
        assert not picture.metadata.keys() - {"language", "handler_name", "vendor_id", "encoder"}


def test_the_mouth_speaks_exactly_while_there_is_sound(sitters, face, beep, tmp_path, lossless):
    result = redub.speak(face, beep, "loud", output=tmp_path / "out.mp4", config=lossless)
    points = load_stills(face)[0].points[48:68]
    (x, y) = points.mean(axis=0).astype(int)
    lit = np.array([picture[y - 3 : y + 4, x - 8 : x + 9].mean() > 200 for picture in shown(result.output)])
    # A frame stands for 0.04 s and is heard in 0.01 s around its middle: frames 20 to 29 hear the tone.
    assert np.flatnonzero(lit).tolist() == list(range(20, 30))


def test_a_setting_for_the_lengths_of_videos_does_not_cut_it(face, hum, tmp_path, lossless):
    config = lossless.updated({"fit": {"mode": Fit.CUT}})
    assert redub.speak(face, hum, "echo", output=tmp_path / "out.mp4", config=config).frames == 5


def test_by_default_it_lies_beside_the_picture(face, hum, lossless):
    assert redub.speak(face, hum, "echo", config=lossless).output == face.parent / "face.hum.mp4"


def test_nothing_is_left_where_temporary_files_are_kept(sitters, face, hum, tmp_path, lossless, monkeypatch):
    kept = tmp_path / "kept"
    kept.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(kept))
    redub.speak(face, hum, "echo", output=tmp_path / "out.mp4", config=lossless)
    with pytest.raises(MediaError):
        redub.speak(face, hum, "echo", output=tmp_path / "out.mp4", config=lossless)
    assert not list(kept.iterdir())


def test_large_pictures_are_scaled_down_and_odd_ones_made_even(faces, hum, tmp_path, lossless):
    large = save(tmp_path / "large.jpg", cv2.resize(faces[SHUT], (2561, 1441)), quality=90)
    result = redub.speak(large, hum, "echo", output=tmp_path / "out.mp4", config=lossless)
    assert shown(result.output)[0].shape == (1080, 1920, 3)
    smaller = redub.speak(large, hum, "echo", output=tmp_path / "small.mp4", config=lossless, max_side_px=333)
    assert shown(smaller.output)[0].shape == (186, 332, 3)


def test_the_film_keeps_brightness_to_a_level(faces, tmp_path):
    still = still_frame(faces[WIDE])
    write_film(still, tmp_path / "film.mkv")
    with open_video(tmp_path / "film.mkv") as reader:
        (frame,) = reader.read()
        assert frame.duration == still.duration
        assert reader.nominal_rate == 25
    # BT.709, in which the film is kept, from the picture's own R, G and B.
    luma = faces[WIDE] @ [0.2126, 0.7152, 0.0722]
    assert np.abs(frame.gray() - luma).max() < 2.5


def test_the_largest_of_several_faces_is_used_and_that_is_told(faces, hum, tmp_path, lossless):
    group = np.full((360, 1000, 3), 128, np.uint8)
    group[:, :640] = faces[SHUT]
    group[150:330, 660:980] = cv2.resize(faces[SHUT], (320, 180), interpolation=cv2.INTER_AREA)
    (alone,), (still,) = load_stills(save(tmp_path / "alone.png", faces[SHUT])), load_stills(save(tmp_path / "group.png", group))
    assert still.faces == 2
    assert np.linalg.norm(still.points - alone.points, axis=-1).max() < 4
    result = redub.speak(tmp_path / "group.png", hum, "echo", output=tmp_path / "out.mp4", config=lossless)
    assert any("group.png shows 2 faces" in notice for notice in result.notices)


def test_a_picture_that_is_all_face_is_registered_too(faces, tmp_path):
    (still,) = load_stills(save(tmp_path / "whole.png", faces[SHUT]))
    left, top = still.similarity[2:].astype(int)
    side = int(np.exp(still.similarity[0]))
    (tight,) = load_stills(save(tmp_path / "tight.png", faces[SHUT][top : top + side, left : left + side]))
    assert np.linalg.norm(tight.points - still.points + np.array([left, top]), axis=-1).mean() < 0.03 * side


def test_no_face_is_one_clear_error(tmp_path, hum):
    wall = save(tmp_path / "wall.png", np.full((300, 400, 3), 180, np.uint8))
    with pytest.raises(NoFaceError, match=r"wall\.png") as raised:
        redub.speak(wall, hum, "echo", output=tmp_path / "out.mp4")
    assert "upright" in raised.value.hint
    assert not (tmp_path / "out.mp4").exists()


def test_stills_come_ordered_by_openness_and_repeated(sitters, faces, hum, tmp_path, lossless, monkeypatch):
    monkeypatch.setenv("STILLS", str(tmp_path / "stills.npy"))
    paths = [save(tmp_path / f"{i}.png", faces[i]) for i in (WIDE, SHUT, HALF)]
    redub.speak(paths, hum, "sitter", output=tmp_path / "out.mp4", config=lossless)
    given = np.load(tmp_path / "stills.npy").astype(int)
    assert given.shape == (5, 64, 64, 3)
    stills = load_stills([tmp_path / f"{i}.png" for i in (SHUT, HALF, WIDE)])
    crops = [take_crop(still.frame, still.similarity, 64).astype(int) for still in stills]
    which = [int(np.argmin([np.abs(one - crop).mean() for crop in crops])) for one in given]
    assert which == sorted(which)
    assert set(which) == {SHUT, HALF, WIDE}


def test_more_stills_than_are_wanted_give_the_ones_between(faces, tmp_path):
    stills = load_stills([save(tmp_path / f"{i}.png", faces[i]) for i in (WIDE, SHUT, HALF)])
    ((frame, _),) = by_openness(stills, 1)
    assert frame is stills[2].frame
    assert [frame for frame, _ in by_openness(stills, 3)] == [stills[i].frame for i in (1, 2, 0)]
    assert by_openness(stills, 0) == []


@pytest.mark.parametrize("count", [0, 6])
def test_none_or_six_pictures(face, hum, tmp_path, count):
    with pytest.raises(RedubError, match=str(count)):
        redub.speak([face] * count, hum, "echo", output=tmp_path / "out.mp4")


@pytest.fixture(scope="session")
def clip(faces, tmp_path_factory) -> Path:
    """Six frames of the demo's head."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for i in range(6):
            frame = av.VideoFrame.from_ndarray(faces[i // 2], format="rgb24").reformat(format="yuv420p")
            frame.pts = i
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


@pytest.fixture
def stranger(faces, tmp_path) -> Path:
    """Somebody else, with a blue face, in a picture of another size."""
    return save(tmp_path / "stranger.jpg", np.ascontiguousarray(cv2.resize(faces[HALF][..., ::-1], (800, 450))), quality=95)


def mouth_colour(path: Path) -> np.ndarray:
    """(3,) mean R, G, B of the mouth in the first frame."""
    picture = shown(path)[0]
    points = load_stills(save(path.with_suffix(".png"), picture.astype(np.uint8)))[0].points[48:68]
    (left, top), (right, bottom) = points.min(axis=0).astype(int), points.max(axis=0).astype(int)
    return picture[top:bottom, left:right].mean(axis=(0, 1))


def test_an_identity_takes_the_place_of_the_videos_stills(sitters, clip, stranger, hum, tmp_path, lossless):
    plan = tmp_path / "plan"
    own = redub.redub(clip, hum, "sitter", output=tmp_path / "own.mp4", plan=plan, config=lossless)
    other = redub.redub(clip, hum, "sitter", output=tmp_path / "other.mp4", plan=plan, config=lossless, identity=[stranger])
    red, _, blue = mouth_colour(own.output)
    assert red > blue + 20
    red, _, blue = mouth_colour(other.output)
    assert blue > red + 20
    assert CONSENT in other.notices
    assert CONSENT not in own.notices
    np.testing.assert_array_equal(shown(own.output)[3][:, :100], shown(other.output)[3][:, :100])


def test_stills_of_another_light_are_matched_to_the_videos(sitters, clip, faces, hum, tmp_path, lossless):
    brighter = save(tmp_path / "brighter.png", np.clip(faces[SHUT].astype(int) + 60, 0, 255).astype(np.uint8))
    plan = redub.analyse(clip)
    points = plan.tracks[0].points[0]
    # The cheeks lie amid the mask; between the nose and the corners of the mouth.
    cheeks = [tuple(((points[33] + points[i]) / 2 + (0, 6)).astype(int)) for i in (4, 12)]

    def off(config: Config) -> float:
        result = redub.render(plan, clip, hum, "cloned", output=tmp_path / "out.mp4", identity=brighter, config=config, force=True)
        made, source = shown(result.output)[0], shown(clip)[0]
        return float(np.mean([(made - source)[y - 3 : y + 4, x - 3 : x + 4].mean() for x, y in cheeks]))

    assert abs(off(lossless)) < 12
    assert off(lossless.set("blend.max_correction=20")) > 25, "a limit that the user sets is kept"


def test_render_takes_an_identity_and_echo_says_that_it_is_of_no_use(clip, stranger, hum, tmp_path, lossless):
    plan = redub.analyse(clip)
    result = redub.render(plan, clip, hum, "echo", output=tmp_path / "out.mp4", config=lossless, identity=stranger)
    assert any("looks at no stills" in notice for notice in result.notices)


def test_a_generator_of_whole_pictures_refuses_both(sitters, clip, stranger, hum, tmp_path):
    with pytest.raises(PluginError, match="wall paints whole pictures"):
        redub.speak(stranger, hum, "wall", output=tmp_path / "out.mp4")
    with pytest.raises(PluginError, match="wall paints whole pictures"):
        redub.redub(clip, hum, "wall", output=tmp_path / "out.mp4", plan=tmp_path / "plan", identity=[stranger])
    assert not (tmp_path / "plan").exists(), "it cost an analysis"
    with pytest.raises(PluginError, match="wall paints whole pictures"):
        redub.render(redub.analyse(clip), clip, hum, "wall", output=tmp_path / "out.mp4", identity=[stranger])
    assert not (tmp_path / "out.mp4").exists()


def test_an_identity_without_a_face_costs_no_analysis(clip, hum, tmp_path):
    wall = save(tmp_path / "wall.png", np.full((300, 400, 3), 180, np.uint8))
    with pytest.raises(NoFaceError):
        redub.redub(clip, hum, "echo", output=tmp_path / "out.mp4", plan=tmp_path / "plan", identity=[wall])
    assert not (tmp_path / "plan").exists()


def test_speak_from_the_command_line(face, stranger, hum, tmp_path):
    arguments = ("speak", "--image", face, "-i", stranger, "-a", hum, "-g", "echo", "-o", tmp_path / "out.mp4", "--json", "--quiet")
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["frames"] == said["painted_frames"] == 5
    assert CONSENT in said["notices"]
    again = run(*arguments)
    assert again.exit_code == 1
    assert "--force" in json.loads(again.stdout)["hint"]
    assert run(*arguments, "--force").exit_code == 0


def test_an_identity_from_the_command_line_tells_of_consent(clip, stranger, hum, tmp_path):
    common = ("-a", hum, "-g", "echo", "--identity", stranger, "--identity", stranger)
    dubbed = run(clip, *common, "-o", tmp_path / "a.mp4", "--plan", tmp_path / "plan")
    assert dubbed.exit_code == 0, dubbed.output
    assert f"note: {CONSENT}" in dubbed.stderr
    rendered = run("render", tmp_path / "plan", clip, *common, "-o", tmp_path / "b.mp4")
    assert rendered.exit_code == 0, rendered.output
    assert f"note: {CONSENT}" in rendered.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--max-side", 20), "20 px"),
        (("--generator", "ecko"), "echo"),
        (("--audio", "nothing.wav"), "nothing.wav"),
        (("--image", "nothing.jpg"), "nothing.jpg"),
        (("-o", "out.gif"), "suffix"),
        (("-o", "nowhere/out.mp4"), "nowhere"),
        (("--set", "encode.codec=nonsense"), "nonsense"),
    ],
)
def test_what_is_wrong_gets_one_sentence_and_a_hint(face, hum, tmp_path, options, said, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    result = run("speak", "--image", face, "--audio", hum, "--generator", "echo", *options)
    assert result.exit_code == 1
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == ["error", "hint"]
    assert said in result.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_a_device_is_checked_as_elsewhere(face, hum, tmp_path):
    result = run("speak", "--image", face, "--audio", hum, "--generator", "echo", "--device", "tpu", "-o", tmp_path / "out.mp4")
    assert result.exit_code == 1
    assert "tpu" in result.stderr


@pytest.mark.parametrize("name", ["test/grid_s2_1.mpg", "test/presenter_b_1.mp4", "test/mcgurk_1.mp4"])
def test_a_still_of_a_real_clip_is_registered_where_the_clip_is(shared_clips, tmp_path, hum, lossless, name):
    with open_video(shared_clips / name) as reader:
        frames = [frame.rgb() for frame in reader.read(0, 12)]
    path = tmp_path / "part.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = (*frames[0].shape[:2], "bgr0")
        for i, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")
            frame.pts = i
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    plan = redub.analyse(path)
    photo = save(tmp_path / "photo.jpg", frames[5], quality=92)
    (still,) = load_stills(photo)
    (track,) = plan.tracks
    width = np.exp(plan.crops[0].similarities[5, 0])
    assert np.linalg.norm(still.points - track.points[5], axis=-1).mean() < 0.03 * width
    result = redub.speak(photo, hum, "echo", output=tmp_path / "out.mp4", config=lossless)
    assert np.abs(shown(result.output)[4] - frames[5][: frames[5].shape[0] // 2 * 2, : frames[5].shape[1] // 2 * 2]).mean() < 4
