"""Videos that are made for a test, from arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from redub.types import RGB

MakeVideo = Callable[..., Path]


@pytest.fixture
def make_video(tmp_path: Path) -> MakeVideo:
    """Return a function that writes frames (T, H, W, 3), nearly without loss, at a rate or at given ticks of 1/1000 s."""

    def make(frames: Sequence[RGB], rate: int = 25, ticks: Sequence[int] | None = None) -> Path:
        path = tmp_path / f"made{len(list(tmp_path.iterdir()))}.mkv"
        with av.open(str(path), "w") as out:
            stream = out.add_stream("libx264", rate=rate, options={"crf": "4", "preset": "ultrafast"})
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = Fraction(1, 1000)
            for index, rgb in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
                frame.pts = ticks[index] if ticks is not None else round(1000 * index / rate)
                frame.time_base = Fraction(1, 1000)
                out.mux(stream.encode(frame))
            out.mux(stream.encode())
        return path

    return make
