"""confusion: how often what was found -> a picture of it: a row for each truth, a column for each finding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from redub.draw.paper import FAINT, INK, font, new_page
from redub.speech.retrieval import Retrieval
from redub.speech.sync import LAGS
from redub.types import Doubles, Ints

CELL_PX, LEFT_PX, TOP_PX, RIGHT_PX, BOTTOM_PX = (22, 30), 96, 64, 150, 44
NONE, MOST = np.array([244, 244, 242]), np.array([20, 60, 120])


def draw_confusion(
    counts: Ints, rows: Sequence[str], columns: Sequence[str], *, title: str, notes: Sequence[str] = (), below: str = ""
) -> Image.Image:
    """Draw counts as shares of their row, dark where all of it lies.

    Args:
        counts: (R, C).
        rows: R words for what is true.
        columns: C words for what is found.
        title: Stands on top.
        notes: R words that stand behind the rows.
        below: What the columns are.
    """
    width, height = CELL_PX
    right, bottom = LEFT_PX + width * len(columns), TOP_PX + height * len(rows)
    page, pen = new_page(right + RIGHT_PX, bottom + BOTTOM_PX)
    pen.text((12, 12), title, INK, font(18))
    for j, column in enumerate(columns):
        pen.text((LEFT_PX + width * (j + 0.5), TOP_PX - 6), column, FAINT, font(11), anchor="ms")
    for i, (row, shares) in enumerate(zip(rows, _shares(counts), strict=True)):
        middle = TOP_PX + height * (i + 0.5)
        pen.text((LEFT_PX - 10, middle), row, INK, font(13), anchor="rm")
        for j, share in enumerate(shares):
            place = (LEFT_PX + width * j, TOP_PX + height * i)
            # A square root lets rare findings be seen.
            colour = tuple(int(value) for value in np.rint(NONE + (MOST - NONE) * np.sqrt(share)))
            pen.rectangle((*place, place[0] + width - 2, place[1] + height - 2), colour)
        if i < len(notes):
            pen.text((right + 10, middle), notes[i], INK, font(13), anchor="lm")
    pen.text(((LEFT_PX + right) / 2, bottom + 22), below, FAINT, font(13), anchor="mm")
    return page


def draw_retrieval(found: Retrieval, what: str) -> Image.Image:
    """Draw where the sound was found instead of where it is, by length of the stretches."""
    return draw_confusion(
        found.counts,
        [f"{frames} frames" for frames in found.frames],
        [str(lag) for lag in range(-LAGS, LAGS + 1)],
        title=f"Retrieval among {2 * LAGS + 1} moments, {what}",
        notes=[f"{100 * share:.1f} % of {count}" for share, count in zip(found.accuracy, found.counts.sum(axis=1), strict=True)],
        below="frames at 25 Hz by which the sound was found early; right within one",
    )


def _shares(counts: Ints) -> Doubles:
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), np.float64)
