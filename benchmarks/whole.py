"""Speed and memory of a whole run: first language (with analysis) and second (with the plan at hand).

The input is made by recipe: a clip scaled to 1280x720 and repeated to the asked lengths at 25 Hz, its own sound
repeated with it.  Each run is a process of its own, so that its peak memory is its own::

    python benchmarks/whole.py CLIPS/test/seat_t1_2.mkv --seconds 60 600
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from itertools import chain, repeat
from pathlib import Path

import av
import numpy as np

RATE_HZ = 25
FAST = ("--set", "encode.preset=veryfast", "--set", "encode.crf=18")


def make_input(clip: Path, seconds: int, folder: Path) -> tuple[Path, Path]:
    """Return a 720p video of the given length and a wav of its sound, both made once."""
    video, sound = folder / f"input{seconds}.mp4", folder / f"input{seconds}.wav"
    if not video.exists():
        with av.open(str(clip)) as source:
            pictures = [frame.reformat(width=1280, height=720, format="yuv420p") for frame in source.decode(video=0)]
        with av.open(str(video), "w") as out:
            stream = out.add_stream("libx264", rate=RATE_HZ, options={"preset": "veryfast", "crf": "18"})
            stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
            for i, picture in zip(range(seconds * RATE_HZ), chain.from_iterable(repeat(pictures)), strict=False):
                picture.pts, picture.time_base, picture.pict_type = i, Fraction(1, RATE_HZ), 0
                out.mux(stream.encode(picture))
            out.mux(stream.encode())
    if not sound.exists():
        resampler = av.AudioResampler(format="s16", layout="mono", rate=16000)
        with av.open(str(clip)) as source:
            parts = [part.to_ndarray()[0] for frame in chain(source.decode(audio=0), [None]) for part in resampler.resample(frame)]
        samples = np.resize(np.concatenate(parts), seconds * 16000)
        with av.open(str(sound), "w") as out:
            stream = out.add_stream("pcm_s16le", rate=16000, layout="mono")
            frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            frame.sample_rate = 16000
            out.mux(stream.encode(frame))
            out.mux(stream.encode())
    return video, sound


def run(video: Path, sound: Path, plan: Path, given: Sequence[str], target: Path) -> tuple[float, float, dict[str, float]]:
    """Return wall seconds, peak MB, and seconds of each stage of one run."""
    command = [
        sys.executable,
        "-m",
        "redub",
        str(video),
        "--audio",
        str(sound),
        *given,
        "--plan",
        str(plan),
        "-o",
        str(target),
        "--force",
    ]
    began = time.perf_counter()
    process = subprocess.Popen([*command, "--json", *FAST], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    first, last = {}, {}
    for line in process.stderr:
        told = json.loads(line)
        first.setdefault(told["stage"], time.perf_counter())
        last[told["stage"]] = time.perf_counter()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - began
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return wall_s, usage.ru_maxrss / 1024, {stage: last[stage] - first[stage] for stage in first}


def main() -> None:
    """Print a Markdown table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("clip", type=Path)
    options.add_argument("--seconds", type=int, nargs="+", default=[60])
    options.add_argument("--generator", default="echo")
    options.add_argument("--blend", help="another than the default")
    options.add_argument("--folder", type=Path, default=None, help="keep the inputs here")
    asked = options.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, PyAV {av.__version__}\n"
    )
    print("| input | run | wall s | times real time | peak MB | stages (s) |\n|---|---|---|---|---|---|")
    for seconds in asked.seconds:
        video, sound = make_input(asked.clip, seconds, folder)
        given = ("-g", asked.generator, *(("--blend", asked.blend) if asked.blend else ()))
        with tempfile.TemporaryDirectory() as scratch:
            for name in ("first", "second"):
                wall_s, peak_mb, stages = run(video, sound, Path(scratch) / "plan", given, Path(scratch) / "out.mp4")
                shown = ", ".join(f"{stage} {took:.1f}" for stage, took in stages.items())
                print(f"| {seconds} s | {name} | {wall_s:.1f} | {seconds / wall_s:.2f} | {peak_mb:.0f} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
