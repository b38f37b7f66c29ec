"""paper: what the sheet and the timeline have in common: pages, words, and which tracks are shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from redub.errors import PlanError
from redub.plan import Plan
from redub.types import Track

MOST_TRACKS = 40
GAP_PX = 8
PAPER, INK, FAINT, LINE = (250, 250, 248), (30, 30, 34), (120, 120, 126), (214, 214, 212)


def choose_tracks(plan: Plan) -> list[Track]:
    """Return the tracks that are shown, by id: the ones that speak longest, then the longest."""
    spoken = {track.id: sum(len(one) for one in plan.speaking if one.track == track.id) for track in plan.tracks}
    ranked = sorted(plan.tracks, key=lambda track: (-spoken[track.id], -len(track), track.id))
    return sorted(ranked[:MOST_TRACKS], key=lambda track: track.id)


def left_out(plan: Plan, shown: list[Track]) -> str:
    """Say how many tracks are not shown, or nothing."""
    missing = len(plan.tracks) - len(shown)
    return f"{missing} of {len(plan.tracks)} tracks left out: the ones that speak least" if missing else ""


def clock(time_s: float) -> str:
    """Return a time as people write it: ``12.4 s``, or ``3:05`` from a minute on."""
    if time_s < 59.95:
        return f"{time_s:.1f} s"
    minutes, seconds = divmod(round(time_s), 60)
    return f"{minutes}:{seconds:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def time_s(plan: Plan, index: int) -> float:
    """Return when a frame is shown."""
    return float(int(plan.pts[index] - plan.pts[0]) * plan.time_base)


def write_title(pen: ImageDraw.ImageDraw, plan: Plan, note: str) -> None:
    """Write what video it is, and a note."""
    facts = plan.facts
    said = f"{facts.width} x {facts.height} px, {float(facts.frame_rate):.2f} frames/s, {clock(float(facts.duration))}"
    name = plan.source.name if len(plan.source.name) <= 70 else plan.source.name[:67] + "..."
    pen.text((12, 12), name, INK, font(18))
    pen.text((24 + pen.textlength(name, font(18)), 15), f"{said}    {note}", FAINT, font(14))


def write_label(pen: ImageDraw.ImageDraw, place: tuple[int, int], text: str) -> None:
    """Write on a picture, on a dark ground that any picture lets read."""
    left, top, right, bottom = pen.textbbox(place, text, font(12))
    pen.rectangle((left - 3, top - 2, right + 3, bottom + 2), (20, 20, 22))
    pen.text(place, text, (255, 255, 255), font(12))


def new_page(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Return an empty page and a pen for it."""
    canvas = Image.new("RGB", (width, height), PAPER)
    return canvas, ImageDraw.Draw(canvas)


def font(size: int) -> Any:
    """Return Pillow's own font, which is there on every machine."""
    return ImageFont.load_default(size)


def save_page(picture: Image.Image, target: Path) -> None:
    """Write a page as PNG; raises `PlanError` where that is impossible."""
    try:
        picture.save(target, format="PNG")
    except OSError as error:
        raise PlanError(f"The picture {target} cannot be written: {error.strerror or error}.", "Check the folder's permissions.") from error
