"""espeak: text -> sound and phonemes, with libespeak-ng.

The library tells when each phoneme starts, so a mouth that follows it fits the sound by construction.  It is the system's,
loaded when it is needed, and no part of redub.

What it says depends on what it has said before, and it cannot be set up twice in a process; so that the same text always
sounds the same, each is said by a process of its own, which runs this file and imports little.
"""

from __future__ import annotations

import ctypes as c
import ctypes.util
import json
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from redub.errors import RedubError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Phones = list[tuple[float, str]]
"""When each phoneme starts, in seconds, and which it is, in IPA; a pause is an empty one."""

_NAMES = ("libespeak-ng.so.1", "libespeak-ng.1.dylib", "libespeak-ng.dylib", "libespeak-ng.dll")
_AUDIO_SYNCHRONOUS, _PHONEMES_AS_IPA = 2, 3
_RATE, _PITCH, _RANGE = 1, 3, 4
_PHONEME_EVENT = 7
_UTF8 = 1
_NO_VOICE = 3


class _Id(c.Union):
    _fields_ = (("number", c.c_int), ("name", c.c_char_p), ("string", c.c_char * 8))


class _Event(c.Structure):
    _fields_ = (
        ("type", c.c_int),
        ("uid", c.c_uint),
        ("text", c.c_int),
        ("length", c.c_int),
        ("audio_ms", c.c_int),
        ("sample", c.c_int),
        ("user", c.c_void_p),
        ("id", _Id),
    )


@cache
def load_espeak() -> tuple[Any, int]:
    """Return libespeak-ng, set up once (it cannot be a second time), and its rate in Hz.

    Raises:
        RedubError: It is not installed, or finds no data.
    """
    found = ctypes.util.find_library("espeak-ng")
    for name in (*_NAMES, *([found] if found else [])):
        try:
            library = c.CDLL(name)
            break
        except OSError:
            continue
    else:
        raise RedubError(
            "The speech synthesiser's library libespeak-ng is not installed.",
            "Install it:  apt-get install libespeak-ng1  (elsewhere the package is espeak-ng); or give recorded speech with --speech.",
        )
    rate_hz = int(library.espeak_Initialize(_AUDIO_SYNCHRONOUS, 0, None, _PHONEMES_AS_IPA))
    if rate_hz <= 0:
        raise RedubError("libespeak-ng finds its voices no more.", "Install its data too:  apt-get install espeak-ng-data")
    return library, rate_hz


def say(text: str, voice: str, words_per_minute: int, pitch: int, liveliness: int) -> tuple[NDArray[np.int16], int, Phones]:
    """Say a text.

    Args:
        text: To say.
        voice: espeak-ng's name of a language, with a variant behind a plus sign or none.
        words_per_minute: 80 to 450.
        pitch: 0 to 99.
        liveliness: How far the pitch moves, 0 to 99.

    Returns:
        Samples (N,), their rate in Hz, and the phonemes.

    Raises:
        RedubError: The library or the voice is missing, or nothing comes of it.
    """
    import numpy as np

    load_espeak()
    order = json.dumps([text, voice, words_per_minute, pitch, liveliness]).encode()
    try:
        done = subprocess.run([sys.executable, "-m", __name__], input=order, capture_output=True, check=False, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RedubError(f"espeak-ng does not answer: {error}.", "Another version of libespeak-ng may.") from error
    if done.returncode == _NO_VOICE:
        raise RedubError(f"espeak-ng has no voice {voice!r}.", "See which there are with:  espeak-ng --voices")
    head, _, sound = done.stdout.partition(b"\n")
    if done.returncode or not sound:
        raise RedubError(f"espeak-ng says nothing with the voice {voice!r}.", "Choose other languages with --languages.")
    rate_hz, phones = json.loads(head)
    return np.frombuffer(sound, np.int16), int(rate_hz), [(float(start), str(phone)) for start, phone in phones]


def _speak(text: str, voice: str, words_per_minute: int, pitch: int, liveliness: int) -> int:
    """Write rate and phonemes as a line of JSON, then the samples, to standard output; return the exit status."""
    library, rate_hz = load_espeak()
    sound: list[bytes] = []
    phones: Phones = []

    def collect(wave: Any, count: int, events: Any) -> int:
        if wave and count:
            sound.append(c.string_at(wave, 2 * count))
        at = 0
        while events[at].type:
            if events[at].type == _PHONEME_EVENT:
                phones.append((events[at].audio_ms / 1000, events[at].id.string.decode("utf8", "ignore")))
            at += 1
        return 0

    callback = c.CFUNCTYPE(c.c_int, c.POINTER(c.c_short), c.c_int, c.POINTER(_Event))(collect)
    library.espeak_SetSynthCallback(callback)
    if not voice or library.espeak_SetVoiceByName(voice.encode()):
        return _NO_VOICE
    for number, value in ((_RATE, words_per_minute), (_PITCH, pitch), (_RANGE, liveliness)):
        library.espeak_SetParameter(number, value, 0)
    data = text.encode()
    library.espeak_Synth(data, len(data) + 1, 0, 1, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    sys.stdout.buffer.write(json.dumps([rate_hz, phones]).encode() + b"\n" + b"".join(sound))
    return 0


if __name__ == "__main__":
    sys.exit(_speak(*json.loads(sys.stdin.buffer.read())))
