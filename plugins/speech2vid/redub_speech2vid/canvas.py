"""canvas: the size of a network -> which part of a registered face it paints.

Speech2Vid reads 112 px and paints 109 of them; the network that paints in context reads 224 px and paints the lower rows.
Whatever judges a picture, the reader above all, looks at 109 px: `as_read` makes them of either.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from redub_speech2vid.incontext import CONTEXT_PX, painted_rows
from redub_speech2vid.model import INPUT_PX, OUTPUT_PX


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """Where what is painted lies in the crop, px."""

    input_px: int
    top: int
    left: int
    height: int
    width: int

    @property
    def has_context(self) -> bool:
        """Whether the frame that is painted over is seen, so that its upper part can be put above what is painted."""
        return self.input_px != INPUT_PX

    def cut(self, pictures: Tensor) -> Tensor:
        """Return what is painted of whole crops: (B, C, S, S) -> (B, C, height, width)."""
        part = pictures[..., self.top : self.top + self.height, self.left : self.left + self.width]
        return part.contiguous(memory_format=torch.channels_last)

    def as_read(self, painted: Tensor, whole: Tensor) -> Tensor:
        """Return painted pictures as a reader takes them.

        Args:
            painted: (B, 3, height, width) in 0..1.
            whole: (B, 3, S, S) the crops that they are painted over; looked at only outside what is painted.

        Returns:
            (B, 3, 109, 109).
        """
        if not self.has_context:
            return painted
        joined = torch.cat([whole[:, :, : self.top].to(painted.dtype), painted], 2)
        return PLAIN.cut(F.avg_pool2d(joined, self.input_px // INPUT_PX))


PLAIN = Canvas(input_px=INPUT_PX, top=1, left=1, height=OUTPUT_PX, width=OUTPUT_PX)


def context_canvas(rows: int) -> Canvas:
    """Return that of the network that paints in context, from so many rows of maps."""
    height = painted_rows(rows)
    return Canvas(input_px=CONTEXT_PX, top=CONTEXT_PX - height, left=0, height=height, width=CONTEXT_PX)
