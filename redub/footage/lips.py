"""lips: phonemes and loudness -> how far each expression of the mouth goes, frame by frame.

Each phoneme pulls jaw, lips and their rounding towards its own shape, with a strength that swells before it sounds and
fades after it; what is seen is the weighted mean of all pulls (dominance, after Cohen and Massaro 1993).  Rounding reaches
farther ahead than the jaw; p, b, m and f, v close whatever stands beside them.  Loud syllables open wider than soft ones.
"""

from __future__ import annotations

import numpy as np

from redub.footage.espeak import Phones
from redub.footage.person import Person
from redub.types import Doubles

CONTROLS = (
    "jawOpen", "mouthLowerDown", "mouthUpperUp", "mouthFunnel", "mouthPucker", "mouthStretch", "mouthSmile",
    "mouthPress", "mouthRollLower", "mouthRollUpper",
)  # fmt: skip
"""The kit's expressions that speech moves."""
_GROUPS = {"jaw": slice(0, 1), "open": slice(1, 3), "round": slice(3, 5), "spread": slice(5, 7)}
_LEAD_S = {"jaw": 0.030, "open": 0.030, "round": 0.060, "spread": 0.040}
_REACH_S = {"jaw": 0.045, "open": 0.045, "round": 0.075, "spread": 0.060}
STEP_S = 0.005

_SHAPES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    # jaw, lower, upper, funnel, pucker, stretch, smile; how strongly it insists on jaw, opening, rounding, spreading
    "rest": ((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), (0.8, 0.8, 0.5, 0.5)),
    "a": ((0.58, 0.26, 0.12, 0.0, 0.0, 0.05, 0.0), (1.0, 1.0, 0.7, 0.6)),
    "e": ((0.36, 0.26, 0.10, 0.0, 0.0, 0.24, 0.08), (0.9, 0.9, 0.7, 0.8)),
    "ə": ((0.24, 0.18, 0.06, 0.05, 0.0, 0.04, 0.0), (0.5, 0.5, 0.25, 0.25)),
    "i": ((0.17, 0.24, 0.09, 0.0, 0.0, 0.34, 0.24), (0.9, 0.9, 0.9, 1.0)),
    "y": ((0.16, 0.06, 0.0, 0.35, 0.50, 0.0, 0.0), (0.9, 0.8, 1.0, 0.9)),
    "o": ((0.40, 0.10, 0.0, 0.52, 0.22, 0.0, 0.0), (1.0, 0.8, 1.0, 0.8)),
    "u": ((0.19, 0.04, 0.0, 0.32, 0.66, 0.0, 0.0), (0.9, 0.8, 1.0, 0.9)),
    "m": ((0.05, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), (0.6, 0.9, 0.1, 0.1)),
    "f": ((0.07, 0.0, 0.22, 0.0, 0.0, 0.05, 0.0), (0.8, 0.9, 0.3, 0.3)),
    "w": ((0.12, 0.02, 0.0, 0.22, 0.74, 0.0, 0.0), (0.8, 0.8, 1.0, 0.9)),
    "s": ((0.06, 0.26, 0.12, 0.0, 0.0, 0.24, 0.05), (1.0, 0.6, 0.25, 0.5)),
    "S": ((0.10, 0.18, 0.12, 0.55, 0.22, 0.0, 0.0), (0.9, 0.6, 0.9, 0.6)),
    "T": ((0.18, 0.20, 0.06, 0.0, 0.0, 0.08, 0.0), (0.7, 0.5, 0.2, 0.2)),
    "t": ((0.14, 0.17, 0.04, 0.0, 0.0, 0.06, 0.0), (0.5, 0.35, 0.1, 0.15)),
    "k": ((0.22, 0.12, 0.03, 0.0, 0.0, 0.0, 0.0), (0.3, 0.2, 0.05, 0.05)),
    "r": ((0.17, 0.10, 0.02, 0.28, 0.10, 0.0, 0.0), (0.5, 0.4, 0.4, 0.2)),
}
_LETTERS = {
    "a": "aɑɐæʌäã", "e": "eɛœøẽ", "ə": "əɜɚɘɵ", "i": "iɪjɨĩ", "y": "yʏɥ", "o": "oɔɒõ", "u": "uʊɯũ", "m": "mbpɱ", "f": "fvʋ", "w": "wβɸ",
    "s": "sz", "S": "ʃʒʂʐɕʑ", "T": "θðɬ", "t": "tdnlɫɾʎɲɭɳʈɖ", "k": "kɡgŋxɣhqχħʔcɟɦɰ", "r": "rɹʁʀɻ",
}  # fmt: skip
CLASS = {letter: name for name, letters in _LETTERS.items() for letter in letters}


def kind_of(phone: str) -> str:
    """Return the class of a phoneme in IPA; a pause and what is unknown rest."""
    return next((CLASS[letter] for letter in phone if letter in CLASS), "rest")


def speech_curve(phones: Phones, end_s: float, loudness: Doubles, person: Person, times_s: Doubles) -> Doubles:
    """Return how far each of `CONTROLS` goes: (T, 10).

    Args:
        phones: From `espeak.say`.
        end_s: When the sound ends.
        loudness: (L,) from 0 to 1 every `STEP_S`.
        person: Says how far jaw and lips go.
        times_s: (T,) rising.
    """
    fine_s = np.arange(0, max(end_s, float(times_s[-1])) + 0.3, STEP_S)
    first = phones[0][0] if phones else end_s
    starts = np.array([0.0, *(start for start, _ in phones)])
    kinds = ["rest", *(kind_of(phone) for _, phone in phones)]
    stops = np.append(starts[1:], max(end_s, first) + 0.3)
    stops[-1] = fine_s[-1]
    kept = stops - starts > 0.004
    starts, stops = starts[kept], stops[kept]
    kinds = [kind for kind, keep in zip(kinds, kept, strict=True) if keep]
    curve = _blend(starts, stops, kinds, fine_s, person)
    curve *= _loud(loudness, fine_s)[:, None] * np.array([person.jaw, person.jaw, *[person.lip] * 8])
    _close(curve, starts, stops, kinds, fine_s, person)
    return np.stack([np.interp(times_s, fine_s, each) for each in _settle(curve).T], 1)


def _blend(starts: Doubles, stops: Doubles, kinds: list[str], fine_s: Doubles, person: Person) -> Doubles:
    shapes = np.array([_SHAPES[kind][0] for kind in kinds])
    insists = np.array([_SHAPES[kind][1] for kind in kinds])
    curve = np.zeros((len(fine_s), len(CONTROLS)))
    inner = 0.3 * np.minimum(stops - starts, 0.15)
    for column, (group, which) in enumerate(_GROUPS.items()):
        lead_s = _LEAD_S[group] + person.hurry_s
        before = starts + inner - lead_s - fine_s[:, None]
        after = fine_s[:, None] - (stops - inner - 0.6 * lead_s)
        # Lips round early and let go sooner.
        away = np.maximum(np.maximum(before / (_REACH_S[group] * 1.25), after / _REACH_S[group]), 0)
        pull = insists[:, column] * np.exp(-(np.minimum(away, 8) ** 1.4))
        total = pull.sum(1, keepdims=True)
        curve[:, which] = (pull @ shapes[:, which]) / np.maximum(total, 1e-3) * np.minimum(total / 0.05, 1)
    return curve


def _loud(loudness: Doubles, fine_s: Doubles) -> Doubles:
    level = loudness[np.minimum((fine_s / STEP_S).astype(int), len(loudness) - 1)] if len(loudness) else np.ones(len(fine_s))
    return np.asarray(0.72 + 0.42 * _smooth(level, 0.06))


def _close(curve: Doubles, starts: Doubles, stops: Doubles, kinds: list[str], fine_s: Doubles, person: Person) -> None:
    """Let the lips meet for p, b and m, and the lower lip tuck under the teeth for f and v."""
    for kind, keeps in (("m", (0.22, 0.0, 0.0, 0.35, 0.45, 0.4, 0.5)), ("f", (0.45, 0.25, 0.9, 0.5, 0.5, 0.9, 0.9))):
        shut = np.zeros(len(fine_s))
        for start, stop in ((a, b) for a, b, name in zip(starts, stops, kinds, strict=True) if name == kind):
            # Closed when the sound says so, and a moment before; the way there takes some 60 ms.
            rise, fall = (
                np.clip((fine_s - start + 0.065) / 0.055, 0, 1),
                np.clip((max(stop - 0.005, start + 0.03) - fine_s) / 0.05 + 0.4, 0, 1),
            )
            both = np.minimum(rise, fall)
            shut = np.maximum(shut, both * both * (3 - 2 * both))
        curve[:, :7] *= 1 - shut[:, None] * (1 - np.array(keeps))
        if kind == "m":
            curve[:, 7] += 0.30 * shut
            curve[:, 8] += 0.06 * shut
            curve[:, 9] += 0.05 * shut
        else:
            curve[:, 8] += 0.42 * shut * min(person.lip, 1.0)


def _settle(curve: Doubles) -> Doubles:
    return np.stack([_smooth(each, 0.014) for each in curve.T], 1)


def _smooth(values: Doubles, spread_s: float) -> Doubles:
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(values, spread_s / STEP_S, mode="nearest"))
