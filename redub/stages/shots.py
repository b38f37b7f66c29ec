"""shots: video -> times, facts and shots.

A cut is a frame that differs from the last one by much more than the frames around it differ from theirs: an adaptive
threshold, so that pans and hands before the lens do not count (PySceneDetect's ``AdaptiveDetector``, used frame by
frame on the luma of small pictures).  It finds cuts that keep all colours, such as a punch-in on one talker, where
colour histograms (Lienhart 2001) see nothing; docs/flow/1-shots.md has the numbers.  Two cuts in quick succession with
the same picture before and after are a flash.  Between two scenes that fade to black and back, the cut is put into the
black.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from redub.config import ShotConfig
from redub.progress import Tell
from redub.types import Ints, Scan, Shot, VideoFacts

if TYPE_CHECKING:
    from redub.media import VideoReader

SMALL_HEIGHT_PX = 90
"""Height of the pictures that are compared."""
WINDOW_FRAMES = 2
"""Frames before and after that tell what is usual."""
BLANK_DEVIATION = 3.0
"""A picture whose luma varies less than this is black, white or empty."""
EVEN_SHARE = 0.05
"""A frame further than this share of an interval from its place in an even grid makes the rate variable."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cut:
    """A place where the picture changes, with the small pictures around it."""

    index: int
    """First frame after it."""
    before: Any
    after: Any


def find_shots(video: VideoReader, config: ShotConfig, tell: Tell) -> Scan:
    """Look through a whole video once.

    Args:
        video: Read from the first frame to the last.
        config: What counts as a cut, and how short a shot may be.
        tell: Is told of every frame; the total is the container's word, which may be wrong.

    Returns:
        Facts, the time of every frame, and the shots: in order, touching, covering the whole video.

    Raises:
        MediaError: The video cannot be read.
    """
    pts: list[int] = []
    finder = _CutFinder(config)
    end = Fraction(0)
    for frame in video.read():
        finder.look(frame.gray(min(SMALL_HEIGHT_PX, frame.height)))
        pts.append(frame.pts)
        end = frame.time + frame.duration
        tell("shots", len(pts), video.estimated_frames)
    tell("shots", len(pts), len(pts))
    facts = _facts(video, np.array(pts, np.int64), end)
    min_length = max(round(config.min_length_s * float(facts.frame_rate)), 1)
    cuts = without_flashes(finder.finish(), min_length, config.min_difference)
    return Scan(facts=facts, pts=np.array(pts, np.int64), time_base=video.time_base, shots=shots_between(cuts, facts.frames, min_length))


def find_cuts(pictures: Iterable[Any], config: ShotConfig) -> list[Cut]:
    """Find the cuts in small gray pictures (H, W) uint8, all of one size."""
    finder = _CutFinder(config)
    for picture in pictures:
        finder.look(picture)
    return finder.finish()


def without_flashes(cuts: Sequence[Cut], longest: int, min_difference: float) -> list[Cut]:
    """Leave out pairs of cuts, at most ``longest`` frames apart, that lead back to the same picture."""
    kept: list[Cut] = []
    for cut in cuts:
        if kept and cut.index - kept[-1].index <= longest and _difference(kept[-1].before, cut.after) < min_difference:
            kept.pop()
        else:
            kept.append(cut)
    return kept


def shots_between(cuts: Sequence[Cut], frames: int, min_length: int) -> tuple[Shot, ...]:
    """Return the shots between cuts; one that is too short is joined to its successor, the last one to its predecessor."""
    edges = [0]
    for cut in cuts:
        if cut.index - edges[-1] >= min_length:
            edges.append(cut.index)
    if len(edges) > 1 and frames - edges[-1] < min_length:
        edges.pop()
    return tuple(Shot(start=start, stop=stop) for start, stop in pairwise([*edges, frames]))


class _CutFinder:
    """PySceneDetect's detector, which answers some frames late, with the pictures around its answers."""

    def __init__(self, config: ShotConfig) -> None:
        from scenedetect import AdaptiveDetector

        self._detector = AdaptiveDetector(
            adaptive_threshold=config.threshold,
            min_scene_len=1,
            window_width=WINDOW_FRAMES,
            min_content_val=config.min_difference,
            luma_only=True,
        )
        self._count = 0
        self._filled: tuple[int, Any] | None = None
        self._recent: deque[Any] = deque(maxlen=WINDOW_FRAMES + 2)
        self._cuts: list[Cut] = []
        self._fades: list[tuple[int, Cut]] = []

    def look(self, gray: Any) -> None:
        """Take the next picture."""
        from scenedetect import FrameTimecode

        picture = np.repeat(gray[:, :, None], 3, axis=2)
        self._recent.append(gray)
        # The frame rate only formats times here; indices are what counts.
        found = self._detector.process_frame(FrameTimecode(self._count, 25.0), picture)
        for cut in found:
            back = self._count - int(cut.frame_num)
            self._cuts.append(Cut(index=int(cut.frame_num), before=self._recent[-back - 2], after=self._recent[-back - 1]))
        self._note_fade(gray)
        self._count += 1

    def finish(self) -> list[Cut]:
        """Return all cuts in order; in a fade whose picture also changes at once, the sudden change is the cut."""
        sudden = [cut.index for cut in self._cuts]
        soft = [fade for first, fade in self._fades if not any(first - 1 <= index <= 2 * fade.index - first + 1 for index in sudden)]
        return sorted([*self._cuts, *soft], key=lambda cut: cut.index)

    def _note_fade(self, gray: Any) -> None:
        """Note a cut amid frames without a picture, when they are over: something faded out, and something else in."""
        if gray.std() < BLANK_DEVIATION:
            return
        if self._filled is not None and self._count - self._filled[0] > 1:
            first = self._filled[0] + 1
            self._fades.append((first, Cut(index=(first + self._count) // 2, before=self._filled[1], after=gray)))
        self._filled = (self._count, gray)


def _difference(one: Any, other: Any) -> float:
    """Return the mean absolute difference of two pictures, of 255."""
    return float(np.abs(one.astype(np.int16) - other.astype(np.int16)).mean())


def _facts(video: VideoReader, pts: Ints, end: Fraction) -> VideoFacts:
    """Return what was counted, preferring the header's frame rate where it agrees with the times."""
    count = len(pts)
    mean = count / end if end > 0 else video.nominal_rate
    is_as_told = video.nominal_rate > 0 and abs(count / video.nominal_rate - end) <= 2 * video.time_base
    return VideoFacts(
        height=video.height,
        width=video.width,
        frames=count,
        frame_rate=video.nominal_rate if is_as_told else mean,
        duration=end,
        is_variable_rate=is_uneven(pts),
    )


def is_uneven(pts: Ints) -> bool:
    """Say whether frames come at other than even times, beyond the rounding to a tick."""
    if len(pts) < 3:
        return False
    interval = (pts[-1] - pts[0]) / (len(pts) - 1)
    off = np.abs(pts - (pts[0] + interval * np.arange(len(pts))))
    return bool(off.max() > max(1.0, EVEN_SHARE * interval))
