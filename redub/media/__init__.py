"""media: files in and out; the only package that imports PyAV."""

from redub.media.frame import Frame
from redub.media.paint import mix, paint
from redub.media.reader import VideoReader, open_video

__all__ = ["Frame", "VideoReader", "mix", "open_video", "paint"]
