"""What a run with echo changes: frames, times, samples, sound.

Each clip is dubbed with a tone and coded without loss, so that what is decoded from the result is what the encoder was
handed.  The samples are compared with the source's own: outside the mask they must be the same, inside it they have
been resampled into the crop and back::

    python benchmarks/echo.py CLIPS/test/*
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

import redub
from redub.config import Config
from redub.media.planes import sample_views, unpacked
from redub.plan import Plan

RATE_HZ = 44100


@dataclass
class Differences:
    """Sums over the frames of a clip, of luma levels (0 to 255)."""

    outside: int = 0
    inside: list[float] = field(default_factory=list)
    percentile: list[float] = field(default_factory=list)


def make_sound(seconds: float, target: Path) -> np.ndarray:
    """Write noise with a rhythm, in which every moment is different, and return it: (N,) int16."""
    random = np.random.default_rng(7)
    count = round(seconds * RATE_HZ)
    samples = (random.normal(size=count) * 2500 * (1.2 + np.sin(np.arange(count) / 2000))).astype(np.int16)
    with av.open(str(target), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return samples


def sound_lag_ms(result: Path, samples: np.ndarray) -> float:
    """Return by how much the result's sound is late, from the peak of the cross-correlation."""
    with av.open(str(result)) as container:
        # The skipped lead of AAC is taken off by the demuxer's own times.
        parts = [(float(frame.pts * frame.time_base), frame.to_ndarray()[0]) for frame in container.decode(audio=0)]
    begin = round(parts[0][0] * RATE_HZ)
    heard = np.concatenate([part for _, part in parts])
    count = min(len(heard), len(samples), 8 * RATE_HZ)
    size = 1 << (2 * count - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard[:count], size) * np.conj(np.fft.rfft(samples[:count].astype(float), size)))
    lag = int(np.argmax(product))
    return (begin + (lag if lag < size // 2 else lag - size)) / RATE_HZ * 1e3


def compare(video: Path, result: redub.Result) -> tuple[bool, Differences]:
    """Return whether all times are the same, and how the samples differ."""
    plan = Plan.load(Path(str(result.plan)))
    found, same_times = Differences(), True
    with av.open(str(video)) as one, av.open(str(result.output)) as other:
        for index, (a, b) in enumerate(zip(one.decode(video=0), other.decode(video=0), strict=True)):
            if index == 0:
                starts = a.pts * a.time_base, b.pts * b.time_base
            same_times &= a.pts * a.time_base - starts[0] == b.pts * b.time_base - starts[1]
            lumas = [sample_views(*unpacked(frame))[0].astype(int) for frame in (a, b)]
            difference = np.abs(lumas[0] - lumas[1])
            where = crop_area(plan, index, difference.shape)
            found.outside += int(difference[~where].any())
            changed = difference[where & (difference > 0)]
            if where.any():
                found.inside.append(float(difference[where].mean()))
                found.percentile.append(float(np.percentile(changed, 99)) if len(changed) else 0.0)
    return same_times, found


def crop_area(plan: Plan, index: int, shape: tuple[int, int]) -> np.ndarray:
    """(H, W) True in the square of the face that is painted in a frame."""
    area = np.zeros(shape, bool)
    y, x = np.mgrid[: shape[0], : shape[1]]
    for one in plan.speaking:
        if one.start <= index < one.stop:
            scale, angle, left, top = plan.crop(one.track).similarities[index - plan.crop(one.track).start]
            u = (np.cos(angle) * (x - left) + np.sin(angle) * (y - top)) / np.exp(scale)
            v = (-np.sin(angle) * (x - left) + np.cos(angle) * (y - top)) / np.exp(scale)
            area |= (u >= 0) & (u <= 1) & (v >= 0) & (v <= 1)
    return area


def main() -> None:
    """Print a Markdown table with a row for each clip."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("clips", type=Path, nargs="+")
    config = Config().set("encode.crf=0").set("encode.preset=ultrafast")
    titles = (
        "clip",
        "frames in, out, painted",
        "same times",
        "changed outside the crop",
        "luma error inside: mean, 99 %",
        "sound late by ms",
    )
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    for clip in options.parse_args().clips:
        with tempfile.TemporaryDirectory() as scratch:
            with av.open(str(clip)) as container:
                frames = sum(1 for _ in container.decode(video=0))
                seconds = float(frames / (container.streams.video[0].average_rate or 25))
            sound = Path(scratch) / "sound.wav"
            samples = make_sound(seconds, sound)
            result = redub.redub(clip, sound, "echo", output=Path(scratch) / "out.mp4", plan=Path(scratch) / "plan", config=config)
            same_times, found = compare(clip, result)
            lag = sound_lag_ms(result.output, samples)
            print(
                f"| {clip.name} | {frames}, {result.frames}, {result.painted_frames} | {'yes' if same_times else 'NO'} | {found.outside} "
                f"| {np.mean(found.inside):.2f}, {np.mean(found.percentile):.0f} | {lag:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
