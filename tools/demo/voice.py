"""voice: phonemes -> how far each expression of the face goes at every frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from redub.footage.espeak import Phones

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
