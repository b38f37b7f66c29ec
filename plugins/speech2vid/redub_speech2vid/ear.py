"""ear: a desk -> what the audio encoder learns, and how it becomes the paper's network.

The ear learns the mouth's shape from speech.  What it ends in is linear, and so is what the teacher begins with; so both
become one layer, which is put into the audio encoder's fc7, behind a batch norm that does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redub.training.loop import Lesson, Look
from redub_speech2vid.codes import COMPONENTS, relative_opening
from redub_speech2vid.desk import Desk
from redub_speech2vid.lessons import Teacher
from redub_speech2vid.model import AudioEncoder
from redub_speech2vid.voices import room_windows

OPENING_WEIGHT = 3.0
"""How far the mouth is open counts as much as so many components."""
CORRELATED = [0, 1, 2, -1]
"""The first components and the opening."""
ROOMS = 8192
"""Windows without speech that the silence is drawn from."""
LEAST_ALIKE = 0.25
"""A component whose correlation with the true one is smaller is not enlarged."""
SPEECH_DB, SLOW_ROWS = 25.0, 15
"""Speech is what is within so much of the loudest; slow change, which a face has without words, is taken off by a
running mean over so many samples."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EarBatch:
    """Windows of speech and what the mouth does in their middle."""

    windows: Tensor
    """(B, 1, 12, 35)."""
    wanted: Tensor
    """(B, COMPONENTS + 1): the code, and how far the mouth is open."""
    quiet: int
    """So many of the first are silence or noise."""


class Ear(nn.Module):
    """(B, 1, 12, 35) MFCC -> (B, COMPONENTS + 1)."""

    def __init__(self, audio: AudioEncoder, dropout: float) -> None:
        super().__init__()
        self.audio, self.dropout = audio, dropout
        convolution = audio.fc7[0]
        assert isinstance(convolution, nn.Conv2d)
        self.head = nn.Linear(convolution.in_channels, COMPONENTS + 1)

    def forward(self, windows: Tensor) -> Tensor:
        hidden = self.audio.hidden(windows).flatten(1).float()
        with torch.autocast(hidden.device.type, enabled=False):
            wanted: Tensor = self.head(F.dropout(hidden, self.dropout, self.training))
        return wanted


def ear_lesson(desk: Desk, ear: Ear) -> Lesson[EarBatch]:
    """Teach an ear the mouth's shape."""
    course, samples, drawer = desk.recipe.ear, desk.samples, desk.drawer
    ear.audio.fc7.requires_grad_(False)
    wanted = _wanted(desk)
    spread = wanted[drawer.rows].std(axis=0) + 1e-6
    share = spread[:COMPONENTS] ** 2 / (spread[:COMPONENTS] ** 2).sum() * COMPONENTS
    weights = torch.from_numpy(np.append(share, OPENING_WEIGHT).astype(np.float32)).to(desk.device)
    unit = torch.from_numpy(spread.astype(np.float32)).to(desk.device)

    rooms = room_windows(ROOMS, desk.random("rooms", 0))

    def draw(step: int) -> EarBatch:
        random = desk.random("ear", step)
        rows = drawer.draw_rows(random, course.batch, course.balance)
        voices = random.integers(samples.windows.shape[1], size=course.batch)
        windows, target = samples.windows[rows, voices].astype(np.float32), wanted[rows]
        quiet = round(course.silence * course.batch)
        # A quarter of it is digital silence.
        windows[:quiet], target[:quiet] = rooms[random.integers(len(rooms), size=quiet)], 0
        windows[: quiet // 4] = 0
        return EarBatch(windows=torch.from_numpy(windows)[:, None], wanted=torch.from_numpy(target), quiet=quiet)

    def loss(batch: EarBatch) -> dict[str, Tensor]:
        true = batch.wanted.to(desk.device)
        with desk.autocast():
            heard = ear(batch.windows.to(desk.device))
        error = (((heard - true) / unit) ** 2 * weights).mean()
        unlike = 1 - likeness(heard[batch.quiet :, CORRELATED], true[batch.quiet :, CORRELATED])
        return {"loss": error + course.likeness * unlike, "error": error, "unlike": unlike}

    return Lesson(
        name="ear", model=ear, draw=draw, loss=loss, look=lambda: _look(desk, ear, wanted, spread), samples=course.batch
    )  # fmt: skip


def likeness(one: Tensor, other: Tensor) -> Tensor:
    """Return the mean correlation of columns over a batch: (B, F), (B, F) -> scalar."""
    one, other = one - one.mean(0), other - other.mean(0)
    return ((one * other).mean(0) / (one.std(0) * other.std(0) + 1e-6)).mean()


def hear(desk: Desk, ear: Ear, rows: Any) -> Any:
    """Return what the ear makes of the recorded sound of some rows: (T,) -> (T, COMPONENTS + 1)."""
    ear.eval()
    found = []
    with torch.no_grad():
        for first in range(0, len(rows), 512):
            windows = desk.samples.windows[rows[first : first + 512], 0].astype(np.float32)
            with desk.autocast():
                found.append(ear(torch.from_numpy(windows)[:, None].to(desk.device)).float().cpu().numpy())
    return np.concatenate(found)


def find_gain(desk: Desk, ear: Ear) -> Tensor:
    """Return by how much each component that is heard has to be enlarged to move as much as what is seen.

    Whatever an ear cannot know it leaves out, so it moves too little; to a viewer that is worse than moving a little wrongly.
    A component that is hardly heard at all is left as it is: its noise would be enlarged.

    Measured on held-out pieces if there are any, since on what it learnt from an ear knows too much.
    """
    pieces = desk.samples.held_out or desk.samples.learnt_from
    rows = np.concatenate([np.arange(one.start, one.stop) for one in pieces[:: max(1, len(pieces) // 200)]])
    heard, true = hear(desk, ear, rows)[:, :COMPONENTS], desk.mouths.codes[rows]
    gain = np.clip(true.std(axis=0) / (heard.std(axis=0) + 1e-6), 1.0, desk.recipe.ear.most_gain)
    covariance = ((heard - heard.mean(axis=0)) * (true - true.mean(axis=0))).mean(axis=0)
    alike = covariance / (heard.std(axis=0) * true.std(axis=0) + 1e-9)
    gain[alike < LEAST_ALIKE] = 1.0
    return torch.from_numpy(gain.astype(np.float32))


def fold(ear: Ear, teacher: Teacher, gain: Tensor) -> None:
    """Put head, gain and teacher into the audio encoder's fc7: what it returns is then what the teacher would have."""
    convolution, norm = ear.audio.fc7[0], ear.audio.fc7[1]
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    with torch.no_grad():
        weight, bias = ear.head.weight[:COMPONENTS], ear.head.bias[:COMPONENTS]
        gain = gain.to(weight.device)
        convolution.weight.copy_((teacher.fc.weight @ (gain[:, None] * weight))[:, :, None, None])
        convolution.bias = nn.Parameter(teacher.fc.weight @ (gain * bias) + teacher.fc.bias)
        norm.reset_running_stats()
        norm.weight.fill_((1.0 + norm.eps) ** 0.5)
        norm.bias.zero_()


def _wanted(desk: Desk) -> Any:
    opening = [relative_opening(np.asarray(desk.samples.points[one.start : one.stop])) for one in desk.samples.stretches]
    return np.concatenate([desk.mouths.codes, np.concatenate(opening)[:, None]], axis=1).astype(np.float32)


def _look(desk: Desk, ear: Ear, wanted: Any, spread: Any) -> Look:
    """Say how the opening that is heard follows the one that is seen, without its slow change, while somebody speaks."""
    pieces = [one for one in desk.samples.held_out if len(one) > SLOW_ROWS]
    if not pieces:
        return Look()
    pieces = pieces[:: max(1, len(pieces) // 100)]
    heard = hear(desk, ear, np.concatenate([np.arange(one.start, one.stop) for one in pieces]))
    errors, alike, movement, place = [], [], [], 0
    for one in pieces:
        said, true = heard[place : place + len(one)], wanted[one.start : one.stop]
        place += len(one)
        errors.append(float((((said - true) / spread) ** 2).mean()))
        loud = np.asarray(desk.samples.loudness[one.start : one.stop])
        speaks = 20 * np.log10(loud / max(float(loud.max()), 1e-9) + 1e-9) > -SPEECH_DB
        quick, seen = _quick(said[:, -1])[speaks], _quick(true[:, -1])[speaks]
        if len(quick) > 2 and quick.std() > 1e-6 and seen.std() > 1e-6:
            alike.append(float(np.corrcoef(quick, seen)[0, 1]))
            movement.append(float(quick.std() / seen.std()))
    if not alike:
        return Look(values={"loss": float(np.mean(errors))})
    return Look(values={"loss": float(np.mean(errors)), "alike": float(np.mean(alike)), "movement": float(np.mean(movement))})


def _quick(series: Any) -> Any:
    padded = np.pad(series, SLOW_ROWS // 2, mode="edge")
    return series - np.convolve(padded, np.ones(SLOW_ROWS) / SLOW_ROWS, mode="valid")
