"""picture: frames -> packets of the encoded picture.

Frames go to the encoder in the pixel format in which they were decoded whenever it takes that; otherwise they are
converted once, to the nearest format that it takes, and the user is told what is lost.
"""

from __future__ import annotations

from typing import Any

import av
from av.codec.codec import PixFmtLoss, find_best_pix_fmt_of_list
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.reformatter import Interpolation, VideoReformatter

from redub.config import EncodeConfig
from redub.errors import MediaError
from redub.media.colour import FULL_RANGE, guess_matrix
from redub.media.encoders import add_encoder, find_encoder, open_encoder
from redub.media.planes import Layout, copy_facts, find_layout, sample_views
from redub.media.reader import VideoReader

_CONVERSION = int(Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP)
_INTERLACED = 1 << 18 | 1 << 29
"""AV_CODEC_FLAG_INTERLACED_DCT and _ME."""
_PQ = 16


class Picture:
    """The encoder of the picture and its stream in the result."""

    def __init__(self, output: OutputContainer, source: VideoReader, config: EncodeConfig, notices: list[str]) -> None:
        self.source = source
        codec = find_encoder(config.codec)
        self.format = _choose_format(codec, source, config.codec, notices)
        stream = add_encoder(output, config, source.nominal_rate)
        self.stream = stream
        context = stream.codec_context
        context.height, context.width = source.native_size
        context.pix_fmt = self.format
        context.time_base = stream.time_base = source.time_base
        context.sample_aspect_ratio = source.sample_aspect
        # PyAV asks for slices by default, which cost x264 quality.
        context.thread_type = "FRAME"
        self._set_colour(context)
        self._set_fields(context, config.codec, notices)
        if source.display_matrix is not None:
            stream.set_display_matrix(source.display_matrix)
        if source.color_transfer == _PQ:
            notices.append("The HDR mastering data (brightness of the mastering screen) is not carried over.")
        if source.hides_alpha:
            notices.append("The picture's transparency is stored apart from it and is lost.")
        open_encoder(context, config)
        self._reformatter = VideoReformatter()
        self._lengths: dict[int, int] = {}

    def _set_colour(self, context: Any) -> None:
        source = self.source
        self.range, self.matrix = source.color_range, source.color_matrix
        layout = find_layout(source.pixel_format)
        if layout is not None and layout.is_full and layout.kind == "yuv":
            self.range = FULL_RANGE
        target = find_layout(self.format)
        if (layout is None or layout.kind == "rgb") and target is not None and target.kind != "rgb":
            self.range, self.matrix = 1, guess_matrix(*source.native_size)
        context.color_range, context.colorspace = self.range, self.matrix
        context.color_primaries, context.color_trc = source.color_primaries, source.color_transfer

    def _set_fields(self, context: Any, codec: str, notices: list[str]) -> None:
        if not self.source.is_interlaced:
            return
        if codec == "libx264":
            context.flags |= _INTERLACED
        else:
            notices.append(f"The picture is interlaced; {codec} writes it as if it were not.")

    def encode(self, native: av.VideoFrame, pts: int, ticks: int) -> list[av.Packet[Any]]:
        """Encode a frame that is shown at ``pts`` for ``ticks``, in the source's time base."""
        frame = self._converted(native)
        before = (frame.pts, frame.dts, frame.duration, frame.time_base, frame.pict_type)
        self._lengths[pts] = ticks
        # The source's own choice of key frames is of no use to the new encoder.
        frame.pts, frame.dts, frame.duration, frame.time_base = pts, None, ticks, self.source.time_base
        frame.pict_type = PictureType.NONE
        try:
            return self._timed(self.stream.encode(frame))
        finally:
            # Others may hold the same picture, under another time.
            frame.pts, frame.dts, frame.duration, time_base, frame.pict_type = before
            if time_base is not None:
                frame.time_base = time_base

    def flush(self) -> list[av.Packet[Any]]:
        """Return what the encoder still holds."""
        return self._timed(self.stream.encode(None))

    def _timed(self, packets: list[av.Packet[Any]]) -> list[av.Packet[Any]]:
        for packet in packets:
            # Encoders guess a length from the rate; the last frame's would be wrong in a file of variable rate.
            packet.duration = self._lengths.pop(packet.pts if packet.pts is not None else -1, packet.duration or 0)
        return packets

    def _converted(self, native: av.VideoFrame) -> av.VideoFrame:
        if native.format.name == self.format:
            return native
        layout, target = find_layout(native.format.name), find_layout(self.format)
        if layout is not None and layout.kind == "gray" and target is not None and target.places[0] == layout.places[0]:
            return _coloured(native, layout, self.format, target)
        is_rgb = native.format.is_rgb or native.format.has_palette
        is_full = is_rgb or (layout is not None and layout.is_full) or int(native.color_range) == FULL_RANGE
        return self._reformatter.reformat(
            native,
            format=self.format,
            src_colorspace=None if is_rgb else self.matrix,
            dst_colorspace=self.matrix,
            src_color_range=FULL_RANGE if is_full else 1,
            dst_color_range=self.range or 1,
            interpolation=_CONVERSION,
        )


def _coloured(native: av.VideoFrame, layout: Layout, name: str, target: Layout) -> av.VideoFrame:
    """Give a gray picture colourless chroma; FFmpeg's scaler would change its range as well."""
    fresh = av.VideoFrame(native.width, native.height, name)
    luma, *chroma = sample_views(fresh, target)
    luma[:] = sample_views(native, layout)[0] << target.shift
    for view in chroma:
        view[:] = 1 << (target.bits + target.shift - 1)
    copy_facts(native, fresh)
    return fresh


def _choose_format(codec: Any, source: VideoReader, name: str, notices: list[str]) -> str:
    """Choose the encoder's pixel format: the source's own, or the one that loses least."""
    own = source.pixel_format
    layout = find_layout(own)
    offered = [form.name for form in codec.video_formats or ()] or ["nv12"]
    height, width = source.native_size
    if name in ("libx264", "libx265") and (height % 2 or width % 2) and _is_halved(layout, height, width):
        notices.append(
            f"{name} cannot hold {width} x {height} px with 4:2:0 colour, so the colour is written at full size (4:4:4), which some "
            "players do not show; --set encode.codec=libvpx-vp9 keeps it as it is."
        )
        offered = [form for form in offered if form.startswith("yuv444p")]
    elif own in offered and (name == "ffv1" or (layout is not None and layout.kind == "yuv")):
        return own
    elif layout is None or layout.kind != "yuv":
        # Players expect 4:2:0, of gray pictures and of screen recordings; what these lose by it is told.
        usual = ("yuv420p10le", "p010le") if layout is not None and layout.bits > 8 else ("yuv420p", "nv12")
        offered = [form for form in usual if form in offered][:1] or offered
    plain = own.replace("yuvj", "yuv")
    found, loss = find_best_pix_fmt_of_list([form for form in offered if not form.startswith("yuvj")], plain, source.has_alpha)
    if found is None:
        raise MediaError(f"{name} does not take {own} pictures.", "Choose another encoder; see them with:  redub doctor")
    lost = [word for flag, word in _LOSSES.items() if loss & flag]
    if lost and (layout is None or layout.kind != "gray"):
        notices.append(f"The picture is converted from {own} to {found.name} for {name}, at a loss of {' and '.join(lost)}.")
    return found.name


_LOSSES = {
    PixFmtLoss.DEPTH: "colour depth",
    PixFmtLoss.RESOLUTION: "colour resolution",
    PixFmtLoss.ALPHA: "transparency",
    PixFmtLoss.CHROMA: "colour",
}


def _is_halved(layout: Layout | None, height: int, width: int) -> bool:
    """Say whether the last column or line shares its colour with one that does not exist."""
    if layout is None or layout.kind != "yuv":
        return True
    wide, high = layout.chroma_shift
    return bool(width % (1 << wide) or height % (1 << high))
