"""lanes: a plan -> a picture of what happens when.

A lane for each track has its extent, when it speaks, how its lips go with the sound, where the face was not seen, and how far
the mouth is open.  Each column of the picture shows the least and the greatest opening within it, so that an hour keeps its
syllables' height.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ImageDraw

from redub.config import SpeakerConfig
from redub.draw.paper import FAINT, GAP_PX, INK, LINE, choose_tracks, clock, font, left_out, new_page, save_page, write_title
from redub.faces.landmarks import mouth_openness
from redub.plan import Plan
from redub.stages.speakers import mean_around
from redub.types import Reading, Track

COLOURS = ((31, 119, 180), (214, 39, 40), (44, 160, 44), (148, 103, 189), (255, 127, 14), (23, 144, 155), (188, 80, 144), (120, 94, 70))
LABEL_PX, LANE_PX, AXIS_PX, SHOTS_PX, WIDTH_PX = 132, 50, 34, 30, 1600
BAND_PX = 5
SUITS, SUITS_NOT = (38, 150, 62), (196, 60, 44)


def timeline(plan: Plan, target: Path) -> Path:
    """Draw shots, tracks, speaking and mouth openness over time.

    Raises:
        PlanError: The picture cannot be written.
    """
    tracks = sorted(choose_tracks(plan), key=lambda track: (track.start, track.id))
    note = left_out(plan, tracks)
    top = 44 + SHOTS_PX + GAP_PX
    canvas, pen = new_page(WIDTH_PX, top + LANE_PX * len(tracks) + AXIS_PX + 24)
    axis = _Axis(plan)
    write_title(pen, plan, note)
    legend = "filled: speaks; curve: mouth; grey below: face not seen"
    if plan.readings:
        legend = "filled: speaks; band below: lips go with the sound (green) or not (red); curve: mouth; grey: not seen"
    pen.text((WIDTH_PX - 20, 15), legend, FAINT, font(12), anchor="ra")
    _draw_shots(pen, plan, axis, 44)
    _draw_axis(pen, axis, 44, top + LANE_PX * len(tracks))
    for row, track in enumerate(tracks):
        _draw_lane(pen, plan, track, axis, top + row * LANE_PX)
    save_page(canvas, target)
    return target


class _Axis:
    """Where a frame's time lies in the picture."""

    def __init__(self, plan: Plan) -> None:
        times = (plan.pts - plan.pts[0]) * float(plan.time_base)
        self.length_s = max(float(plan.facts.duration), 1e-3)
        self.edges = np.append(times, self.length_s)
        self.scale = (WIDTH_PX - LABEL_PX - 20) / self.length_s

    def frame(self, index: int) -> float:
        """Return x of a frame's begin; the number of frames gives the end."""
        return self.second(float(self.edges[index]))

    def second(self, time_s: float) -> float:
        return LABEL_PX + time_s * self.scale

    def ticks(self) -> Iterator[float]:
        """Yield times that a reader likes to read, about ten of them."""
        steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200]
        step = next((value for value in steps if self.length_s / value <= 14), self.length_s / 10)
        yield from np.arange(0, self.length_s + 1e-9, step)


def _draw_shots(pen: ImageDraw.ImageDraw, plan: Plan, axis: _Axis, top: int) -> None:
    pen.text((12, top + 6), f"{len(plan.shots)} shot" + "s" * (len(plan.shots) != 1), INK, font(14))
    for number, shot in enumerate(plan.shots):
        left, right = axis.frame(shot.start), axis.frame(shot.stop)
        pen.rectangle((left, top, max(right - 1, left), top + SHOTS_PX), (196, 200, 206) if number % 2 else (222, 225, 229))
        if right - left > 24:
            pen.text((left + 5, top + 7), str(number + 1), FAINT, font(12))


def _draw_axis(pen: ImageDraw.ImageDraw, axis: _Axis, top: int, bottom: int) -> None:
    for time_s in axis.ticks():
        x = axis.second(time_s)
        pen.line((x, top + SHOTS_PX + 1, x, bottom + 4), LINE)
        pen.text((x, bottom + 6), clock(time_s), FAINT, font(12), anchor="ma")


def _draw_lane(pen: ImageDraw.ImageDraw, plan: Plan, track: Track, axis: _Axis, top: int) -> None:
    colour = COLOURS[track.id % len(COLOURS)]
    bottom = top + LANE_PX - 6 - BAND_PX
    pale = tuple(round(235 + 0.08 * part) for part in colour)
    dark = tuple(part // 2 for part in colour)
    spoken = [one for one in plan.speaking if one.track == track.id]
    share = sum(len(one) for one in spoken) / len(track)
    pen.text((12, top + 3), f"track {track.id}", INK, font(14))
    reading = plan.reading(track.id)
    said = f"  {reading.offset_s:+.2f} s" if spoken and reading is not None and isfinite(reading.offset_s) else ""
    pen.text((12, top + 20), (f"speaks {share:.0%}" if spoken else "silent") + said, colour if spoken else FAINT, font(12))
    pen.rectangle((axis.frame(track.start), top, axis.frame(track.stop), bottom), pale, colour)
    for one in spoken:
        strong = tuple(round(part + 0.62 * (255 - part)) for part in colour)
        pen.rectangle((axis.frame(one.start), top, axis.frame(one.stop), bottom), strong, colour)
    if reading is not None:
        _draw_band(pen, plan, track, reading, axis, bottom + 1)
    for start, stop in _runs(~track.is_measured):
        pen.rectangle((axis.frame(track.start + start), bottom - 3, axis.frame(track.start + stop), bottom), FAINT)
    x, low, high = _envelope(mouth_openness(track.points), axis.edges[track.start : track.stop + 1], axis)
    height = bottom - top - 6
    # Speech stays below 0.4 of the eyes' distance; a yawn is cut off.
    y_low, y_high = (bottom - 3 - np.clip(value / 0.4, 0, 1) * height for value in (low, high))
    pen.line([point for pair in zip(x, y_low, y_high, strict=True) for point in ((pair[0], pair[1]), (pair[0], pair[2]))], dark)


def _draw_band(pen: ImageDraw.ImageDraw, plan: Plan, track: Track, reading: Reading, axis: _Axis, top: int) -> None:
    """Draw below a lane where its lips go with the sound, where not, and nothing where nobody is heard."""
    usual = SpeakerConfig()
    settings = {**asdict(usual), **plan.settings.get("speakers", {})}
    least = float(settings["min_frame_confidence"])
    around = mean_around(reading.frame_confidence, max(1, round(float(settings["window_s"]) * float(plan.facts.frame_rate))))
    for flags, colour in ((around >= least, SUITS), (around < least, SUITS_NOT)):
        for start, stop in _runs(flags):
            pen.rectangle((axis.frame(track.start + start), top, axis.frame(track.start + stop), top + BAND_PX - 2), colour)


def _envelope(values: Any, edges: Any, axis: _Axis) -> tuple[Any, Any, Any]:
    """Return the least and greatest value in each column of the picture that has any."""
    columns = np.floor(LABEL_PX + (edges[:-1] + edges[1:]) / 2 * axis.scale).astype(int)
    starts = np.flatnonzero(np.diff(columns, prepend=columns[0] - 1))
    return columns[starts], np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)


def _runs(flags: Any) -> list[tuple[int, int]]:
    """Return (start, stop) of the stretches in which a flag is set."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
