"""rules: a declaration -> what is impossible in it.

The host believes a declaration, so it reads all of it before it believes any: a dataclass does not check its fields'
types, and a size of "112" would otherwise fail in the middle of a video.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction

from redub import weights
from redub.plugin.contract import API, AudioWindow, ClipLimits, GeneratorInfo, Mode, Region
from redub.types import Blend
from redub.weights import WeightFile

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def is_name(name: object) -> bool:
    """Say whether a generator may be called this: lower-case letters and digits, hyphens between them."""
    return isinstance(name, str) and bool(NAME.fullmatch(name))


def api_fault(api: object) -> tuple[str, str]:
    """Return what speaks against a declared contract version, and who must upgrade; two empty strings if nothing."""
    if not (isinstance(api, tuple) and len(api) == 2 and all(_is_whole(part, 0) for part in api)):
        return f"its api is {api!r}, not a pair of whole numbers such as (1, 0)", "Correct the declaration."
    major, minor = api
    ours = f"{API[0]}.{API[1]}"
    if major < API[0]:
        return f"it was written for API {major}.{minor}, and this redub speaks {ours}", "Upgrade the plugin."
    if (major, minor) > API:
        return f"it was written for API {major}.{minor}, and this redub speaks {ours}", "Upgrade redub:  pip install --upgrade redub"
    return "", ""


def faults(info: GeneratorInfo) -> list[str]:
    """Say everything that is impossible in a declaration; an empty list accepts it."""
    return [*_words(info), *_numbers(info), *_modes(info.modes)]


def _words(info: GeneratorInfo) -> Iterator[str]:
    if not is_name(info.name):
        yield f"its name is {info.name!r}, not lower-case letters, digits and hyphens"
    if not isinstance(info.summary, str) or not info.summary.strip() or "\n" in info.summary:
        yield "its summary is not one line of text"
    if not weights.is_spdx(info.licence):
        yield f"its licence is {info.licence!r}, not an SPDX expression such as MIT"
    if not isinstance(info.region, Region):
        yield f"its region is {info.region!r}, not a Region"
    if not isinstance(info.looks_at_mouth, bool):
        yield f"looks_at_mouth is {info.looks_at_mouth!r}, neither True nor False"
    if not isinstance(info.names_weights, bool):
        yield f"names_weights is {info.names_weights!r}, neither True nor False"
    if not isinstance(info.unavailable, str) or "\n" in info.unavailable:
        yield "unavailable is not one line of text"
    for field in ("factory", "trainer", "adapter"):
        reference = getattr(info, field)
        is_left_out = field != "factory" and reference == ""
        if not is_left_out and not (isinstance(reference, str) and REFERENCE.fullmatch(reference)):
            yield f"its {field} is {reference!r}, not module:function"


def _numbers(info: GeneratorInfo) -> Iterator[str]:
    audio, clip, rate = info.audio, info.clip, info.frame_rate_hz
    if not isinstance(audio, AudioWindow):
        yield f"audio is {audio!r}, not an AudioWindow"
    elif not _is_whole(audio.rate_hz, 1) or not _is_length(audio.before_s) or not _is_length(audio.after_s):
        yield f"audio is {audio}, where the rate must be a whole number above 0 and the seconds 0 or more"
    if not isinstance(clip, ClipLimits):
        yield f"clip is {clip!r}, not ClipLimits"
    elif not (_is_whole(clip.min_frames, 1) and _is_whole(clip.max_frames, 1) and _is_whole(clip.overlap_frames, 0)):
        yield f"clip is {clip}, where the limits must be whole numbers above 0 and the overlap 0 or more"
    elif clip.min_frames > clip.max_frames or clip.max_frames <= 2 * clip.overlap_frames:
        yield f"clip is {clip}, which leaves no frame to paint between the overlaps"
    if rate is not None and not (isinstance(rate, Fraction) and rate > 0):
        yield f"frame_rate_hz is {rate!r}, not a Fraction above 0 or None"
    if not _is_whole(info.references, 0):
        yield f"references is {info.references!r}, not a number of stills"


def _modes(modes: object) -> Iterator[str]:
    if not isinstance(modes, Mapping) or not modes:
        yield "it offers no modes: a blending and a Mode for each"
        return
    for blend, mode in modes.items():
        if not isinstance(blend, Blend) or not isinstance(mode, Mode):
            yield f"modes holds {blend!r}: {type(mode).__name__}, not a Blend: Mode"
            continue
        yield from _sizes(blend, mode)
        if not isinstance(mode.weights, tuple) or not all(isinstance(file, WeightFile) for file in mode.weights):
            yield f"the weights of mode {blend} are not a tuple of WeightFile"
            continue
        yield from (fault for file in mode.weights for fault in weights.faults(file))
        names = [file.name for file in mode.weights]
        if len(set(names)) < len(names):
            yield f"mode {blend} names a weight file twice"


def _sizes(blend: Blend, mode: Mode) -> Iterator[str]:
    if not (_is_whole(mode.input_px, 1) and _is_whole(mode.output_px, 1) and _is_whole(mode.output_offset_px, 0)):
        yield f"the sizes of mode {blend} are not whole numbers of px"
    elif mode.output_offset_px + mode.output_px > mode.input_px:
        yield (
            f"mode {blend} paints {mode.output_px} px at offset {mode.output_offset_px}, "
            f"which does not fit into the {mode.input_px} px that it reads"
        )


def _is_whole(value: object, least: int) -> bool:
    return type(value) is int and value >= least


def _is_length(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
