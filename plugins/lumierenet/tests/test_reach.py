"""What painting loses of a mouth is found, on the frames of the engine's demo."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("redub_lumierenet", reason="install it:  pip install ./plugins/lumierenet")

from redub_lumierenet import reach  # noqa: E402

from redub.media import open_video  # noqa: E402


def test_a_painter_that_halves_a_mouths_movement_is_told_twice_as_much(monkeypatch):
    with open_video(Path(str(files("redub.demo"))) / "lecture.mp4") as reader:
        frames = np.stack([frame.rgb()[::2, ::2] for frame in reader.read() if frame.index % 4 == 0])
    openness = reach._openness(frames)
    rest = openness.min()

    def paint(codes):
        wanted = rest + 0.5 * (codes[:, 0].numpy() - rest)
        nearest = np.abs(openness[None] - wanted[:, None]).argmin(axis=1)
        return torch.from_numpy(frames[nearest]).permute(0, 3, 1, 2).float() / 255

    rows = np.arange(len(frames))
    monkeypatch.setattr(reach, "judged_rows", lambda samples: rows)
    monkeypatch.setattr(reach, "_true_openness", lambda desk, rows: openness)
    monkeypatch.setattr(reach, "as_painted", lambda known, heard, gain, anchor: rest + gain * (heard - rest))
    desk = SimpleNamespace(samples=None, device="cpu", autocast=torch.no_grad, recipe=SimpleNamespace(ear=SimpleNamespace(most_reach=3.0)))
    heard = openness[:, None].astype(np.float32)
    assert reach.find_reach(desk, None, heard, paint, (1.0, None)) == pytest.approx(2.0, abs=0.25)
    desk.recipe.ear.most_reach = 1.5
    assert reach.find_reach(desk, None, heard, paint, (1.0, None)) == 1.5
