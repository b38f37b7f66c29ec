"""sheet: a plan and its video -> a contact sheet of every face.

Frames show where face, landmarks and crop were seen, the registered stills beside them what a generator will see.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from redub.draw.paper import (
    FAINT,
    GAP_PX,
    INK,
    LINE,
    choose_tracks,
    clock,
    font,
    left_out,
    new_page,
    save_page,
    time_s,
    write_label,
    write_title,
)
from redub.faces.crop import take_crop
from redub.faces.cv import load_cv
from redub.faces.geometry import apply_similarity
from redub.faces.landmarks import mouth_openness
from redub.media import open_video
from redub.plan import Plan
from redub.types import RGB, CropPath, Track

TRACKS_A_PAGE = 10
STILL_SIZE = (270, 480)
STILLS_PX = 1464
"""The stills of a track share this width: three of a wide video, more of a tall one."""
CROP_PX = 131
BOX, POINTS, CROP = (255, 176, 0), (0, 255, 140), (0, 176, 255)


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
    tracks = choose_tracks(plan)
    pages = []
    for number in range(max(1, ceil(len(tracks) / TRACKS_A_PAGE))):
        shown = tracks[number * TRACKS_A_PAGE : (number + 1) * TRACKS_A_PAGE]
        path = target if number == 0 else target.with_name(f"{target.stem}-{number + 1}{target.suffix}")
        save_page(_page(plan, video, shown, left_out(plan, tracks)), path)
        pages.append(path)
    return pages


def _page(plan: Plan, video: Path, tracks: list[Track], note: str) -> Image.Image:
    """Draw one page; the frames of all its tracks are read in one go, and only the small pictures are kept."""
    columns = 3
    step = _still_size(plan)[1] + GAP_PX
    crops_left = 12 + _stills(plan) * step
    band = STILL_SIZE[0] + 2 * GAP_PX + 26
    canvas, pen = new_page(12 + STILLS_PX + columns * (CROP_PX + GAP_PX) + 12, 44 + max(band * len(tracks), 40))
    write_title(pen, plan, note)
    _legend(pen, canvas.width - 24)
    if not tracks:
        pen.text((12, 44), "No face was found.", INK, font(16))
        return canvas
    pictures = _pictures(plan, video, tracks)
    for row, track in enumerate(tracks):
        top = 44 + row * band
        pen.line((12, top, canvas.width - 12, top), LINE)
        pen.text((12, top + 5), _caption(plan, track), INK, font(15))
        stills = [(job, picture) for job, picture in pictures if job.track is track and not job.is_crop]
        crops = [(job, picture) for job, picture in pictures if job.track is track and job.is_crop]
        for i, (job, picture) in enumerate(stills):
            left = 12 + i * step
            canvas.paste(Image.fromarray(picture), (left, top + 28))
            write_label(pen, (left + 4, top + 32), clock(time_s(plan, job.index)))
        openness = mouth_openness(track.points)
        for i, (job, picture) in enumerate(crops):
            left = crops_left + i % columns * (CROP_PX + GAP_PX)
            place = (left, top + 28 + i // columns * (CROP_PX + GAP_PX))
            canvas.paste(Image.fromarray(picture), place)
            write_label(pen, (place[0] + 4, place[1] + 4), f"open {openness[job.index - track.start]:.2f}")
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


def _caption(plan: Plan, track: Track) -> str:
    spoken = sum(len(one) for one in plan.speaking if one.track == track.id)
    begin, end = time_s(plan, track.start), time_s(plan, track.stop - 1)
    size = float((track.boxes[:, 2:] - track.boxes[:, :2]).mean())
    seen = f"{clock(begin)} to {clock(end)}    {len(track)} frames    face {size:.0f} px"
    return f"track {track.id}    {seen}    speaks {spoken / len(track):.0%}"


def _legend(pen: ImageDraw.ImageDraw, right: float) -> None:
    for name, colour in (("crop", CROP), ("landmarks", POINTS), ("face (grey: not seen)", BOX)):
        right -= pen.textlength(name, font(12))
        pen.text((right, 16), name, FAINT, font(12))
        pen.rectangle((right - 16, 18, right - 6, 28), colour, FAINT)
        right -= 32
