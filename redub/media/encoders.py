"""encoders: a codec's name and one quality number -> the options that this encoder wants.

Every encoder calls its constant quality something else, and hardware encoders have only near relatives of it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
from av.codec import Codec
from av.codec.codec import UnknownCodecError
from av.codec.hwaccel import HWAccel
from av.container import OutputContainer

from redub.config import EncodeConfig
from redub.errors import MediaError
from redub.media.opening import reason

SOFTWARE = ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1")
HARDWARE = tuple(
    f"{codec}_{maker}" for maker in ("nvenc", "qsv", "vaapi", "videotoolbox", "amf") for codec in ("h264", "hevc", "av1")
)  # fmt: skip

_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
_SVT = dict(zip(_PRESETS, (12, 11, 10, 9, 8, 7, 5, 4, 2), strict=True))
_VP9_SPEED = dict(zip(_PRESETS, (8, 7, 6, 5, 4, 3, 2, 1, 0), strict=True))
_NVENC = dict(zip(_PRESETS, (1, 1, 2, 3, 3, 4, 5, 6, 7), strict=True))
_WORST = {"libx264": 51, "libx265": 51, "libsvtav1": 63, "libvpx-vp9": 63, "libaom-av1": 63}
"""The end of the scale; beyond it some encoders fail and some take it for the end."""


def encoder_options(config: EncodeConfig) -> dict[str, str]:
    """Return the options for constant quality with an encoder.

    Raises:
        MediaError: The preset is none of the usual names, or the quality lies off the encoder's scale.
    """
    if config.preset not in _PRESETS:
        raise MediaError(f"There is no preset {config.preset!r}.", f"Choose one of: {', '.join(_PRESETS)}.")
    worst = _WORST.get(config.codec, 51 if config.codec in HARDWARE else 1000)
    if not 0 <= config.crf <= worst:
        raise MediaError(f"{config.codec} has no quality {config.crf:g}.", f"Choose encode.crf from 0 to {worst}; lower is better.")
    codec, crf = config.codec, f"{config.crf:g}"
    whole = str(round(config.crf))
    if codec == "libx264":
        return {"crf": crf, "preset": config.preset}
    if codec == "libx265":
        return {"crf": crf, "preset": config.preset, "x265-params": "log-level=none"}
    if codec == "libsvtav1":
        return {"crf": whole, "preset": str(_SVT[config.preset])}
    if codec in ("libvpx-vp9", "libaom-av1"):
        return {"crf": whole, "b": "0", "deadline": "good", "cpu-used": str(_VP9_SPEED[config.preset]), "row-mt": "1"}
    return _hardware_options(codec, whole, config.preset)


def _hardware_options(codec: str, whole: str, preset: str) -> dict[str, str]:
    maker = codec.rpartition("_")[2]
    if maker == "nvenc":
        return {"rc": "vbr", "cq": whole, "b": "0", "preset": f"p{_NVENC[preset]}"}
    if maker == "qsv":
        return {"global_quality": whole}
    if maker == "vaapi":
        return {"rc_mode": "CQP", "qp": whole}
    if maker == "videotoolbox":
        # Its scale runs from 1 to 100, higher is better: 18 lands near 70.
        return {"flags": "+qscale", "global_quality": str(max(1, 100 - round(int(whole) * 1.7)) * 118)}
    if maker == "amf":
        return {"rc": "cqp", "qp_i": whole, "qp_p": whole, "qp_b": whole}
    return {}


def acceleration(codec: str) -> HWAccel | None:
    """Return the device that an encoder needs to be given its frames on, if any."""
    return HWAccel("vaapi") if codec.endswith("_vaapi") else None


def find_encoder(name: str) -> Codec:
    """Return an encoder.

    Raises:
        MediaError: This build of FFmpeg does not have it, or it encodes no pictures.
    """
    try:
        codec = Codec(name, "w")
    except UnknownCodecError as error:
        raise MediaError(f"There is no encoder {name!r} here.", _HINT) from error
    if codec.type != "video":
        raise MediaError(f"{name} is no encoder of pictures.", _HINT)
    return codec


_HINT = "See which there are with:  redub doctor"


def add_encoder(output: OutputContainer, config: EncodeConfig, rate: Fraction) -> Any:
    """Add a stream for the picture; its encoder is not yet opened.

    Raises:
        MediaError: There is no such encoder, preset or quality, or the container does not take it.
    """
    quieten()
    find_encoder(config.codec)
    try:
        return output.add_stream(config.codec, rate=rate, options=encoder_options(config), hwaccel=acceleration(config.codec))
    except ValueError as error:
        raise _misplaced(config.codec, error) from error


def open_encoder(context: Any, config: EncodeConfig) -> None:
    """Open the encoder of the picture.

    Raises:
        MediaError: It does not work on this machine, or not with such a picture.
    """
    try:
        context.open()
    except (av.FFmpegError, ValueError) as error:
        message = f"The encoder {config.codec} does not start here with crf {config.crf:g} and preset {config.preset}: {reason(error)}."
        raise MediaError(message, "See which encoders work here with:  redub doctor") from error


def write_header(output: OutputContainer, codec: str) -> None:
    """Begin the file; nothing in its header but the picture is still untried then.

    Raises:
        MediaError: The container does not take the picture.
    """
    try:
        output.start_encoding()
    except av.ArgumentError as error:
        raise _misplaced(codec, error) from error


def _misplaced(codec: str, error: Exception) -> MediaError:
    return MediaError(f"{codec} cannot be put into this file: {reason(error)}.", "Choose another suffix for --output, or another encoder.")


def fitting(config: EncodeConfig, container: str, notices: list[str]) -> EncodeConfig:
    """Return the settings with an encoder that the container takes, where the usual one was not chosen by the user."""
    if container == "webm" and config.codec == EncodeConfig().codec:
        notices.append(f"A .webm file cannot hold {config.codec}; libvpx-vp9 is used.")
        return replace(config, codec="libvpx-vp9")
    return config


def available_encoders() -> tuple[str, ...]:
    """Return the encoders that work on this machine, found by encoding a frame with each."""
    return tuple(name for name in (*SOFTWARE, *HARDWARE) if _works(name))


def quieten() -> None:
    """Keep encoders that write to the terminal past FFmpeg's log from doing so."""
    os.environ.setdefault("SVT_LOG", "1")


def _works(name: str) -> bool:
    try:
        quieten()
        context: Any = av.CodecContext.create(name, "w", hwaccel=acceleration(name))
        context.width, context.height, context.pix_fmt = 256, 256, usual_format(name)
        context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
        context.options = encoder_options(EncodeConfig(codec=name))
        frame = av.VideoFrame(256, 256, context.pix_fmt)
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        return bool([*context.encode(frame), *context.encode(None)])
    except (av.FFmpegError, ValueError, RuntimeError, NotImplementedError):
        return False


def usual_format(name: str) -> str:
    """Return a pixel format that an encoder takes, an ordinary one if it can."""
    formats = [form.name for form in Codec(name, "w").video_formats or ()]
    return next((form for form in ("yuv420p", "nv12") if form in formats), "nv12" if name in HARDWARE or not formats else formats[0])
