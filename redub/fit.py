"""fit: lengths of video and sound -> which frame is shown when.

Longer sound extends the video *forwards*: slides, handwriting and gestures that run backwards give a dub away, so
``bounce`` happens only on request.  Shorter sound keeps the whole video unless ``cut`` is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import numpy as np

from redub.config import FitConfig
from redub.types import Fit, Ints, VideoFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One frame of the result."""

    index: int
    """Which source frame is shown."""
    time: Fraction
    duration: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One go through the source, in a fixed direction: source frames ``start, start + step, ...``, ``count`` of them."""

    start: int
    step: int
    """1 forwards, -1 backwards, 0 holds one frame."""
    count: int
    begins: Fraction
    """When its first frame is shown."""
    fade: int = 0
    """Its first frames are mixed over the last ones of the pass before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Which source frame is shown when, in exact time."""

    passes: tuple[Pass, ...]
    pts: Ints
    time_base: Fraction
    facts: VideoFacts
    frames: int
    """Frames of the result."""
    duration: Fraction
    """Length of the result's picture, in seconds."""
    stop: Fraction | None
    """Where the new sound and all other tracks are cut off; None lets them run to their ends."""
    decision: str
    """One line that says what was decided and why."""

    def slots(self, one: Pass) -> Iterator[Slot]:
        """Yield the frames of one pass in shown order."""
        time = one.begins
        for i in range(one.count):
            index = one.start + i * one.step
            duration = 1 / self.facts.frame_rate if one.step == 0 else self.shown_for(index)
            yield Slot(index=index, time=time, duration=duration)
            time += duration

    def shown_for(self, index: int) -> Fraction:
        """Return how long a source frame stands, in seconds."""
        return frame_duration(self.pts, self.time_base, self.facts, index)


def frame_duration(pts: Ints, time_base: Fraction, facts: VideoFacts, index: int) -> Fraction:
    """Return how long a source frame stands: to its successor, or for the last one to the video's end."""
    if index + 1 < len(pts):
        return int(pts[index + 1] - pts[index]) * time_base
    return facts.duration - int(pts[index] - pts[0]) * time_base


def fit_lengths(pts: Ints, time_base: Fraction, facts: VideoFacts, sound: Fraction, config: FitConfig) -> Timeline:
    """Decide which frames are shown for a sound of the given length.

    Args:
        pts: (T,) presentation times of the source's frames.
        time_base: Seconds of one tick.
        facts: The source's picture.
        sound: Length of the new sound in seconds.
        config: The policy and the length of a cross-fade.

    Returns:
        A timeline whose picture ends at the sound's end or less than a frame behind it, except where shorter sound
        keeps the whole video.
    """
    video = facts.duration
    whole = Pass(start=0, step=1, count=facts.frames, begins=Fraction(0))
    lengths = f"sound {_clock(sound)}, video {_clock(video)}"
    slack = 1 / facts.frame_rate
    # Where frames stand for different lengths, the last one may be shorter than a frame is on average.
    last = min(slack, frame_duration(pts, time_base, facts, facts.frames - 1))
    stop: Fraction | None = None
    if sound <= video and (config.mode is not Fit.CUT or video - sound < last):
        passes = [whole]
        rest = "" if video - sound < slack else "; the mouth rests after the sound ends"
        decision = f"{lengths}: the whole video is kept{rest}"
    elif sound < video:
        passes, stop, decision = [_until(whole, pts, time_base, facts, sound)], sound, f"{lengths}: the video is cut at the sound's end"
    elif config.mode is Fit.CUT:
        passes, stop, decision = [whole], video, f"{lengths}: the sound is cut at the video's end"
    elif sound - video < slack:
        passes, decision = _hold(whole, facts, sound), f"{lengths}: alike to within a frame"
    elif config.mode is Fit.HOLD:
        passes, decision = _hold(whole, facts, sound), f"{lengths}: the last frame is held for {_clock(sound - video)}"
    else:
        passes = _repeat(whole, pts, time_base, facts, sound, config)
        how = "starts over" if config.mode is Fit.LOOP else "runs backwards and forwards"
        decision = f"{lengths}: the video {how} until the sound ends"
    return _timeline(passes, pts, time_base, facts, stop, decision)


def _timeline(passes: list[Pass], pts: Ints, time_base: Fraction, facts: VideoFacts, stop: Fraction | None, decision: str) -> Timeline:
    frames = sum(one.count for one in passes) - sum(one.fade for one in passes)
    last = passes[-1]
    draft = Timeline(
        passes=tuple(passes),
        pts=pts,
        time_base=time_base,
        facts=facts,
        frames=frames,
        duration=Fraction(0),
        stop=stop,
        decision=decision,
    )
    if last.step == 0:
        end = last.begins + last.count / facts.frame_rate
    else:
        final = last.start + (last.count - 1) * last.step
        low, high = sorted((last.start, final))
        end = last.begins + int(pts[high] - pts[low]) * time_base + draft.shown_for(high)
    return Timeline(
        passes=tuple(passes), pts=pts, time_base=time_base, facts=facts, frames=frames, duration=end, stop=stop, decision=decision
    )


def _hold(whole: Pass, facts: VideoFacts, sound: Fraction) -> list[Pass]:
    missing = ceil((sound - facts.duration) * facts.frame_rate)
    held = Pass(start=whole.count - 1, step=0, count=missing, begins=facts.duration)
    return [whole, held] if missing > 0 else [whole]


def _until(one: Pass, pts: Ints, time_base: Fraction, facts: VideoFacts, end: Fraction) -> Pass:
    """Shorten a pass to the frames that begin before ``end``; at least one stays."""
    ticks = (end - one.begins) / time_base
    if one.step > 0:
        count = int(np.searchsorted(pts[one.start : one.start + one.count] - pts[one.start], ceil(ticks), side="left"))
    else:
        # Backwards, frame i begins when all frames above it have stood.
        ends = np.append(pts[1:], pts[0] + round(facts.duration / time_base))
        low = one.start - one.count + 1
        count = int(np.searchsorted(ends[one.start] - ends[low : one.start + 1][::-1], ceil(ticks), side="left"))
    return Pass(start=one.start, step=one.step, count=max(1, min(count, one.count)), begins=one.begins, fade=min(one.fade, max(1, count)))


def _repeat(whole: Pass, pts: Ints, time_base: Fraction, facts: VideoFacts, sound: Fraction, config: FitConfig) -> list[Pass]:
    passes, end = [whole], facts.duration
    # A fade of more than a third of the video would leave hardly a frame unmixed.
    fade = min(round(config.crossfade_s * facts.frame_rate), facts.frames // 3) if config.mode is Fit.LOOP else 0
    turning = facts.frames > 1
    while end < sound:
        if config.mode is Fit.LOOP or not turning:
            begins = end - _span(pts, time_base, facts, facts.frames - fade, facts.frames)
            following = Pass(start=0, step=1, count=facts.frames, begins=begins, fade=fade)
        elif passes[-1].step > 0:
            # The frame at the turn is not shown twice.
            following = Pass(start=facts.frames - 2, step=-1, count=facts.frames - 1, begins=end)
        else:
            following = Pass(start=1, step=1, count=facts.frames - 1, begins=end)
        low = min(following.start, following.start + (following.count - 1) * following.step)
        end = following.begins + _span(pts, time_base, facts, low, low + following.count)
        passes.append(_until(following, pts, time_base, facts, sound) if end > sound else following)
    return passes


def _span(pts: Ints, time_base: Fraction, facts: VideoFacts, start: int, stop: int) -> Fraction:
    """Return how long the source frames ``start <= index < stop`` stand together."""
    if start >= stop:
        return Fraction(0)
    return int(pts[stop - 1] - pts[start]) * time_base + frame_duration(pts, time_base, facts, stop - 1)


def _clock(seconds: Fraction) -> str:
    minutes, rest = divmod(float(seconds), 60)
    return f"{int(minutes)}:{rest:05.2f}" if minutes else f"{rest:.2f} s"
