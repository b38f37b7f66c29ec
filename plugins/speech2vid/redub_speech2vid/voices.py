"""voices: a piece of speech -> MFCC windows of it in several voices.

Windows are worked out when samples are collected, since each takes longer than a small network needs for it.  The first
voice is the recorded one; the others have another vocal tract, room, microphone and noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from redub.plugin import Piece
from redub.speech.features import RATE_HZ, speech_windows
from redub.types import Doubles, Floats
from redub_speech2vid.recipe import SampleSettings

LEVEL = 0.05
"""Root mean square that other voices have before their gain."""
KNOTS, HIGHEST = 8, 0.6
"""The gain over frequency bends at so many places, up to this share of the highest frequency."""
LOUDNESS_S = 0.04


def voiced_windows(piece: Piece, times_s: Doubles, settings: SampleSettings, random: np.random.Generator) -> NDArray[np.float16]:
    """Return the windows around some instants in all voices.

    Args:
        piece: Its sound may be early against its lips; windows are taken where the lips say them.
        times_s: (T,) counted from the piece's sound.
        settings: How many voices, and how different.
        random: Decides about the other voices.

    Returns:
        (T, voices, 12, 35).
    """
    times_s = times_s + piece.offset_s
    voices = [speech_windows(piece.speech, times_s)]
    for _ in range(settings.voices - 1):
        speech = change_voice(piece.speech, settings, random)
        shift = random.uniform(-settings.shift_s, settings.shift_s, len(times_s))
        warp = float(np.exp(random.uniform(-settings.warp, settings.warp)))
        voices.append(speech_windows(speech, times_s + shift, warp=warp))
    return np.stack(voices, axis=1).astype(np.float16)


def change_voice(speech: Floats, settings: SampleSettings, random: np.random.Generator) -> Floats:
    """Return speech as through another room and microphone, with noise: (N,) -> (N,)."""
    spectrum = np.fft.rfft(speech.astype(np.float64))
    gain_db = np.interp(np.linspace(0, 1, len(spectrum)), np.linspace(0, HIGHEST, KNOTS), random.normal(0, settings.eq_db, KNOTS))
    changed = np.fft.irfft(spectrum * 10 ** (gain_db / 20), len(speech))
    loudness = LEVEL * 10 ** (random.uniform(-settings.gain_db, settings.gain_db) / 20)
    changed *= loudness / (_rms(changed) + 1e-9)
    noise = random.normal(size=len(speech))
    if random.random() < 0.5:
        # Half of all noise rumbles: its power falls with frequency.
        noise = np.cumsum(noise)
        noise -= np.convolve(noise, np.ones(401) / 401, "same")
    ratio_db = random.uniform(settings.noise_least_db, max(settings.noise_least_db, settings.noise_most_db))
    changed += noise * (LEVEL * 10 ** (-ratio_db / 20) / (_rms(noise) + 1e-9))
    return changed.astype(np.float32)


def loudness(speech: Floats, times_s: Doubles) -> Floats:
    """Return the root mean square around each instant: (N,), (T,) -> (T,)."""
    edges = np.rint((times_s[:, None] + np.array([-LOUDNESS_S / 2, LOUDNESS_S / 2])) * RATE_HZ).astype(np.int64)
    power = np.concatenate([[0.0], np.cumsum(speech.astype(np.float64) ** 2)])
    start, stop = np.clip(edges, 0, len(speech)).T
    return np.asarray(np.sqrt((power[stop] - power[start]) / np.maximum(stop - start, 1)), np.float32)


def _rms(values: Doubles) -> float:
    return float(np.sqrt(np.mean(values**2)))
