"""still: an RGB picture -> a frame, and a video of that one frame.

So a photograph goes the same way through crops, blending and encoding as any video's frame.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from redub.errors import MediaError
from redub.media.frame import Frame
from redub.media.paint import paint
from redub.types import RGB, Patch

RATE_HZ = Fraction(25)
_BT709, _LIMITED = 1, 1


def still_frame(picture: RGB) -> Frame:
    """Return a picture (H, W, 3) as a frame that stands for one 25th of a second."""
    return _frame(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24"))


def write_film(still: Frame, target: Path, rate_hz: Fraction = RATE_HZ) -> None:
    """Write a video of one frame, without any loss but that of colour at half size, as players expect it.

    Args:
        still: Of even height and width.
        target: Ends in ``.mkv``.
        rate_hz: Frames a second that it says it has.

    Raises:
        MediaError: It cannot be written.
    """
    native = av.VideoFrame(still.width, still.height, "yuv420p")
    native.colorspace, native.color_range, native.color_primaries, native.color_trc = _BT709, _LIMITED, _BT709, _BT709
    # The same conversion that puts painted crops into frames: where nothing is painted, nothing differs.
    whole = Patch(left=0, top=0, rgb=still.rgb(), alpha=np.ones((still.height, still.width), np.float32))
    native = paint(_frame(native), [whole]).native
    try:
        with av.open(f"file:{target}", "w", format="matroska") as output:
            stream = output.add_stream("ffv1", rate=rate_hz)
            context = stream.codec_context
            context.width, context.height, context.pix_fmt = still.width, still.height, "yuv420p"
            context.colorspace, context.color_range, context.color_primaries, context.color_trc = _BT709, _LIMITED, _BT709, _BT709
            native.pts, native.time_base = 0, 1 / rate_hz
            output.mux([*stream.encode(native), *stream.encode(None)])
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"The still cannot be kept in {target.parent}: {error.strerror}.", "Set TMPDIR to a larger disk.") from error


def _frame(native: av.VideoFrame) -> Frame:
    return Frame(index=0, pts=0, time_base=1 / RATE_HZ, time=Fraction(0), duration=1 / RATE_HZ, native=native)
