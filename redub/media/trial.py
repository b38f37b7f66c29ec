"""trial: a target and settings -> one clear error now, or none later.

What a container takes and what an encoder can be told is known for certain only by doing it, so a small picture is
encoded into a file beside the target, which is removed again.  It costs a moment; an analysis costs minutes.
"""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from redub.config import EncodeConfig
from redub.media.encoders import add_encoder, fitting, open_encoder, usual_format, write_header
from redub.media.place import Part, clear_errors, find_container
from redub.media.soundtrack import check_encoder


def check_can_write(target: Path, encode: EncodeConfig) -> None:
    """Find out whether a file can be written where and how it is asked for.

    Raises:
        MediaError: The folder is missing or cannot be written, the disk is full, an encoder is unknown or does not work
            here, does not take its preset or quality, or does not go into this container.
    """
    container = find_container(target)
    encode = fitting(encode, container, [])
    if encode.audio_codec not in ("auto", "copy"):
        check_encoder(container, encode.audio_codec)
    part = Part(target)
    try:
        with clear_errors(target):
            _write(part.path, container, encode)
    finally:
        part.discard()


def _write(path: Path, container: str, encode: EncodeConfig) -> None:
    output: Any = av.open(f"file:{path}", "w", format=container)
    try:
        stream = add_encoder(output, encode, Fraction(25))
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = 256, 256, usual_format(encode.codec)
        context.time_base = Fraction(1, 25)
        open_encoder(context, encode)
        write_header(output, encode.codec)
        frame = av.VideoFrame(256, 256, context.pix_fmt)
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        output.mux([*stream.encode(frame), *stream.encode(None)])
        output.close()
    finally:
        # After a failure, closing only fails once more.
        with contextlib.suppress(av.FFmpegError, OSError):
            output.close()
