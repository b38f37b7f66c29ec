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
FAINTEST_DBFS, LOUDEST_DBFS = -85.0, -30.0
"""How loud a room without speech may be."""
STEEPEST = 2.2
"""Noise falls with frequency, its power as one over this power of it at most; pink noise has 1."""
ROOM_S, ROOM_WINDOWS = 1.6, 32
HUM_SHARE = 0.3
"""So many rooms hum, with the mains or a fan."""


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
    times_s = times_s - piece.offset_s
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


def room_windows(count: int, random: np.random.Generator) -> Floats:
    """Return windows of rooms in which nobody speaks, each room with a noise of its own: (count, 12, 35)."""
    times_s = np.linspace(0.3, ROOM_S - 0.3, ROOM_WINDOWS)
    rooms = [speech_windows(room_noise(random), times_s) for _ in range(-(-count // ROOM_WINDOWS))]
    return np.concatenate(rooms)[:count]


def room_noise(random: np.random.Generator) -> Floats:
    """Return the noise of a room: (25600,) at 16 kHz."""
    samples = round(ROOM_S * RATE_HZ)
    spectrum = np.fft.rfft(random.normal(size=samples))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(samples, 1 / RATE_HZ), 20.0) / 20)
    bends_db = np.interp(octaves, np.linspace(0, octaves[-1], KNOTS), random.normal(0, 3.0, KNOTS))
    slope_db = -3.01 * random.uniform(0, STEEPEST) * octaves
    noise = np.fft.irfft(spectrum * 10 ** ((slope_db + bends_db) / 20), samples)
    if random.random() < HUM_SHARE:
        tones = random.uniform(45, 130) * np.arange(1, 12)
        time_s = np.arange(samples) / RATE_HZ
        strengths = random.uniform(0, 2.0) * random.exponential(1.0, len(tones)) / np.arange(1, len(tones) + 1)
        noise = noise + _rms(noise) * np.sin(2 * np.pi * tones * time_s[:, None] + random.uniform(0, 6.28, len(tones))) @ strengths
    # Nothing is quite steady: a fan turns, a car goes by.
    swell = np.interp(np.arange(samples), np.linspace(0, samples, 5), random.normal(0, 1.5, 5))
    level = 10 ** ((random.uniform(FAINTEST_DBFS, LOUDEST_DBFS) + swell) / 20)
    return np.asarray(noise / (_rms(noise) + 1e-12) * level, np.float32)


def loudness(speech: Floats, times_s: Doubles) -> Floats:
    """Return the root mean square around each instant: (N,), (T,) -> (T,)."""
    edges = np.rint((times_s[:, None] + np.array([-LOUDNESS_S / 2, LOUDNESS_S / 2])) * RATE_HZ).astype(np.int64)
    power = np.concatenate([[0.0], np.cumsum(speech.astype(np.float64) ** 2)])
    start, stop = np.clip(edges, 0, len(speech)).T
    return np.asarray(np.sqrt((power[stop] - power[start]) / np.maximum(stop - start, 1)), np.float32)


def _rms(values: Doubles) -> float:
    return float(np.sqrt(np.mean(values**2)))
