"""A generator learns the speaker from the video itself: once, only where it helps, and never at the price of the run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from typer.testing import CliRunner

import redub
from redub.adapted import FOLDER, Outcome, list_records
from redub.adapting import Job, adapt_speakers
from redub.cast import LOADED, Cast, tell_outcomes
from redub.cli import app
from redub.config import Config
from redub.media import open_video, read_mark
from redub.plan import Plan, fingerprint
from redub.plugin import Generator, manager
from redub.stages.generate import Model
from redub.testing import draw_face
from redub.testing.clips import face_points
from redub.types import Blend, CropPath, Reading, Shot, Speaking, Track, VideoFacts

SIDE, RATE, SOUND_HZ = 96, 25, 16000
FRAMES, CUT = 200, 100
"""8 s, with a cut in the middle."""

TUTOR = """
import json, os, signal
from pathlib import Path
import numpy as np
from safetensors.numpy import load_file, save_file
from redub.plugin import Adapted, AudioWindow, Blend, Generator, GeneratorInfo, Mode, Painted, Region, WeightFile, hookimpl

FOLDER = Path(os.environ["TUTOR"])
common = dict(api=(1, 1), summary="A test.", licence="MIT", audio=AudioWindow(rate_hz=16000, before_s=0.1, after_s=0.1))
FACE = GeneratorInfo(name="tutor", region=Region.FACE, factory="tutor:Grey", adapter="tutor:adapt", modes={Blend.NETWORK: Mode(
    input_px=32, output_px=32, weights=(WeightFile(**json.loads((FOLDER / "base.json").read_text()), licence="MIT", source="here"),))},
    **common)

@hookimpl
def redub_generators():
    yield FACE
    yield GeneratorInfo(name="painter", region=Region.FRAME, factory="tutor:Grey", adapter="tutor:adapt",
        modes={Blend.NETWORK: Mode(input_px=32, output_px=32)}, **common)
    yield GeneratorInfo(name="both", region=Region.FACE, factory="tutor:Grey", adapter="tutor:adapt",
        modes={blend: Mode(input_px=32, output_px=32) for blend in (Blend.POISSON, Blend.NETWORK)}, **common)

class Grey(Generator):
    \"\"\"Paints one level: 0, or 120 to be blended, or what it was adapted to.\"\"\"
    def __init__(self, context):
        usual = 0 if context.mode is Blend.NETWORK else 120
        self.level = usual if context.adapted is None else int(load_file(context.adapted)["level"][0])
    def generate(self, clip):
        return Painted(frames=np.full_like(clip.frames, self.level))

def adapt(request):
    wish = json.loads((FOLDER / "wish.json").read_text())
    calls = FOLDER / "calls.jsonl"
    pieces = [[p.speaker, len(p.crops), p.is_held_out] for p in request.pieces]
    with calls.open("a") as file:
        base = [path.read_text() for path in request.weights.values()]
        print(json.dumps({"pieces": pieces, "limit_s": request.limit_s, "weights": sorted(request.weights), "base": base}), file=file)
    if "fail" in wish:
        raise RuntimeError(wish["fail"])
    if "remark" in wish:
        return Adapted(before=0.0, after=0.0, remark=wish["remark"])
    request.output.write_bytes(b"half of it")
    if "kill" in wish:
        os.kill(os.getpid(), signal.SIGKILL)
    for step in range(3):
        request.tell("whatever", step + 1, 3)
    if "forget" in wish:
        request.output.unlink()
    else:
        save_file({"level": np.full(1, wish.get("level", 200), np.int64)}, request.output)
    return Adapted(before=wish.get("before", 2.0), after=wish.get("after", 1.0))
"""


class Tutor:
    """The test generator's strings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.put_base(b"the first")
        self.wish()

    def put_base(self, content: bytes) -> None:
        path = self.folder / "tutor-base.safetensors"
        path.write_bytes(content)
        source = fingerprint(path)
        (self.folder / "base.json").write_text(json.dumps({"name": path.name, "sha256": source.sha256, "size_bytes": source.size_bytes}))
        sys.modules.pop("tutor", None)

    def wish(self, **wishes) -> None:
        (self.folder / "wish.json").write_text(json.dumps(wishes))

    @property
    def calls(self) -> list[dict]:
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def tutor(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "tutor.py").write_text(TUTOR)
    info = folder / "tutor-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tutor\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[redub]\ntutor = tutor\n")
    monkeypatch.syspath_prepend(folder)
    for name, value in {"TUTOR": folder, "REDUB_WEIGHTS": folder, "REDUB_PLUGINS": "tutor"}.items():
        monkeypatch.setenv(name, str(value))
    yield Tutor(folder)
    sys.modules.pop("tutor", None)


def mouth_and_voice() -> tuple[np.ndarray, np.ndarray]:
    """Openness (T,) that rises and falls as in speech, and a noise that is as loud as the mouth is open."""
    random = np.random.default_rng(5)
    syllables = np.repeat(random.uniform(0.0, 1.0, FRAMES // 4 + 2), 4)
    openness = np.convolve(syllables, np.hanning(7) / np.hanning(7).sum(), "same")[:FRAMES]
    times = np.arange(FRAMES * SOUND_HZ // RATE) / SOUND_HZ
    envelope = np.interp(times, (np.arange(FRAMES) + 0.5) / RATE, openness)
    return openness, 0.5 * envelope**2 * random.uniform(-1, 1, len(times))


def write_video(path: Path, openness: np.ndarray, voice: np.ndarray | None) -> Path:
    with av.open(str(path), "w") as out:
        picture = out.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "crf": "10"})
        picture.width, picture.height, picture.pix_fmt = SIDE, SIDE, "yuv420p"
        if voice is not None:
            sound = out.add_stream("pcm_s16le", rate=SOUND_HZ, layout="mono")
            frame = av.AudioFrame.from_ndarray((voice * 32767).astype(np.int16)[None], "s16", "mono")
            frame.sample_rate = SOUND_HZ
            out.mux(sound.encode(frame))
            out.mux(sound.encode())
        for i, value in enumerate(openness):
            frame = av.VideoFrame.from_ndarray(draw_face(SIDE, float(value), i)[0], "rgb24")
            frame.pts = i
            out.mux(picture.encode(frame))
        out.mux(picture.encode())
    return path


@pytest.fixture(scope="session")
def videos(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("videos")
    openness, voice = mouth_and_voice()
    voices = {"true": voice, "moved": np.roll(voice, len(voice) // 2), "silent": 0 * voice, "mute": None}
    return {name: write_video(folder / f"{name}.mkv", openness, sound) for name, sound in voices.items()}


def make_plan(video: Path, *, speaking: tuple[tuple[int, int, int], ...] = ((1, 0, CUT), (2, CUT, FRAMES))) -> Plan:
    """Two tracks of one drawn face, before and behind the cut; their crops are the whole picture."""
    openness = mouth_and_voice()[0]
    row = np.array([np.log(SIDE), 0.0, -0.5, -0.5])
    tracks, crops = [], []
    for number, start, stop in ((1, 0, CUT), (2, CUT, FRAMES)):
        points = np.stack([face_points(float(value)) * SIDE - 0.5 for value in openness[start:stop]])
        box = np.array([0, 0, SIDE, SIDE], np.float32)
        tracks.append(
            Track(
                id=number, start=start, boxes=np.tile(box, (stop - start, 1)), points=points, is_measured=np.ones(stop - start, bool)
            )
        )  # fmt: skip
        crops.append(
            CropPath(track=number, start=start, similarities=np.tile(row, (stop - start, 1)), references=tuple(range(start, start + 5)))
        )
    with open_video(video) as reader:
        ticks, time_base = np.array([frame.pts for frame in reader.read()]), reader.time_base
    facts = VideoFacts(
        height=SIDE, width=SIDE, frames=FRAMES, frame_rate=Fraction(RATE), duration=Fraction(FRAMES, RATE), is_variable_rate=False
    )
    return Plan(
        source=fingerprint(video), facts=facts, pts=ticks, time_base=time_base,
        shots=(Shot(start=0, stop=CUT), Shot(start=CUT, stop=FRAMES)), tracks=tuple(tracks), crops=tuple(crops),
        speaking=tuple(Speaking(track=track, start=start, stop=stop) for track, start, stop in speaking),
        settings=Config().analysis_settings(),
    )  # fmt: skip


@pytest.fixture
def home(tmp_path) -> Path:
    """The folder of a plan."""
    folder = tmp_path / "plan"
    folder.mkdir()
    return folder


def run(plan: Plan, video: Path, folder: Path | None, tmp_path: Path, **more) -> tuple[tuple[Outcome, ...], list[str]]:
    notices: list[str] = []
    config = more.pop("config", Config()).adapt
    job = Job(entry=manager.find(more.pop("generator", "tutor")), mode=Blend.NETWORK, config=config, folder=folder, device="cpu", **more)
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    return adapt_speakers(plan, video, job, scratch, notices), notices


def test_two_tracks_of_one_face_are_learnt_as_one_person_and_reused(tutor, videos, home, tmp_path):
    plan = make_plan(videos["true"])
    (outcome,), notices = run(plan, videos["true"], home, tmp_path)
    assert outcome.tracks == (1, 2)
    assert (outcome.before, outcome.after, outcome.is_reused) == (2.0, 1.0, False)
    assert outcome.file.parent == home / FOLDER
    assert notices == []
    (again,), _ = run(plan, videos["true"], home, tmp_path)
    assert again == replace(outcome, is_reused=True)
    assert len(tutor.calls) == 1
    assert {path.suffix for path in (home / FOLDER).iterdir()} == {".json", ".safetensors"}


def test_the_adapter_is_given_what_is_learnt_and_what_is_held_out(tutor, videos, home, tmp_path):
    told = []
    run(make_plan(videos["true"]), videos["true"], home, tmp_path, tell=lambda *step: told.append(step))
    (call,) = tutor.calls
    assert {speaker for speaker, _, _ in call["pieces"]} == {"track1"}
    held = sum(frames for _, frames, is_held in call["pieces"] if is_held)
    learnt = sum(frames for _, frames, is_held in call["pieces"] if not is_held)
    assert held == FRAMES // 5
    # Two blocks are held out, with a gap of 0.2 s at each end.
    assert FRAMES - held - learnt == 2 * 2 * RATE // 5
    assert (call["limit_s"], call["weights"]) == (None, ["tutor-base.safetensors"])
    assert told == [("adapt", 1, 3), ("adapt", 2, 3), ("adapt", 3, 3)]


def test_a_limit_of_time_reaches_the_adapter(tutor, videos, home, tmp_path):
    run(make_plan(videos["true"]), videos["true"], home, tmp_path, config=Config().set("adapt.limit_s=7"))
    assert tutor.calls[0]["limit_s"] == 7


def heard(track: int, start: int, stop: int) -> Reading:
    """What is read of a track whose lips go with the sound in some of its frames."""
    fits = np.full(CUT, -0.5, np.float32)
    fits[start:stop] = 0.9
    return Reading(track=track, offset_s=0.0, distance=0.5, confidence=0.9, coverage=1.0, heard_s=CUT / RATE, frame_confidence=fits)


@pytest.mark.parametrize("change", ["base", "named", "speaking", "heard", "settings", "faces", "distribution", "force"])
def test_what_was_learnt_counts_only_for_exactly_what_it_was_learnt_from(tutor, videos, home, tmp_path, change):
    plan, config, more = make_plan(videos["true"]), Config(), {}
    run(plan, videos["true"], home, tmp_path)
    if change == "base":
        tutor.put_base(b"the second")
    if change == "speaking":
        plan = make_plan(videos["true"], speaking=((1, 0, CUT), (2, CUT, FRAMES - 1)))
    if change == "heard":
        plan = replace(plan, readings=(heard(1, 0, CUT), heard(2, 0, CUT // 2)))
    if change == "settings":
        config = config.set("adapt.max_footage_s=30")
    if change == "faces":
        plan.crops[0].similarities[7, 2] += 1e-6
    if change == "distribution":
        folder = tutor.folder / "tutor-1.0.dist-info"
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: tutor\nVersion: 1.1\n")
    if change == "force":
        more["force"] = True
    if change == "named":
        (tmp_path / "own.safetensors").write_bytes(b"my own")
        more["weights"] = str(tmp_path / "own.safetensors")
    (outcome,), notices = run(plan, videos["true"], home, tmp_path, config=config, **more)
    assert len(tutor.calls) == 2
    assert tutor.calls[1]["base"] == [{"base": "the second", "named": "my own"}.get(change, "the first")]
    assert not outcome.is_reused
    assert notices == []


@pytest.mark.parametrize(("before", "after"), [(1.0, 1.0), (1.0, 1.5)])
def test_what_does_not_help_is_not_kept_and_not_tried_again(tutor, videos, home, tmp_path, before, after):
    tutor.wish(before=before, after=after)
    plan = make_plan(videos["true"])
    for _ in range(2):
        (outcome,), _ = run(plan, videos["true"], home, tmp_path)
        assert outcome.file is None
        assert "did not help" in outcome.told("tutor")
    assert len(tutor.calls) == 1
    assert not list((home / FOLDER).glob("*.safetensors"))


@pytest.mark.parametrize("wish", [{"fail": "no luck"}, {"before": float("nan")}, {"forget": True}])
def test_a_failing_adapter_is_told_and_tried_again_next_time(tutor, videos, home, tmp_path, wish):
    tutor.wish(**wish)
    plan = make_plan(videos["true"])
    (outcome,), _ = run(plan, videos["true"], home, tmp_path)
    assert outcome.file is None
    assert "tutor 1.0" in outcome.remark
    assert wish.get("fail", "") in outcome.remark
    tutor.wish()
    (outcome,), _ = run(plan, videos["true"], home, tmp_path)
    assert outcome.file is not None


def test_an_adapter_may_decline_with_a_reason(tutor, videos, home, tmp_path):
    tutor.wish(remark="There is nothing to learn.")
    (outcome,), _ = run(make_plan(videos["true"]), videos["true"], home, tmp_path)
    assert outcome.told("tutor") == "tutor was not adapted to the speaker of tracks 1 and 2: There is nothing to learn."


@pytest.mark.parametrize(
    ("video", "expected"),
    [("moved", "lips do not move with the sound"), ("silent", "seen speaking for 0.0 s, and 1.5 s are needed"), ("mute", "sound")],
)
def test_without_a_voice_of_their_own_nobody_is_learnt(tutor, videos, home, tmp_path, video, expected):
    outcomes, notices = run(make_plan(videos[video]), videos[video], home, tmp_path)
    said = [*notices, *(outcome.told("tutor") for outcome in outcomes)]
    assert len(said) == 1
    assert "not adapted" in said[0]
    assert expected in said[0]
    assert tutor.calls == []


def test_too_little_footage_is_told(tutor, videos, home, tmp_path):
    (outcome,), _ = run(make_plan(videos["true"], speaking=((1, 0, 25),)), videos["true"], home, tmp_path)
    assert outcome.file is None
    assert "1.5 s are needed" in outcome.remark


def test_frames_without_a_seen_face_are_not_learnt_from(tutor, videos, home, tmp_path):
    plan = make_plan(videos["true"])
    plan.tracks[1].is_measured[:] = False
    run(plan, videos["true"], home, tmp_path)
    assert sum(frames for _, frames, _ in tutor.calls[0]["pieces"]) <= CUT


def test_only_the_longest_persons_are_learnt(tutor, videos, home, tmp_path):
    # At a distance of 0 every track is a person of its own.
    config = Config().set("adapt.max_distance=0").set("adapt.max_persons=1")
    outcomes, _ = run(
        make_plan(videos["true"], speaking=((1, 0, CUT - 1), (2, CUT, FRAMES))), videos["true"], home, tmp_path, config=config
    )
    assert [(outcome.tracks, outcome.file is not None) for outcome in outcomes] == [((1,), False), ((2,), True)]
    assert "adapt.max_persons" in outcomes[0].remark


@pytest.mark.parametrize("damage", ["weights cut off", "weights gone", "record cut off", "record of nonsense"])
def test_damaged_results_are_made_anew_with_a_notice(tutor, videos, home, tmp_path, damage):
    plan = make_plan(videos["true"])
    (outcome,), _ = run(plan, videos["true"], home, tmp_path)
    (record,) = (home / FOLDER).glob("*.json")
    if damage == "weights cut off":
        outcome.file.write_bytes(outcome.file.read_bytes()[:-1])
    if damage == "weights gone":
        outcome.file.unlink()
    if damage == "record cut off":
        record.write_text(record.read_text()[:-20])
    if damage == "record of nonsense":
        table = json.loads(record.read_text())
        record.write_text(json.dumps({**table, "persons": [{"tracks": "all"}]}))
    (again,), notices = run(plan, videos["true"], home, tmp_path)
    assert again == outcome
    assert len(tutor.calls) == 2
    assert len(notices) == 1
    assert "made anew" in notices[0]
    assert run(plan, videos["true"], home, tmp_path)[1] == []


def test_a_record_cannot_point_out_of_its_folder(tutor, videos, home, tmp_path):
    plan = make_plan(videos["true"])
    run(plan, videos["true"], home, tmp_path)
    (record,) = (home / FOLDER).glob("*.json")
    record.write_text(record.read_text().replace('"file": "', '"file": "../'))
    _, notices = run(plan, videos["true"], home, tmp_path)
    assert "damaged" in notices[0]


def test_where_nothing_can_be_kept_it_is_learnt_for_this_run(tutor, videos, home, tmp_path):
    (home / FOLDER).write_text("a file in the folder's place")
    (outcome,), notices = run(make_plan(videos["true"]), videos["true"], home, tmp_path)
    assert outcome.file.is_file()
    assert outcome.file.parent == tmp_path / "scratch"
    assert "forgotten after this run" in notices[0]


def test_generators_of_whole_pictures_and_a_user_who_declines_change_nothing(tutor, videos, home, tmp_path):
    plan = make_plan(videos["true"])
    assert run(plan, videos["true"], home, tmp_path, generator="painter") == ((), [])
    assert run(plan, videos["true"], home, tmp_path, config=Config().set("adapt.use=false")) == ((), [])
    assert run(plan, videos["true"], home, tmp_path, generator="echo") == ((), [])
    assert tutor.calls == []


def test_a_killed_adapter_leaves_nothing_and_the_next_run_adapts(tutor, videos, home, tmp_path):
    video = tmp_path / "talk.mkv"
    video.write_bytes(videos["true"].read_bytes())
    folder = tmp_path / "talk.mkv.redub"
    make_plan(video).save(folder)
    tutor.wish(kill=True)
    paths = os.pathsep.join([str(tutor.folder), *(path for path in sys.path if path)])
    environment = {**os.environ, "PYTHONPATH": paths, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "redub", "adapt", str(video), "-g", "tutor"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert list((folder / FOLDER).iterdir()) == []
    assert len(tutor.calls) == 1
    tutor.wish()
    (outcome,), notices = run(Plan.load(folder), video, folder, tmp_path)
    assert outcome.file is not None
    assert notices == []


def mouth_level(path: Path) -> np.ndarray:
    """(T,) the luma amid the crop."""
    with av.open(str(path)) as container:
        return np.array([frame.to_ndarray(format="gray")[60:75, 38:58].mean() for frame in container.decode(video=0)])


@pytest.fixture
def tone(tmp_path) -> Path:
    with av.open(str(tmp_path / "new.wav"), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=SOUND_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.ones((1, FRAMES * SOUND_HZ // RATE), np.int16), "s16", "mono")
        frame.sample_rate = SOUND_HZ
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return tmp_path / "new.wav"


def test_each_person_is_painted_by_what_was_learnt_of_them(tutor, videos, home, tone, tmp_path):
    tutor.wish(level=180)
    plan = make_plan(videos["true"])
    # At a distance of 0 every track is a person of its own; the one behind the cut is seen too briefly.
    plan = replace(plan, speaking=(Speaking(track=1, start=0, stop=CUT), Speaking(track=2, start=CUT, stop=CUT + 20)))
    config = Config().set("adapt.max_distance=0")
    result = redub.render(plan, videos["true"], tone, "tutor", output=tmp_path / "out.mp4", folder=home, config=config, device="cpu")
    level = mouth_level(tmp_path / "out.mp4")
    assert np.abs(level[:CUT] - 180).max() < 12
    assert level[CUT + 2 : CUT + 20].max() < 30
    (record,) = list_records(home)
    mark = read_mark(tmp_path / "out.mp4")
    assert mark.weights_sha256[1:] == tuple(person["sha256"] for person in record["persons"] if person["file"])
    adapted, declined = [notice for notice in result.notices if "adapted" in notice]
    assert adapted.startswith("tutor was adapted to the speaker of track 1 ")
    assert declined.startswith("tutor was not adapted to the speaker of track 2:")


def test_the_next_language_reuses_what_was_learnt(tutor, videos, tone, tmp_path):
    video = tmp_path / "talk.mkv"
    video.write_bytes(videos["true"].read_bytes())
    make_plan(video).save(tmp_path / "talk.mkv.redub")
    for name in ("one", "two"):
        result = redub.redub(video, tone, "tutor", output=tmp_path / f"{name}.mp4", device="cpu")
        assert mouth_level(tmp_path / f"{name}.mp4")[10] > 150
    assert len(tutor.calls) == 1
    assert any("in an earlier run" in notice for notice in result.notices)
    before = redub.redub(video, tone, "tutor", output=tmp_path / "three.mp4", device="cpu", config=Config().set("adapt.use=false"))
    assert mouth_level(tmp_path / "three.mp4")[10] < 30
    assert not any("adapted" in notice for notice in before.notices)


@pytest.mark.parametrize(
    ("wish", "options", "expected", "told"),
    [
        ({"level": 220}, {}, 220, False),
        ({"remark": "too dark"}, {}, 120, True),
        ({"remark": "too dark"}, {"blend": Blend.NETWORK}, 0, False),
        ({"remark": "too dark"}, {"config": Config().set("blend.mode=network")}, 0, False),
        ({"level": 220}, {"config": Config().set("adapt.use=false")}, 120, False),
    ],
)
def test_in_context_is_painted_who_was_learnt_unless_the_user_chose(tutor, videos, home, tone, tmp_path, wish, options, expected, told):
    tutor.wish(**wish)
    plan = make_plan(videos["true"])
    result = redub.render(plan, videos["true"], tone, "both", output=tmp_path / "out.mp4", folder=home, device="cpu", **options)
    # A blended level may be corrected at its edge.
    assert abs(mouth_level(tmp_path / "out.mp4")[10] - expected) < 35
    assert any("--blend network" in notice for notice in result.notices) is told
    assert not list(tmp_path.glob(".*out*"))


def test_of_many_persons_only_some_are_told_one_by_one():
    declined = [Outcome(tracks=(i,), remark="too little") for i in range(30)]
    outcomes = (*declined, Outcome(tracks=(99,), file=Path("x"), before=2.0, after=1.0))
    told = tell_outcomes(outcomes, "tutor")
    assert len(told) < 10
    assert "track 99 " in told[0]
    assert str(31 - len(told) + 1) in told[-1]
    assert len(tell_outcomes(outcomes[:3], "tutor")) == 3


def command(*arguments: str):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}, prog_name="redub")


@pytest.fixture
def talk(videos, tmp_path) -> Path:
    video = tmp_path / "talk.mkv"
    video.write_bytes(videos["true"].read_bytes())
    make_plan(video).save(tmp_path / "talk.mkv.redub")
    return video


def test_the_command_adapts_reports_and_adapts_anew_on_request(tutor, talk):
    result = command("adapt", str(talk), "-g", "tutor", "--json", "--adapt-time", "5")
    assert result.exit_code == 0, result.output
    (person,) = json.loads(result.stdout)["persons"]
    assert (person["tracks"], person["before"], person["after"]) == ([1, 2], 2.0, 1.0)
    assert Path(person["file"]).is_file()
    assert tutor.calls[0]["limit_s"] == 5
    # The limit is one of learning, and not of what was learnt.
    again = command("adapt", str(talk), "-g", "tutor")
    assert "in an earlier run" in again.stdout
    command("adapt", str(talk), "-g", "tutor", "--force")
    assert len(tutor.calls) == 2


def test_the_main_command_adapts_unless_it_is_told_not_to(tutor, talk, tone, tmp_path):
    out = tmp_path / "out.mp4"
    assert command(str(talk), "-a", str(tone), "-g", "tutor", "-o", str(out), "--no-adapt").exit_code == 0
    assert tutor.calls == []
    assert mouth_level(out)[10] < 30
    assert command(str(talk), "-a", str(tone), "-g", "tutor", "-o", str(out), "--force", "--adapt-time", "3").exit_code == 0
    assert tutor.calls[0]["limit_s"] == 3
    assert mouth_level(out)[10] > 150


def test_the_command_says_what_cannot_be_adapted(tutor, talk):
    for generator in ("echo", "painter"):
        result = command("adapt", str(talk), "-g", generator)
        assert result.exit_code == 1
        assert "hint:" in result.stderr


def test_a_plan_shows_what_was_learnt(tutor, talk):
    command("adapt", str(talk), "-g", "tutor")
    folder = talk.with_name(talk.name + ".redub")
    (record,) = list_records(folder)
    assert record["generator"] == "tutor"
    shown = command("show", str(folder), "--json", "--no-pictures")
    (adapted,) = json.loads(shown.stdout)["adapted"]
    assert adapted["persons"][0]["tracks"] == [1, 2]
    assert "tutor" in command("show", str(folder), "--no-pictures").stdout


def test_a_folder_that_holds_nothing_but_results_is_still_a_plans(tmp_path, videos):
    folder = tmp_path / "plan"
    (folder / FOLDER).mkdir(parents=True)
    assert make_plan(videos["true"]).save(folder) == tmp_path / "plan.old"


class Counted(Generator):
    """Knows how many of its kind are open."""

    opened: set[int] = set()  # noqa: RUF012  shared on purpose

    def __init__(self, number: int) -> None:
        self.number = number
        self.opened.add(number)

    def generate(self, clip):
        raise NotImplementedError

    def close(self) -> None:
        self.opened.discard(self.number)


def test_a_cast_holds_a_few_models_and_loads_the_others_again(tutor, tmp_path, monkeypatch):
    entry = manager.find("tutor")
    Counted.opened.clear()
    loads = []

    def load(entry, mode, *, device, adapted, named):
        loads.append(adapted.name)
        return Counted(int(adapted.stem))

    monkeypatch.setattr("redub.cast.manager.load", load)
    base = Model(info=entry.info, mode=entry.info.modes[Blend.NETWORK], generator=Counted(99))
    outcomes = tuple(Outcome(tracks=(i, 10 + i), file=tmp_path / f"{i}.safetensors") for i in range(LOADED + 1))
    job = Job(entry=entry, mode=Blend.NETWORK, config=Config().adapt, folder=None)
    cast = Cast(base, outcomes, job, [])
    assert cast.model(55) is base
    for track in (0, 10, 1, 2, 0):
        assert cast.model(track).generator.number == track % 10
    assert loads == ["0.safetensors", "1.safetensors", "2.safetensors"]
    # The one that was not wanted for longest makes room.
    assert cast.model(13).generator.number == 3
    assert Counted.opened == {99, 2, 0, 3}
    cast.close()
    assert Counted.opened == {99}


def test_adapted_weights_that_do_not_load_give_way_to_the_base(tutor, tmp_path):
    entry = manager.find("tutor")
    notices: list[str] = []
    job = Job(entry=entry, mode=Blend.NETWORK, config=Config().adapt, folder=None, device="cpu")
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"nothing")
    base = Model(info=entry.info, mode=entry.info.modes[Blend.NETWORK], generator=Counted(99))
    cast = Cast(base, (Outcome(tracks=(1, 2), file=bad),), job, notices)
    assert cast.model(1) is base
    assert cast.model(2) is base
    assert len(notices) == 1
