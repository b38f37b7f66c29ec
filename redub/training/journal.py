"""journal: what a training measures -> JSON lines, curves, and sheets of samples.

One file a stage.  Lines that a killed run wrote behind its last checkpoint are dropped when it is gone on with, so that
the journal is the one of an uninterrupted run.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from redub.draw.paper import FAINT, INK, LINE, font, new_page
from redub.errors import RedubError
from redub.media.place import Part
from redub.types import RGB

TRAINED, HELD_OUT = (31, 119, 180), (214, 39, 40)
CHART = (560, 220)
"""Width and height of one chart in px."""
MARGIN_PX, LEFT_PX = 16, 64
OUTSIDE = "held_out."
"""How names of what was measured on held-out pieces begin."""


class Journal:
    """The records of one stage: numbers by name, each with its step."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.jsonl"
        self.curves = folder / f"{name}-curves.png"
        self.sheet = folder / f"{name}-sheet.png"
        self.rows: list[dict[str, Any]] = []

    def go_on(self, step: int) -> None:
        """Take over what an earlier run wrote up to this step, and drop the rest."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        self.rows = [row for row in map(_parsed, lines) if row is not None and row.get("step", step + 1) <= step]
        _write_text(self.path, "".join(json.dumps(row) + "\n" for row in self.rows))

    def add(self, row: dict[str, Any], picture: RGB | None = None) -> None:
        """Append a record, and draw curves and sheet anew."""
        self.rows.append(row)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        save_picture(draw_curves(self.rows, self.path.stem), self.curves)
        if picture is not None:
            save_rgb(picture, self.sheet)


def draw_curves(rows: list[dict[str, Any]], title: str) -> Image.Image:
    """Draw a chart for each number, two abreast, with its value on held-out pieces in the same chart.

    Args:
        rows: Records with ``step``; a name that begins with ``held_out.`` joins the one without it.
        title: Stands on top.
    """
    names = list(dict.fromkeys(name.removeprefix(OUTSIDE) for row in rows for name in row.get("values", {})))
    width, height = CHART
    page, pen = new_page(2 * width + 3 * MARGIN_PX, 48 + max(1, math.ceil(len(names) / 2)) * (height + MARGIN_PX))
    pen.text((MARGIN_PX, 14), title, INK, font(18))
    pen.text((page.width - MARGIN_PX, 18), "held out", HELD_OUT, font(13), anchor="ra")
    pen.text((page.width - MARGIN_PX - 70, 18), "learnt from", TRAINED, font(13), anchor="ra")
    for i, name in enumerate(names):
        place = (MARGIN_PX + i % 2 * (width + MARGIN_PX), 48 + i // 2 * (height + MARGIN_PX))
        _draw_chart(pen, place, name, [_series(rows, prefix + name) for prefix in ("", OUTSIDE)])
    return page


def save_picture(picture: Image.Image, target: Path) -> None:
    """Write a PNG that takes its place when it is complete.

    Raises:
        MediaError: The folder cannot be written.
    """
    part = Part(target)
    try:
        picture.save(part.path, format="PNG")
        part.publish()
    finally:
        part.discard()


def save_rgb(picture: RGB, target: Path) -> None:
    """Like `save_picture`, for an array (H, W, 3)."""
    save_picture(Image.fromarray(picture), target)


def _series(rows: list[dict[str, Any]], name: str) -> list[tuple[float, float]]:
    found = [(float(row["step"]), float(row["values"][name])) for row in rows if name in row.get("values", {})]
    return [(step, value) for step, value in found if math.isfinite(value)]


def _draw_chart(pen: ImageDraw.ImageDraw, place: tuple[int, int], name: str, series: list[list[tuple[float, float]]]) -> None:
    left, top, right, bottom = place[0] + LEFT_PX, place[1] + 22, place[0] + CHART[0], place[1] + CHART[1] - 18
    pen.text((left, place[1] + 2), name, INK, font(14))
    points = [point for one in series for point in one]
    if not points:
        return
    last = max(step for step, _ in points) or 1.0
    low, high = min(value for _, value in points), max(value for _, value in points)
    reach = max(high - low, 1e-9 + 0.02 * abs(high))
    low, high = low - 0.05 * reach, high + 0.05 * reach
    for share in (0.0, 0.5, 1.0):
        y, x = bottom - share * (bottom - top), left + share * (right - left)
        pen.line((left, y, right, y), LINE)
        pen.text((left - 6, y), f"{low + share * (high - low):.4g}", FAINT, font(12), anchor="rm")
        pen.text((x, bottom + 3), f"{share * last:,.0f}", FAINT, font(12), anchor="ma")
    for values, colour in zip(series, (TRAINED, HELD_OUT), strict=True):
        path = [(left + step / last * (right - left), bottom - (value - low) / (high - low) * (bottom - top)) for step, value in values]
        pen.line(path, colour, 2)
        for x, y in path if len(path) < 60 else ():
            pen.ellipse((x - 2, y - 2, x + 2, y + 2), colour)


def as_sheet(rows: list[list[RGB]], scale: int = 1) -> RGB:
    """Join equally large pictures (H, W, 3), rows of them below each other; short rows end in paper white."""
    columns = max(len(row) for row in rows)
    blank = np.full_like(rows[0][0], 250)
    joined = np.concatenate([np.concatenate([*row, *[blank] * (columns - len(row))], axis=1) for row in rows])
    return np.ascontiguousarray(joined.repeat(scale, axis=0).repeat(scale, axis=1))


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None  # a killed run's last line may end in its middle
    return row if isinstance(row, dict) else None


def _write_text(target: Path, text: str) -> None:
    part = Part(target)
    try:
        part.path.write_text(text, encoding="utf-8")
        part.publish()
    except OSError as error:
        raise RedubError(f"{target} cannot be written: {error.strerror}.", "Free some space, or name another folder.") from error
    finally:
        part.discard()
