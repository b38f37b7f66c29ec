"""talking: stills of a face, or weights of a person; sound -> a video in which they say that.

The paper's first use.  The first still becomes a video of one frame with a plan of one shot and one face, and `render`
holds that frame for as long as the sound lasts, with a living mouth: there is no second path.  A generator of whole pictures
needs no still: its frame is blank, and painted all over.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from redub.blending import choose_blend
from redub.config import Config, FitConfig
from redub.errors import RedubError, WeightError
from redub.files import check_file
from redub.media import Frame, check_can_write, check_sound, open_video
from redub.media.place import check_target
from redub.media.still import RATE_HZ, still_frame, write_film
from redub.pipeline import Result, render
from redub.plan import Plan, fingerprint
from redub.plugin import Region, manager
from redub.progress import Tell, silent
from redub.stills import MAX_SIDE_PX, Images, Still, check_takes_stills, listed, load_stills
from redub.types import Blend, CropPath, Shot, Speaking, Track, VideoFacts
from redub.weights import read_facts

LEAST_SIDE_PX, MOST_SIDE_PX = 64, 4096
MOST_RATE_HZ = 240


def speak(  # noqa: PLR0913  what a user may say of a run
    images: Images,
    audio: Path | str,
    generator: str = "speech2vid",
    *,
    weights: Path | str = "",
    output: Path | str | None = None,
    config: Config | None = None,
    blend: Blend | None = None,
    max_side_px: int = MAX_SIDE_PX,
    device: str = "auto",
    force: bool = False,
    tell: Tell = silent,
) -> Result:
    """Make a talking video of 25 frames a second from one to five photographs of a face.

    Args:
        images: JPEG or PNG files.  The first is the picture that is painted on; all of them show the generator whose
            mouth it is.  None for a generator of whole pictures, which knows whom it paints.
        audio: What is said, in any format that FFmpeg reads; the video is as long.
        generator: A name from ``redub plugins``.
        weights: As for `redub.redub`.
        output: Where the result goes; by default ``IMAGE.AUDIO.mp4`` beside the first picture, or ``WEIGHTS.AUDIO.mp4`` beside the sound.
        config: Its blend and encode settings count, and what finds landmarks.
        blend: The blending; by default as for `redub.redub`, so ``poisson``.
        max_side_px: Larger pictures are scaled down to it.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        force: Replace a result that exists.
        tell: Is told of the progress.

    Raises:
        RedubError: With what to do about it.
    """
    entry = manager.find(generator)
    usual = (config or Config()).blend.mode
    mode = choose_blend(entry, blend, usual, [], learns=False, named=str(weights))
    manager.check_ready(generator, mode, str(weights))
    if entry.info.region is Region.FRAME and isinstance(images, list | tuple) and not images:
        return _speak_blank(
            entry, Path(audio), str(weights), output=output, config=config, blend=mode, device=device, force=force, tell=tell
        )
    paths = [image.path if isinstance(image, Still) else image for image in listed(images)]
    # Held for as long as the sound lasts, whatever a settings file for videos says.
    config, audio = replace(config or Config(), fit=FitConfig()), check_file(Path(audio), "sound")
    if not LEAST_SIDE_PX <= max_side_px <= MOST_SIDE_PX:
        raise RedubError(f"A longer side of {max_side_px} px cannot be.", f"Give {LEAST_SIDE_PX} to {MOST_SIDE_PX}.")
    check_takes_stills(entry.info)
    check_sound(audio)
    stills = load_stills(images, max_side_px, config.tracks.landmarks)
    target = Path(output) if output is not None else paths[0].with_name(f"{paths[0].stem}.{audio.stem}.mp4")
    check_target(target, [*paths, audio], force=force)
    check_can_write(target, config.encode)
    with tempfile.TemporaryDirectory(prefix="redub.") as folder:
        film = Path(folder) / f"{paths[0].stem[:40]}.mkv"
        write_film(stills[0].frame, film)
        result = render(
            _plan(film, stills[0], config), film, audio, generator,
            weights=weights, output=target, config=config, blend=blend, identity=stills, device=device, force=force, tell=tell,
        )  # fmt: skip
    frame = stills[0].frame
    decision = f"{paths[0].name} at {frame.width} x {frame.height} px is shown for {float(result.duration):.2f} s, as long as the sound"
    return replace(result, plan=None, decision=decision)


def _speak_blank(  # noqa: PLR0913  what a user may say of a run
    entry: manager.Entry,
    audio: Path,
    weights: str,
    *,
    output: Path | str | None,
    config: Config | None,
    blend: Blend,
    device: str,
    force: bool,
    tell: Tell,
) -> Result:
    """Paint a whole video from sound alone, at the generator's own size and the rate that its weights were trained at."""
    config, audio = replace(config or Config(), fit=FitConfig()), check_file(audio, "sound")
    check_sound(audio)
    mode = entry.info.modes[blend]
    file = next(iter(manager.find_weights(entry, blend, weights).values()))
    name = Path(weights).stem if weights else entry.info.name
    target = Path(output) if output is not None else audio.with_name(f"{name}.{audio.stem}.mp4")
    check_target(target, [audio], force=force)
    check_can_write(target, config.encode)
    rate = _rate(file)
    with tempfile.TemporaryDirectory(prefix="redub.") as folder:
        film = Path(folder) / "blank.mkv"
        frame = still_frame(np.full((mode.output_px, mode.output_px, 3), 128, np.uint8))
        write_film(frame, film, rate)
        result = render(
            _blank_plan(film, frame, rate), film, audio, entry.info.name, weights=weights,
            output=target, config=config, blend=blend, device=device, force=force, is_blank=True, tell=tell,
        )  # fmt: skip
    decision = (
        f"{name} speaks for {float(result.duration):.2f} s, as long as the sound, at {mode.output_px} px and {float(rate):.2f} frames/s"
    )
    return replace(result, plan=None, decision=decision)


def _rate(weights: Path) -> Fraction:
    """Return the frame rate that weights were trained at, as they say it."""
    try:
        rate = Fraction(read_facts(weights).get("frame_rate", str(RATE_HZ)))
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 1 <= rate <= MOST_RATE_HZ:
        raise WeightError(f"The weights {weights} name no frame rate that can be.", "Get them again, or train them anew.")
    return rate


def _blank_plan(film: Path, frame: Frame, rate: Fraction) -> Plan:
    with open_video(film) as reader:
        time_base, start = reader.time_base, next(iter(reader.read())).pts
    facts = VideoFacts(
        height=frame.height, width=frame.width, frames=1, frame_rate=rate, duration=1 / rate, is_variable_rate=False
    )  # fmt: skip
    return Plan(
        source=fingerprint(film), facts=facts, pts=np.array([start]), time_base=time_base, shots=(Shot(start=0, stop=1),),
        tracks=(), crops=(), speaking=(), settings={},
    )  # fmt: skip


def _plan(film: Path, still: Still, config: Config) -> Plan:
    """Describe a video of one frame: one shot, one face, which speaks."""
    with open_video(film) as reader:
        time_base, start = reader.time_base, next(iter(reader.read())).pts
    facts = VideoFacts(
        height=still.frame.height,
        width=still.frame.width,
        frames=1,
        frame_rate=RATE_HZ,
        duration=Fraction(1, RATE_HZ),
        is_variable_rate=False,
    )
    track = Track(id=1, start=0, boxes=still.box[None], points=still.points[None], is_measured=np.array([True]))
    return Plan(
        source=fingerprint(film),
        facts=facts,
        pts=np.array([start]),
        time_base=time_base,
        shots=(Shot(start=0, stop=1),),
        tracks=(track,),
        crops=(CropPath(track=1, start=0, similarities=still.similarity[None], references=(0,) * 5),),
        speaking=(Speaking(track=1, start=0, stop=1),),
        settings=config.analysis_settings(),
    )
