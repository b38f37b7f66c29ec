"""voice: text -> sound, phonemes and how far each expression of the face goes at every frame.

espeak-ng tells when each phoneme starts, so the mouth fits the sound by construction.
"""

from __future__ import annotations

import ctypes as c
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

Phones = list[tuple[float, str]]

# How far each expression goes for a class of phonemes, from 0 to 1.
SHAPES: dict[str, dict[str, float]] = {
    "rest": {},
    "a": {"jawOpen": 0.50, "mouthLowerDown": 0.25, "mouthUpperUp": 0.12},
    "e": {"jawOpen": 0.30, "mouthStretch": 0.22, "mouthLowerDown": 0.25, "mouthUpperUp": 0.10},
    "i": {"jawOpen": 0.15, "mouthSmile": 0.25, "mouthStretch": 0.30, "mouthLowerDown": 0.25, "mouthUpperUp": 0.08},
    "o": {"jawOpen": 0.36, "mouthFunnel": 0.50, "mouthPucker": 0.20},
    "u": {"jawOpen": 0.17, "mouthPucker": 0.65, "mouthFunnel": 0.25},
    "m": {"mouthPress": 0.30},
    "f": {"jawOpen": 0.08, "mouthRollLower": 0.35, "mouthUpperUp": 0.25},
    "w": {"jawOpen": 0.09, "mouthPucker": 0.75},
    "s": {"jawOpen": 0.08, "mouthStretch": 0.28, "mouthLowerDown": 0.28, "mouthUpperUp": 0.12},
    "S": {"jawOpen": 0.12, "mouthFunnel": 0.55, "mouthPucker": 0.25},
    "t": {"jawOpen": 0.15, "mouthLowerDown": 0.20},
    "k": {"jawOpen": 0.22, "mouthLowerDown": 0.10},
    "r": {"jawOpen": 0.15, "mouthFunnel": 0.30},
}
LETTERS = {
    "a": "aɑɐæʌäã",
    "e": "eɛəɜɚœøẽ",
    "i": "iɪjyʏĩ",
    "o": "oɔɒõ",
    "u": "uʊɯũ",
    "m": "mbpɱ",
    "f": "fvʋ",
    "w": "wɥβ",
    "s": "szθðɬ",
    "S": "ʃʒʂʐɕʑ",
    "t": "tdnlɫɾʎɲ",
    "k": "kɡgŋxɣhqχħʔc",
    "r": "rɹʁʀɻ",
}
CLASS = {letter: name for name, letters in LETTERS.items() for letter in letters}

_AUDIO_SYNCHRONOUS, _PHONEMES_AS_IPA = 2, 3
_RATE, _PITCH, _RANGE = 1, 3, 4
_PHONEME_EVENT = 7


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
def _library() -> tuple[Any, int]:
    """Return libespeak-ng, set up once (it cannot be a second time), and its rate in Hz."""
    library = c.CDLL("libespeak-ng.so.1")
    return library, library.espeak_Initialize(_AUDIO_SYNCHRONOUS, 0, None, _PHONEMES_AS_IPA)


def speak(text: str, voice: str, words_per_minute: int, pitch: int, liveliness: int) -> tuple[NDArray[np.int16], int, Phones]:
    """Say a text with libespeak-ng.

    Returns:
        Samples (N,), their rate in Hz, and the phonemes as (start in seconds, IPA).
    """
    library, rate_hz = _library()
    sound: list[NDArray[np.int16]] = []
    phones: Phones = []

    @c.CFUNCTYPE(c.c_int, c.POINTER(c.c_short), c.c_int, c.POINTER(_Event))
    def collect(wave: Any, count: int, events: Any) -> int:
        if wave and count:
            sound.append(np.ctypeslib.as_array(wave, (count,)).copy())
        at = 0
        while events[at].type:
            if events[at].type == _PHONEME_EVENT:
                phones.append((events[at].audio_ms / 1000, events[at].id.string.decode("utf8", "ignore")))
            at += 1
        return 0

    library.espeak_SetSynthCallback(collect)
    if library.espeak_SetVoiceByName(voice.encode()):
        raise SystemExit(f"espeak-ng has no voice {voice!r}")
    for number, value in ((_RATE, words_per_minute), (_PITCH, pitch), (_RANGE, liveliness)):
        library.espeak_SetParameter(number, value, 0)
    data = text.encode()
    library.espeak_Synth(data, len(data) + 1, 0, 1, 0, 1, None, None)
    library.espeak_Synchronize()
    return np.concatenate(sound), rate_hz, phones


def mouth_curve(names: list[str], phones: Phones, times_s: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the expression weights (T, E) of speech.

    The mouth moves a little before the sound, a shape runs into its neighbours, and the lips of m, b and p do meet
    whatever stands beside them.
    """
    step_s, lead_s, spread_s = 0.005, 0.04, 0.026
    fine_s = np.arange(0, times_s[-1] + 0.5, step_s)
    curve = np.zeros((len(fine_s), len(names)), np.float32)
    shut = np.zeros(len(fine_s), np.float32)
    stops = [start for start, _ in phones[1:]] + [fine_s[-1]]
    for (start, ipa), stop in zip(phones, stops, strict=True):
        kind = next((CLASS[letter] for letter in ipa if letter in CLASS), "rest")
        during = (fine_s >= start - lead_s) & (fine_s < stop - lead_s)
        curve[during] = weights_of(names, SHAPES[kind])
        shut[during] = kind == "m"
    curve = gaussian_filter1d(curve, spread_s / step_s, axis=0)
    shut = np.clip(gaussian_filter1d(shut, 0.018 / step_s) * 1.25, 0, 1)[:, None]
    opens = np.array([not name.startswith("mouthPress") for name in names])
    curve = np.where(opens, curve * (1 - shut), curve)
    return np.asarray(curve[np.searchsorted(fine_s, times_s)], np.float32)


def weights_of(names: list[str], wanted: dict[str, float]) -> NDArray[np.float32]:
    """Return the weights (E,) for named expressions; both sides move where the kit has two."""
    return np.array([next((v for k, v in wanted.items() if name in (k, f"{k}_L", f"{k}_R")), 0.0) for name in names], np.float32)
