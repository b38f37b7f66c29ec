"""draw: a plan -> pictures that show whether it is right.

A contact sheet shows where faces, landmarks and crops were seen; a timeline shows when.  Both are for looking at before a
long render, so they stay at a sane size however long the video is: what is left out is said in the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from redub.errors import PlanError
from redub.faces.crop import take_crop
from redub.faces.cv import load_cv
from redub.faces.geometry import apply_similarity
from redub.faces.landmarks import mouth_openness
from redub.media import open_video
from redub.plan import Plan
from redub.types import RGB, CropPath, Floats, Track

MOST_TRACKS = 40
TRACKS_A_PAGE = 10
STILL_SIZE = (270, 480)
STILLS_PX = 1464
"""The stills of a track share this width: three of a wide video, more of a tall one."""
CROP_PX = 131
GAP_PX = 8
PAPER, INK, FAINT, LINE = (250, 250, 248), (30, 30, 34), (120, 120, 126), (214, 214, 212)
BOX, POINTS, CROP = (255, 176, 0), (0, 255, 140), (0, 176, 255)
COLOURS = ((31, 119, 180), (214, 39, 40), (44, 160, 44), (148, 103, 189), (255, 127, 14), (23, 144, 155), (188, 80, 144), (120, 94, 70))

LABEL_PX, LANE_PX, AXIS_PX, SHOTS_PX, WIDTH_PX = 132, 44, 34, 30, 1600


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One small picture of a sheet."""

    track: Track
    path: CropPath
    index: int
    is_crop: bool


def contact_sheet(plan: Plan, video: Path, target: Path) -> list[Path]:
    """Draw every track's face, landmarks and crop over frames of the video, and its five stills.

    Args:
        plan: At most `MOST_TRACKS` of its tracks are drawn: the ones that speak longest, then the longest.
        video: The file that the plan was made for.
        target: Where the first page is written; further ones get ``-2``, ``-3`` before the suffix.

    Returns:
        The pages.

    Raises:
        MediaError: The video cannot be read.
        PlanError: A page cannot be written.
    """
    tracks = _chosen(plan)
    pages = []
    for number in range(max(1, ceil(len(tracks) / TRACKS_A_PAGE))):
        shown = tracks[number * TRACKS_A_PAGE : (number + 1) * TRACKS_A_PAGE]
        path = target if number == 0 else target.with_name(f"{target.stem}-{number + 1}{target.suffix}")
        _save(_page(plan, video, shown, _left_out(plan, tracks)), path)
        pages.append(path)
    return pages


def timeline(plan: Plan, target: Path) -> Path:
    """Draw shots, tracks, speaking and mouth openness over time.

    Raises:
        PlanError: The picture cannot be written.
    """
    tracks = sorted(_chosen(plan), key=lambda track: (track.start, track.id))
    note = _left_out(plan, tracks)
    top = 44 + SHOTS_PX + GAP_PX
    canvas, pen = _paper(WIDTH_PX, top + LANE_PX * len(tracks) + AXIS_PX + 24)
    axis = _Axis(plan)
    _title(pen, plan, note)
    legend = "filled: speaks; curve: how far the mouth is open; grey line below: face not seen"
    pen.text((WIDTH_PX - 20, 15), legend, FAINT, _font(12), anchor="ra")
    _draw_shots(pen, plan, axis, 44)
    _draw_axis(pen, axis, 44, top + LANE_PX * len(tracks))
    for row, track in enumerate(tracks):
        _draw_lane(pen, plan, track, axis, top + row * LANE_PX)
    _save(canvas, target)
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
    pen.text((12, top + 6), f"{len(plan.shots)} shot" + "s" * (len(plan.shots) != 1), INK, _font(14))
    for number, shot in enumerate(plan.shots):
        left, right = axis.frame(shot.start), axis.frame(shot.stop)
        pen.rectangle((left, top, max(right - 1, left), top + SHOTS_PX), (196, 200, 206) if number % 2 else (222, 225, 229))
        if right - left > 24:
            pen.text((left + 5, top + 7), str(number + 1), FAINT, _font(12))


def _draw_axis(pen: ImageDraw.ImageDraw, axis: _Axis, top: int, bottom: int) -> None:
    for time_s in axis.ticks():
        x = axis.second(time_s)
        pen.line((x, top + SHOTS_PX + 1, x, bottom + 4), LINE)
        pen.text((x, bottom + 6), clock(time_s), FAINT, _font(12), anchor="ma")


def _draw_lane(pen: ImageDraw.ImageDraw, plan: Plan, track: Track, axis: _Axis, top: int) -> None:
    colour = COLOURS[track.id % len(COLOURS)]
    bottom = top + LANE_PX - 6
    pale = tuple(round(235 + 0.08 * part) for part in colour)
    dark = tuple(part // 2 for part in colour)
    spoken = [one for one in plan.speaking if one.track == track.id]
    share = sum(len(one) for one in spoken) / len(track)
    pen.text((12, top + 3), f"track {track.id}", INK, _font(14))
    pen.text((12, top + 20), f"speaks {share:.0%}" if spoken else "silent", colour if spoken else FAINT, _font(12))
    pen.rectangle((axis.frame(track.start), top, axis.frame(track.stop), bottom), pale, colour)
    for one in spoken:
        strong = tuple(round(part + 0.62 * (255 - part)) for part in colour)
        pen.rectangle((axis.frame(one.start), top, axis.frame(one.stop), bottom), strong, colour)
    for start, stop in _runs(~track.is_measured):
        pen.rectangle((axis.frame(track.start + start), bottom - 3, axis.frame(track.start + stop), bottom), FAINT)
    x, low, high = _envelope(mouth_openness(track.points), axis.edges[track.start : track.stop + 1], axis)
    height = bottom - top - 6
    # Speech stays below 0.4 of the eyes' distance; a yawn is cut off.
    y_low, y_high = (bottom - 3 - np.clip(value / 0.4, 0, 1) * height for value in (low, high))
    pen.line([point for pair in zip(x, y_low, y_high, strict=True) for point in ((pair[0], pair[1]), (pair[0], pair[2]))], dark)


def _envelope(values: Any, edges: Any, axis: _Axis) -> tuple[Any, Any, Any]:
    """Return the least and greatest value in each column of the picture that has any."""
    columns = np.floor(LABEL_PX + (edges[:-1] + edges[1:]) / 2 * axis.scale).astype(int)
    starts = np.flatnonzero(np.diff(columns, prepend=columns[0] - 1))
    return columns[starts], np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)


def _runs(flags: Any) -> list[tuple[int, int]]:
    """Return (start, stop) of the stretches in which a flag is set."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _page(plan: Plan, video: Path, tracks: list[Track], note: str) -> Image.Image:
    """Draw one page; the frames of all its tracks are read in one go, and only the small pictures are kept."""
    columns = 3
    step = _still_size(plan)[1] + GAP_PX
    crops_left = 12 + _stills(plan) * step
    band = STILL_SIZE[0] + 2 * GAP_PX + 26
    canvas, pen = _paper(12 + STILLS_PX + columns * (CROP_PX + GAP_PX) + 12, 44 + max(band * len(tracks), 40))
    _title(pen, plan, note)
    _legend(pen, canvas.width - 24)
    if not tracks:
        pen.text((12, 44), "No face was found.", INK, _font(16))
        return canvas
    pictures = _pictures(plan, video, tracks)
    for row, track in enumerate(tracks):
        top = 44 + row * band
        pen.line((12, top, canvas.width - 12, top), LINE)
        pen.text((12, top + 5), _caption(plan, track), INK, _font(15))
        stills = [(job, picture) for job, picture in pictures if job.track is track and not job.is_crop]
        crops = [(job, picture) for job, picture in pictures if job.track is track and job.is_crop]
        for i, (job, picture) in enumerate(stills):
            left = 12 + i * step
            canvas.paste(Image.fromarray(picture), (left, top + 28))
            _label(pen, (left + 4, top + 32), clock(_time_s(plan, job.index)))
        openness = mouth_openness(track.points)
        for i, (job, picture) in enumerate(crops):
            left = crops_left + i % columns * (CROP_PX + GAP_PX)
            place = (left, top + 28 + i // columns * (CROP_PX + GAP_PX))
            canvas.paste(Image.fromarray(picture), place)
            _label(pen, (place[0] + 4, place[1] + 4), f"open {openness[job.index - track.start]:.2f}")
    return canvas


def _pictures(plan: Plan, video: Path, tracks: list[Track]) -> list[tuple[_Job, RGB]]:
    jobs = []
    for track in tracks:
        path = plan.crop(track.id)
        # The middles of equal parts: ends are where a face comes and goes.
        count = _stills(plan)
        stills = sorted({track.start + int((i + 0.5) / count * len(track)) for i in range(count)})
        jobs += [_Job(track=track, path=path, index=index, is_crop=False) for index in stills]
        jobs += [_Job(track=track, path=path, index=index, is_crop=True) for index in path.references]
    wanted: dict[int, list[int]] = {}
    for number, job in enumerate(jobs):
        wanted.setdefault(job.index, []).append(number)
    drawn: dict[int, RGB] = {}
    with open_video(video, plan.pts) as reader:
        for frame in reader.pick(sorted(wanted)):
            for number in wanted[frame.index]:
                job = jobs[number]
                similarity = job.path.similarities[frame.index - job.path.start]
                if job.is_crop:
                    drawn[number] = take_crop(frame, similarity, CROP_PX)
                else:
                    drawn[number] = _still(frame.rgb(), job, similarity, _still_size(plan))
    return [(jobs[number], picture) for number, picture in sorted(drawn.items())]


def _still_size(plan: Plan) -> tuple[int, int]:
    """Return (height, width) of a shrunken frame."""
    height, width = plan.facts.height, plan.facts.width
    scale = min(STILL_SIZE[0] / height, STILL_SIZE[1] / width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _stills(plan: Plan) -> int:
    return min(8, STILLS_PX // (_still_size(plan)[1] + GAP_PX))


def _still(rgb: RGB, job: _Job, similarity: Any, size: tuple[int, int]) -> RGB:
    """Shrink a frame, and draw the face's box, landmarks and canonical square onto it."""
    cv2 = load_cv()
    scale = size[0] / rgb.shape[0]
    small = np.ascontiguousarray(cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC))
    row = job.index - job.track.start
    left, top, right, bottom = job.track.boxes[row]
    is_seen = bool(job.track.is_measured[row])
    _outline(cv2, small, np.array([[left, top], [right, top], [right, bottom], [left, bottom]]) * scale, BOX if is_seen else FAINT)
    _outline(cv2, small, apply_similarity(similarity, np.array([[0, 0], [1, 0], [1, 1], [0, 1]])) * scale, CROP)
    # In sixteenths of a pixel: the dots of a small face must not melt into one.
    radius = int(np.clip((right - left) * scale / 5, 4, 20))
    for x, y in _subpixels(job.track.points[row] * scale):
        cv2.circle(small, (int(x), int(y)), radius, POINTS, -1, cv2.LINE_AA, 4)
    return np.asarray(small)


def _outline(cv2: Any, picture: RGB, corners: Any, colour: tuple[int, int, int]) -> None:
    cv2.polylines(picture, [_subpixels(corners)], isClosed=True, color=colour, thickness=1, lineType=cv2.LINE_AA, shift=4)


def _subpixels(points: Any) -> Any:
    """Return points as OpenCV draws them with ``shift=4``, kept where a 32-bit number holds them."""
    return np.rint(np.clip(points, -4000, 8000) * 16).astype(np.int32)


def _chosen(plan: Plan) -> list[Track]:
    spoken = {track.id: sum(len(one) for one in plan.speaking if one.track == track.id) for track in plan.tracks}
    ranked = sorted(plan.tracks, key=lambda track: (-spoken[track.id], -len(track), track.id))
    return sorted(ranked[:MOST_TRACKS], key=lambda track: track.id)


def _left_out(plan: Plan, shown: list[Track]) -> str:
    missing = len(plan.tracks) - len(shown)
    return f"{missing} of {len(plan.tracks)} tracks left out: the ones that speak least" if missing else ""


def _caption(plan: Plan, track: Track) -> str:
    spoken = sum(len(one) for one in plan.speaking if one.track == track.id)
    begin, end = _time_s(plan, track.start), _time_s(plan, track.stop - 1)
    size = float(face_sizes_px(track).mean())
    seen = f"{clock(begin)} to {clock(end)}    {len(track)} frames    face {size:.0f} px"
    return f"track {track.id}    {seen}    speaks {spoken / len(track):.0%}"


def face_sizes_px(track: Track) -> Floats:
    """Return the width of a face in each frame: the mean of its box's sides, (T,) px."""
    sides: Floats = (track.boxes[:, 2:] - track.boxes[:, :2]).mean(axis=1)
    return sides


def clock(time_s: float) -> str:
    """Return a time as people write it: ``12.4 s``, or ``3:05`` from a minute on."""
    if time_s < 59.95:
        return f"{time_s:.1f} s"
    minutes, seconds = divmod(round(time_s), 60)
    return f"{minutes}:{seconds:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def _time_s(plan: Plan, index: int) -> float:
    return float(int(plan.pts[index] - plan.pts[0]) * plan.time_base)


def _title(pen: ImageDraw.ImageDraw, plan: Plan, note: str) -> None:
    facts = plan.facts
    said = f"{facts.width} x {facts.height} px, {float(facts.frame_rate):.2f} frames/s, {clock(float(facts.duration))}"
    name = plan.source.name if len(plan.source.name) <= 70 else plan.source.name[:67] + "..."
    pen.text((12, 12), name, INK, _font(18))
    pen.text((24 + pen.textlength(name, _font(18)), 15), f"{said}    {note}", FAINT, _font(14))


def _legend(pen: ImageDraw.ImageDraw, right: float) -> None:
    for name, colour in (("crop", CROP), ("landmarks", POINTS), ("face (grey: not seen)", BOX)):
        right -= pen.textlength(name, _font(12))
        pen.text((right, 16), name, FAINT, _font(12))
        pen.rectangle((right - 16, 18, right - 6, 28), colour, FAINT)
        right -= 32


def _label(pen: ImageDraw.ImageDraw, place: tuple[int, int], text: str) -> None:
    """Write on a picture, on a dark ground that any picture lets read."""
    left, top, right, bottom = pen.textbbox(place, text, _font(12))
    pen.rectangle((left - 3, top - 2, right + 3, bottom + 2), (20, 20, 22))
    pen.text(place, text, (255, 255, 255), _font(12))


def _paper(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    canvas = Image.new("RGB", (width, height), PAPER)
    return canvas, ImageDraw.Draw(canvas)


def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _save(picture: Image.Image, target: Path) -> None:
    try:
        picture.save(target, format="PNG")
    except OSError as error:
        raise PlanError(f"The picture {target} cannot be written: {error.strerror or error}.", "Check the folder's permissions.") from error
