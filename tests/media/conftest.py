"""Clips made from code: every frame carries its own number, so that a test sees which one it was given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

BITS = 6


def draw(number: int, height: int, width: int) -> np.ndarray:
    """Draw (H, W, 3) with the number as bright and dark bars on top, colours below, red at the top left."""
    picture = np.zeros((height, width, 3), np.uint8)
    rows, columns = np.mgrid[:height, :width]
    picture[..., 0] = 60 + 120 * columns // width
    picture[..., 1] = 60 + 120 * rows // height
    picture[..., 2] = 90 + (number * 7) % 60
    bar = width // (BITS + 2)
    for bit in range(BITS):
        picture[: height // 3, bar * (bit + 1) : bar * (bit + 2)] = 230 if number >> bit & 1 else 25
    picture[: height // 3, :bar] = (220, 30, 30)
    return picture


def number_of(picture: np.ndarray) -> int:
    """Read the number from an upright picture."""
    height, width = picture.shape[:2]
    bar = width // (BITS + 2)
    middles = [
        picture[height // 6 - 2 : height // 6 + 2, bar * (bit + 1) + bar // 3 : bar * (bit + 2) - bar // 3].mean() for bit in range(BITS)
    ]
    return sum(int(value > 128) << bit for bit, value in enumerate(middles))


@dataclass(kw_only=True)
class Recipe:
    """What a made clip is like."""

    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    size: tuple[int, int] = (96, 160)
    rate: Fraction = Fraction(25)
    time_base: Fraction | None = None
    pts: Sequence[int] | None = None
    """In ``time_base``; by default one frame after another at ``rate``."""
    frames: int = 30
    options: dict[str, str] = field(default_factory=dict)
    gop: int = 8
    rotation: int = 0
    """Clockwise."""
    sample_aspect: Fraction | None = None
    colour: tuple[int, int, int, int] = (2, 2, 2, 0)
    """Matrix, primaries, transfer, range."""
    sounds: Sequence[dict[str, Any]] = ()
    """``codec``, ``rate``, ``samples`` (channels, N) float, ``tags``, ``start`` in seconds."""
    subtitles: str = ""
    """Codec of a text track with two lines."""
    tags: dict[str, str] = field(default_factory=dict)
    chapters: Sequence[tuple[Fraction, Fraction, str]] = ()


def write_clip(path: Path, recipe: Recipe, pictures: Sequence[np.ndarray] | None = None) -> list[int]:
    """Make a clip; return the pts that were asked for."""
    base = recipe.time_base or 1 / recipe.rate
    pts = list(recipe.pts) if recipe.pts is not None else [round(i / recipe.rate / base) for i in range(recipe.frames)]
    height, width = recipe.size
    with av.open(str(path), "w") as output:
        video = output.add_stream(recipe.codec, rate=recipe.rate, options=recipe.options)
        video.height, video.width, video.pix_fmt = height, width, recipe.pix_fmt
        video.codec_context.time_base = base
        video.codec_context.gop_size = recipe.gop
        matrix, primaries, transfer, spread = recipe.colour
        video.codec_context.colorspace, video.codec_context.color_primaries = matrix, primaries
        video.codec_context.color_trc, video.codec_context.color_range = transfer, spread
        if recipe.sample_aspect:
            video.codec_context.sample_aspect_ratio = recipe.sample_aspect
        if recipe.rotation:
            video.set_display_rotation(-recipe.rotation)
        sounds = [_add_sound(output, sound) for sound in recipe.sounds]
        text = _add_text(output, recipe.subtitles) if recipe.subtitles else None
        output.metadata.update(recipe.tags)
        if recipe.chapters:
            output.set_chapters([
                {"id": i, "start": int(a * 1000), "end": int(b * 1000), "time_base": Fraction(1, 1000), "metadata": {"title": title}}
                for i, (a, b, title) in enumerate(recipe.chapters)
            ])  # fmt: skip
        for sound, stream in zip(recipe.sounds, sounds, strict=True):
            _write_sound(output, stream, sound)
        for i, tick in enumerate(pts):
            rgb = draw(i, height, width) if pictures is None else pictures[i]
            turned = np.ascontiguousarray(np.rot90(rgb, recipe.rotation // 90))
            frame = av.VideoFrame.from_ndarray(turned, "rgb24").reformat(
                format=recipe.pix_fmt, dst_colorspace=matrix if matrix != 2 else None, dst_color_range=spread or 1, src_color_range=2
            )
            frame.pts, frame.time_base = tick, base
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        if text is not None:
            _write_text(output, text)
    return pts


def _add_sound(output: Any, sound: dict[str, Any]) -> Any:
    stream = output.add_stream(sound.get("codec", "aac"), rate=sound.get("rate", 48_000))
    stream.layout = {1: "mono", 2: "stereo", 6: "5.1"}[sound["samples"].shape[0]]
    stream.metadata.update(sound.get("tags", {}))
    return stream


def _write_sound(output: Any, stream: Any, sound: dict[str, Any]) -> None:
    rate = sound.get("rate", 48_000)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound["samples"], np.float32), "fltp", stream.layout.name)
    frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
    frame.pts = round(sound.get("start", 0) * rate)
    output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


_HEADER = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, \
ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def _add_text(output: Any, codec: str) -> Any:
    stream = output.add_stream(codec)
    stream.codec_context.subtitle_header = _HEADER
    stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
    stream.metadata["language"] = "deu"
    return stream


def _write_text(output: Any, stream: Any) -> None:
    from av.subtitles.subtitle import SubtitleSet

    for i, (begin, words) in enumerate([(200, b"Guten Tag"), (700, b"Auf Wiedersehen")]):
        packet = stream.codec_context.encode_subtitle(SubtitleSet.create(b"%d,0,Default,,0,0,0,," % i + words, 0, 300, begin))
        packet.pts = packet.dts = begin
        packet.duration, packet.time_base, packet.stream = 300, Fraction(1, 1000), stream
        output.mux(packet)


def speak(seconds: float, rate: int = 48_000, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Make (channels, N) of noise with syllables, whose place in time a correlation finds to the sample."""
    count = round(seconds * rate)
    noise = np.random.default_rng(seed).standard_normal(count)
    noise = np.convolve(noise, np.hanning(9) / 4, "same")
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 3.1 * np.arange(count) / rate)
    return np.tile((0.2 * noise * syllables).astype(np.float32), (channels, 1))


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., Path]:
    """Return ``make(name, **recipe) -> path``."""

    def make(name: str = "clip.mp4", pictures: Sequence[np.ndarray] | None = None, **recipe: Any) -> Path:
        path = tmp_path / name
        write_clip(path, Recipe(**recipe), pictures)
        return path

    return make


@pytest.fixture
def make_sound(tmp_path: Path) -> Callable[..., Path]:
    """Return ``make(name, samples, rate, codec) -> path``."""

    def make(name: str, samples: np.ndarray, rate: int = 48_000, codec: str = "pcm_s16le", start: float = 0) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as output:
            sound = {"codec": codec, "rate": rate, "samples": samples, "start": start}
            _write_sound(output, _add_sound(output, sound), sound)
        return path

    return make


@pytest.fixture
def number_in() -> Callable[[np.ndarray], int]:
    """Return the function that reads a frame's number from its picture."""
    return number_of


@pytest.fixture
def drawn() -> Callable[[int, int, int], np.ndarray]:
    """Return the function that draws a numbered picture."""
    return draw


@pytest.fixture
def speaking() -> Callable[..., np.ndarray]:
    """Return the function that makes noise with syllables."""
    return speak


@pytest.fixture
def lag_of() -> Callable[[np.ndarray, np.ndarray], int]:
    """Return the function that says by how many samples the first sound is behind the second."""

    def lag(late: np.ndarray, early: np.ndarray) -> int:
        size = len(late) + len(early)
        product = np.fft.rfft(late, size) * np.conj(np.fft.rfft(early, size))
        peak = int(np.argmax(np.fft.irfft(product, size)))
        return peak if peak < size // 2 else peak - size

    return lag
