"""Whatever is wrong gets one sentence, a hint, exit code 1, no traceback; and nothing is half-written or lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from redub.cli import app


@pytest.fixture
def work(tmp_path, demo_video, demo_sound) -> Path:
    """A folder with a good video and a good sound."""
    shutil.copyfile(demo_video, tmp_path / "video.mp4")
    shutil.copyfile(demo_sound, tmp_path / "sound.m4a")
    return tmp_path


@pytest.fixture(scope="session")
def demo_plan(demo_video, tmp_path_factory) -> Path:
    """A plan of the demo, made once."""
    folder = tmp_path_factory.mktemp("plans") / "demo.redub"
    result = CliRunner().invoke(app, ["analyse", str(demo_video), "--plan", str(folder)])
    assert result.exit_code == 0, result.output
    return folder


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def refused(folder: Path, *arguments: object) -> str:
    """Run, expect a refusal that leaves the folder as it was (but for a plan), and return what was said."""
    before = files(folder)
    result = run(*arguments)
    assert result.exit_code == 1, f"{result.exit_code}: {result.output} {result.exception!r}"
    lines = [line for line in result.stderr.splitlines() if not line.startswith("note: ")]
    assert [line.split(":")[0] for line in lines] == ["error", "hint"], result.stderr
    assert "Traceback" not in result.output
    grown = {name for name in files(folder) - before if ".redub" not in name}
    assert not grown, f"left behind: {grown}"
    assert not before - files(folder)
    return result.stderr


def dub(
    folder: Path, *more: object, video: object = "video.mp4", audio: object = "sound.m4a", generator: str = "echo"
) -> tuple[object, ...]:
    return (folder, folder / str(video), "--audio", folder / str(audio), "--generator", generator, "-o", folder / "out.mp4", *more)


def test_a_missing_video(work):
    assert "There is no video" in refused(*dub(work, video="nothing.mp4"))


def test_a_missing_sound(work):
    assert "There is no sound" in refused(*dub(work, audio="nothing.wav"))


@pytest.mark.parametrize("which", ["video", "audio"])
def test_an_empty_file(work, which):
    (work / "empty").touch()
    assert "is empty" in refused(*dub(work, **{which: "empty"}))


@pytest.mark.parametrize("which", ["video", "audio"])
def test_a_folder(work, which):
    (work / "folder").mkdir()
    assert "is a folder" in refused(*dub(work, **{which: "folder"}))


@pytest.mark.parametrize("which", ["video", "audio"])
def test_text_that_is_named_mp4(work, which):
    (work / "text.mp4").write_text("This was to be a lecture about memory.\n" * 50)
    assert "text.mp4" in refused(*dub(work, **{which: "text.mp4"}))


def test_a_playlist_that_points_elsewhere_is_not_followed(work):
    (work / "list.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:9/secret.ts\n#EXT-X-ENDLIST\n")
    assert "list.m3u8" in refused(*dub(work, video="list.m3u8"))


def test_an_mp4_cut_off_before_its_index(work):
    content = (work / "video.mp4").read_bytes()
    (work / "torn.mp4").write_bytes(content[: len(content) // 2] if content.find(b"moov") > len(content) // 2 else content[:200])
    assert "torn.mp4" in refused(*dub(work, video="torn.mp4"))


def test_sound_given_as_video(work):
    assert "sound.m4a" in refused(*dub(work, video="sound.m4a"))


def test_video_without_sound_given_as_sound(work, make_clip):
    from fractions import Fraction

    silent = make_clip("silent.mp4", range(5), Fraction(1, 25))
    assert "silent.mp4" in refused(*dub(work, audio=silent))


def test_sound_of_no_length(work):
    with av.open(str(work / "none.wav"), "w") as out:
        out.add_stream("pcm_s16le", rate=16000, layout="mono")
        out.start_encoding()
    assert "none.wav" in refused(*dub(work, audio="none.wav"))


def test_no_face_anywhere(work, make_clip):
    from fractions import Fraction

    slides = make_clip("slides.mp4", range(30), Fraction(1, 25), pictures=[np.full((360, 640, 3), 200, np.uint8)])
    assert "No face" in refused(*dub(work, video=slides))


def test_an_unknown_generator_names_what_is_there(work):
    assert "echo" in refused(*dub(work, generator="eccho"))


def test_a_blending_the_generator_lacks(work, demo_plan):
    said = refused(*dub(work, "--blend", "feather", "--plan", demo_plan, generator="speech2vid"))
    assert "speech2vid" in said


def test_a_target_that_exists_is_kept(work, demo_plan):
    (work / "out.mp4").write_bytes(b"an earlier result")
    assert "--force" in refused(*dub(work, "--plan", demo_plan))
    assert (work / "out.mp4").read_bytes() == b"an earlier result"


def test_a_target_that_is_an_input_is_kept_even_with_force(work, demo_plan):
    before = (work / "video.mp4").read_bytes()
    refused(work, work / "video.mp4", "--audio", work / "sound.m4a", "-g", "echo", "-o", work / "video.mp4", "--force", "--plan", demo_plan)
    assert (work / "video.mp4").read_bytes() == before


def test_a_target_folder_that_is_not_there(work, demo_plan):
    refused(work, work / "video.mp4", "--audio", work / "sound.m4a", "-g", "echo", "-o", work / "no" / "out.mp4", "--plan", demo_plan)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_target_folder_that_cannot_be_written(work, demo_plan):
    (work / "locked").mkdir(mode=0o500)
    refused(work, work / "video.mp4", "--audio", work / "sound.m4a", "-g", "echo", "-o", work / "locked" / "out.mp4", "--plan", demo_plan)


def test_a_plan_made_for_another_video(work, demo_plan, make_clip):
    from fractions import Fraction

    other = make_clip("other.mp4", range(5), Fraction(1, 25))
    assert "was made for" in refused(*dub(work, "--plan", demo_plan, video=other))


def test_a_plan_edited_into_nonsense(work, demo_plan):
    shutil.copytree(demo_plan, work / "plan")
    table = json.loads((work / "plan" / "plan.json").read_text())
    table["speaking"][0]["stop"] = 10**6
    (work / "plan" / "plan.json").write_text(json.dumps(table))
    assert "where it is not seen" in refused(*dub(work, "--plan", work / "plan"))


def test_an_edited_plan_is_honoured(work, demo_plan):
    shutil.copytree(demo_plan, work / "plan")
    table = json.loads((work / "plan" / "plan.json").read_text())
    start = table["speaking"][0]["start"]
    table["speaking"][0]["stop"] = start + 7
    (work / "plan" / "plan.json").write_text(json.dumps(table))
    result = run(*dub(work, "--plan", work / "plan", "--json", "--set", "encode.preset=ultrafast")[1:])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["painted_frames"] == 7


@pytest.mark.parametrize(
    "options",
    [
        ("--set", "encode.crv=3"),
        ("--config", "nothing.toml"),
        ("--speaker", "99"),
        ("--speaker", "nobody"),
        ("--set", "encode.codec=nosuch"),
    ],
)
def test_settings_that_mean_nothing(work, demo_plan, options):
    refused(*dub(work, "--plan", demo_plan, *options))


def test_errors_as_json(work):
    result = run(*dub(work, "--json", video="nothing.mp4")[1:])
    assert result.exit_code == 1
    assert set(json.loads(result.stdout)) == {"error", "hint", "kind"}


def test_corrupt_packets_in_the_middle_are_survived(work, demo_video):
    content = bytearray(demo_video.read_bytes())
    with av.open(str(demo_video)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size and packet.pos]
    for position, size in places[60:63]:
        content[position + 8 : position + size] = bytes(size - 8)
    (work / "torn.mp4").write_bytes(content)
    result = run(*dub(work, "--json", "--set", "encode.preset=ultrafast", video="torn.mp4")[1:])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["frames"] >= len(places) - 10


PLUGIN = """
from redub.plugin import AudioWindow, Generator, GeneratorInfo, Mode, Painted, Region, hookimpl
from redub.types import Blend

@hookimpl
def redub_generators():
    yield GeneratorInfo(
        name="bomb", summary="Raises in the middle.", api=(1, 0), licence="MIT", region=Region.FACE,
        modes={Blend.POISSON: Mode(input_px=64, output_px=64)},
        audio=AudioWindow(rate_hz=16000, before_s=0.1, after_s=0.1), factory="bomb:Bomb",
    )

class Bomb(Generator):
    calls = 0
    def __init__(self, context):
        pass
    def generate(self, clip):
        Bomb.calls += 1
        if Bomb.calls > 2:
            raise IndexError("tensor 7 is out of range")
        return Painted(frames=clip.frames.copy())
"""


@pytest.fixture
def bomb(tmp_path_factory, monkeypatch) -> None:
    folder = tmp_path_factory.mktemp("site")
    (folder / "bomb.py").write_text(PLUGIN)
    info = folder / "bomb-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bomb\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[redub]\nbomb = bomb\n")
    monkeypatch.syspath_prepend(folder)


def test_a_plugin_that_raises_in_the_middle_is_named(work, demo_plan, bomb):
    said = refused(*dub(work, "--plan", demo_plan, generator="bomb"))
    assert "bomb" in said
    assert "tensor 7 is out of range" in said


LISTENING = """
import runpy, signal
# What is started in the background ignores Ctrl-C and hands that down.
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("redub", run_name="__main__")
"""


def start(work: Path, *more: object) -> subprocess.Popen[str]:
    """Start the real program with a slow encoder, in a process of its own."""
    command = [sys.executable, "-c", LISTENING, *dub(work, "--set", "encode.preset=veryslow", "--json", *more)[1:]]
    return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(process: subprocess.Popen[str], stage: str) -> None:
    for line in process.stderr:
        if json.loads(line)["stage"] == stage:
            return
    raise AssertionError(f"{stage} never began")


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_leaves_nothing_half_written(work, demo_plan):
    before = files(work)
    process = start(work, "--plan", demo_plan)
    wait_for(process, "paint")
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in error
    assert files(work) == before


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("stage", ["first", "paint"])
def test_kill_in_any_stage_does_not_confuse_the_next_run(work, stage):
    process = start(work)
    if stage == "first":
        assert process.stderr.readline()
    else:
        wait_for(process, stage)
        time.sleep(0.3)
    process.kill()
    process.communicate()
    assert not (work / "out.mp4").exists()
    result = run(*dub(work, "--json", "--set", "encode.preset=ultrafast")[1:])
    assert result.exit_code == 0, result.output
    with av.open(str(work / "out.mp4")) as container:
        assert len(list(container.decode(video=0))) == json.loads(result.stdout)["frames"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a limit on file size")
def test_a_full_disk(work, demo_plan):
    import resource

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    before = files(work)
    command = [sys.executable, "-m", "redub", *dub(work, "--plan", demo_plan)[1:]]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, preexec_fn=limit, check=False)
    assert done.returncode == 1, done.stderr
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"], done.stderr
    assert files(work) == before


@pytest.mark.parametrize(
    "options",
    [("--speaker", "nobody"), ("--device", "tpu"), ("-o", "nowhere/out.mp4"), ("-o", "out.gif")],
)
def test_what_is_bound_to_fail_costs_no_analysis(work, options):
    refused(*dub(work, *options))
    assert not any(".redub" in name for name in files(work))


def test_forcing_an_analysis_keeps_the_plan_that_was_there(work):
    assert run("analyse", work / "video.mp4").exit_code == 0
    plan = work / "video.mp4.redub"
    table = json.loads((plan / "plan.json").read_text())
    table["speaking"] = []
    (plan / "plan.json").write_text(json.dumps(table))
    result = run("analyse", work / "video.mp4", "--force")
    assert result.exit_code == 0
    assert "video.mp4.redub.old" in result.stderr
    assert json.loads((work / "video.mp4.redub.old" / "plan.json").read_text())["speaking"] == []
    assert json.loads((plan / "plan.json").read_text())["speaking"]


def test_a_plan_in_which_nobody_speaks_says_so(work, demo_plan):
    shutil.copytree(demo_plan, work / "plan")
    table = json.loads((work / "plan" / "plan.json").read_text())
    table["speaking"] = []
    (work / "plan" / "plan.json").write_text(json.dumps(table))
    assert "lets nobody speak" in refused(*dub(work, "--plan", work / "plan"))


def test_the_only_person_is_painted_though_the_lips_go_with_another_sound(work, demo_plan):
    """A plan whose readings say that nothing fits, as of a video whose sound was replaced."""
    shutil.copytree(demo_plan, work / "plan")
    table = json.loads((work / "plan" / "plan.json").read_text())
    with np.load(work / "plan" / "arrays.npz") as kept:
        arrays = dict(kept)
    (reading,) = table["sync"]["tracks"]
    reading["confidence"] = 0.01
    table["speaking"] = []
    arrays["track1.frame_confidence"] = np.full_like(arrays["track1.frame_confidence"], 0.01)
    np.savez(work / "plan" / "arrays.npz", **arrays)
    (work / "plan" / "plan.json").write_text(json.dumps(table))
    result = run(*dub(work, "--plan", work / "plan")[1:])
    assert result.exit_code == 0, result.output
    assert "the only person in it is taken for the speaker" in result.stderr
    assert json.loads((work / "plan" / "plan.json").read_text())["speaking"] == []


@pytest.mark.parametrize(("key", "value"), [("height", 360), ("width", 80), ("time_base", "1/7")])
def test_a_plan_whose_picture_is_not_the_videos(work, demo_plan, key, value):
    shutil.copytree(demo_plan, work / "plan")
    table = json.loads((work / "plan" / "plan.json").read_text())
    table["video"][key] = value
    (work / "plan" / "plan.json").write_text(json.dumps(table))
    refused(*dub(work, "--plan", work / "plan"))


def test_a_misspelt_command_is_answered_with_the_right_one(work):
    result = run("analyze", work / "video.mp4")
    assert result.exit_code == 2
    assert "analyse" in result.stderr


def test_a_fault_of_our_own_is_no_traceback(monkeypatch, capsys):
    from redub import cli

    monkeypatch.setattr(sys, "argv", ["redub", "doctor"])
    monkeypatch.setattr(cli, "app", lambda **_: 1 / 0)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == ["error", "hint"]
