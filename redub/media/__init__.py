"""media: files in and out; the only package that imports PyAV."""

from redub.media.delay import delay_sound
from redub.media.encoders import available_encoders
from redub.media.frame import Frame
from redub.media.mark import SyntheticMark, read_mark
from redub.media.paint import mix, paint
from redub.media.probe import FileFacts, StreamFacts, probe
from redub.media.reader import VideoReader, open_video
from redub.media.sound import Speech, check_sound, open_speech, sound_duration
from redub.media.trial import check_can_write
from redub.media.writer import VideoWriter

__all__ = [
    "FileFacts",
    "Frame",
    "Speech",
    "StreamFacts",
    "SyntheticMark",
    "VideoReader",
    "VideoWriter",
    "available_encoders",
    "check_can_write",
    "check_sound",
    "delay_sound",
    "mix",
    "open_speech",
    "open_video",
    "paint",
    "probe",
    "read_mark",
    "sound_duration",
]
