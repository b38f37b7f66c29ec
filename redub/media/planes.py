"""planes: a decoded frame -> its samples as arrays, without copying.

PyAV converts whole frames only.  Redub reads and paints small regions, so it looks at the samples themselves:
`sample_views` gives one array for each component (Y, U, V or R, G, B, and alpha), writable and in place.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

Samples = NDArray[Any]
"""(H, W) uint8 or uint16 samples of one component."""

_PACKED_RGB = {
    "rgb24": "rgb", "bgr24": "bgr", "rgba": "rgba", "bgra": "bgra", "argb": "argb", "abgr": "abgr",
    "rgb0": "rgb_", "bgr0": "bgr_", "0rgb": "_rgb", "0bgr": "_bgr",
}  # fmt: skip
_PACKED_DEEP = {"rgb48le": "rgb", "bgr48le": "bgr", "rgba64le": "rgba", "bgra64le": "bgra"}
_SEMI = {"nv12": (1, 1), "nv21": (1, 1), "nv16": (1, 0), "nv24": (0, 0)}
_SEMI_DEEP = {"p0": (1, 1), "p2": (1, 0), "p4": (0, 0)}
_PLANAR = re.compile(r"(yuva?|yuvj)(420|422|444|440|411|410)p(9|10|12|14|16)?(le)?$")
_GBR = re.compile(r"gbra?p(9|10|12|14|16)?(le)?$")
_GRAY = re.compile(r"(gray|ya)(8|9|10|12|14|16)?(le)?$")
_SHIFTS = {"420": (1, 1), "422": (1, 0), "444": (0, 0), "440": (0, 1), "411": (2, 0), "410": (2, 2)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the samples of a pixel format lie."""

    kind: str
    """``yuv``, ``rgb`` or ``gray``."""
    bits: int
    """Depth of a sample."""
    shift: int
    """Zero bits below the sample in its 16-bit word."""
    chroma_shift: tuple[int, int]
    """Binary logarithms of the horizontal and vertical subsampling."""
    places: tuple[tuple[int, int, int], ...]
    """(plane, step, offset) in words for Y, U, V or R, G, B."""
    has_alpha: bool
    is_full: bool
    """True if the format itself says full range, as ``yuvj420p`` and RGB do."""


@lru_cache(maxsize=64)
def find_layout(name: str) -> Layout | None:
    """Return the layout of a pixel format, or None for one that must be unpacked first."""
    if name in _PACKED_RGB or name in _PACKED_DEEP:
        order = _PACKED_RGB.get(name) or _PACKED_DEEP[name]
        places = tuple((0, len(order), order.index(letter)) for letter in "rgb")
        return _layout("rgb", 8 if name in _PACKED_RGB else 16, places, has_alpha="a" in order)
    if match := _GBR.fullmatch(name):
        return _layout("rgb", int(match[1] or 8), ((2, 1, 0), (0, 1, 0), (1, 1, 0)), has_alpha=name.startswith("gbra"))
    if match := _PLANAR.fullmatch(name):
        layout = _layout("yuv", int(match[3] or 8), ((0, 1, 0), (1, 1, 0), (2, 1, 0)), has_alpha=match[1] == "yuva")
        return _with(layout, chroma_shift=_SHIFTS[match[2]], is_full=match[1] == "yuvj")
    if name in _SEMI:
        u = 1 if name == "nv21" else 0
        return _with(_layout("yuv", 8, ((0, 1, 0), (1, 2, u), (1, 2, 1 - u))), chroma_shift=_SEMI[name])
    if match := re.fullmatch(r"(p[024])(10|12|16)le", name):
        layout = _layout("yuv", int(match[2]), ((0, 1, 0), (1, 2, 0), (1, 2, 1)))
        return _with(layout, chroma_shift=_SEMI_DEEP[match[1]], shift=16 - int(match[2]))
    if match := _GRAY.fullmatch(name):
        step = 2 if match[1] == "ya" else 1
        return _layout("gray", int(match[2] or 8), ((0, step, 0),), has_alpha=step == 2)
    return None


def _layout(kind: str, bits: int, places: tuple[tuple[int, int, int], ...], *, has_alpha: bool = False) -> Layout:
    return Layout(kind=kind, bits=bits, shift=0, chroma_shift=(0, 0), places=places, has_alpha=has_alpha, is_full=kind == "rgb")


def _with(layout: Layout, *, chroma_shift: tuple[int, int], shift: int = 0, is_full: bool = False) -> Layout:
    return Layout(
        kind=layout.kind, bits=layout.bits, shift=shift, chroma_shift=chroma_shift, places=layout.places,
        has_alpha=layout.has_alpha, is_full=is_full,
    )  # fmt: skip


def unpacked(frame: av.VideoFrame) -> tuple[av.VideoFrame, Layout]:
    """Return a frame whose samples can be viewed: the same one, or a lossless copy in a simpler format."""
    layout = find_layout(frame.format.name)
    if layout is not None:
        return frame, layout
    name = _simpler(frame.format)
    simple = frame.reformat(format=name, src_colorspace=frame.colorspace, dst_colorspace=frame.colorspace)
    found = find_layout(name)
    if found is None:
        raise ValueError(f"{name} has no layout")
    copy_facts(frame, simple)
    return simple, found


def _simpler(pixels: av.VideoFormat) -> str:
    """Choose the format into which an odd one (packed, big-endian, with a palette) is unpacked."""
    deep = max(part.bits for part in pixels.components) > 8
    has_alpha = any(part.is_alpha for part in pixels.components)
    if pixels.has_palette or pixels.is_rgb or pixels.is_bayer:
        return ("gbrap16le" if has_alpha else "gbrp16le") if deep else ("rgba" if has_alpha or pixels.has_palette else "rgb24")
    if len(pixels.components) < 3:
        return "gray16le" if deep else "gray"
    wide, high = pixels.chroma_width(16), pixels.chroma_height(16)
    shape = "420" if high == 8 else "422" if wide == 8 else "444"
    # Packed 10 and 12 bits (y210, v30x, big-endian planes) go up to 16 bits, where nothing is lost.
    depth = max(part.bits for part in pixels.components)
    return f"yuv{shape}p{depth}le" if deep and depth in (9, 10, 12, 14, 16) else f"yuv{shape}p16le" if deep else f"yuv{shape}p"


def copy_facts(source: av.VideoFrame, target: av.VideoFrame) -> None:
    """Give a new frame the time and the colour tags of another."""
    target.pts = source.pts
    target.dts = source.dts
    target.duration = source.duration
    if source.time_base is not None:
        target.time_base = source.time_base
    target.colorspace = source.colorspace
    target.color_range = source.color_range
    target.color_trc = source.color_trc
    target.color_primaries = source.color_primaries


def sample_views(frame: av.VideoFrame, layout: Layout) -> list[Samples]:
    """Return the components of a frame as (H, W) arrays in its own memory."""
    return [_view(frame, layout, place) for place in layout.places]


def _view(frame: av.VideoFrame, layout: Layout, place: tuple[int, int, int]) -> Samples:
    number, step, offset = place
    plane = frame.planes[number]
    word = np.dtype(np.uint8 if layout.bits == 8 else "<u2")
    line = plane.line_size
    rows = plane_words(plane, word)
    # Bottom-up pictures have a negative line size: the first row in memory is the last one shown.
    view: Samples = rows[:: -1 if line < 0 else 1, offset : plane.width * step : step]
    return view


def plane_words(plane: Any, word: Any = np.uint8) -> Samples:
    """Return the (H, N) words of a plane in its own memory, padding and all."""
    # PyAV's planes have a buffer, which its stubs do not say.
    return np.frombuffer(plane, word).reshape(plane.height, abs(plane.line_size) // np.dtype(word).itemsize)


_local = threading.local()


def copy_native(frame: av.VideoFrame) -> av.VideoFrame:
    """Return a copy of a frame in memory of its own, with all that comes with it: tags, captions, fields.

    FFmpeg's ``copy`` filter does it, because PyAV cannot attach side data to a frame.
    """
    key = (frame.width, frame.height, frame.format.name)
    if getattr(_local, "key", None) != key:
        graph = Graph()
        source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25))
        copy, sink = graph.add("copy"), graph.add("buffersink")
        source.link_to(copy)
        copy.link_to(sink)
        graph.configure()
        _local.key, _local.graph = key, graph
    _local.graph.vpush(frame)
    fresh: av.VideoFrame = _local.graph.vpull()
    copy_facts(frame, fresh)
    return fresh
