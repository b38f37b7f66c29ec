"""person: a seed -> who somebody is: the shape of their head, what colours they have, how they sound and move.

Whatever belongs to the person is drawn here, from the seed and their number alone, so that all their clips show the same one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from redub.types import Doubles, Floats

# From the palest to the darkest human skin: how much of red, green and blue light it returns.
_TONES = np.array(
    [[0.76, 0.55, 0.46], [0.60, 0.38, 0.29], [0.44, 0.25, 0.165], [0.26, 0.135, 0.08], [0.13, 0.066, 0.04], [0.07, 0.036, 0.024]]
)
_HAIR = np.array(
    [[0.012, 0.010, 0.009], [0.035, 0.020, 0.012], [0.085, 0.045, 0.022], [0.20, 0.115, 0.05], [0.34, 0.235, 0.12], [0.16, 0.05, 0.018]]
)
_GREY = np.array([0.36, 0.36, 0.37])
_IRISES = np.array(
    [[0.045, 0.022, 0.012], [0.10, 0.05, 0.02], [0.14, 0.11, 0.04], [0.10, 0.15, 0.09], [0.12, 0.18, 0.26], [0.20, 0.24, 0.26]]
)
_CUTS = ("bald", "shaved", "short", "full", "medium", "long")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who does not exist."""

    number: int
    shape: Floats
    """(I,) weights of the kit's identities."""
    skin: Doubles
    """(3,) linear RGB."""
    lips: Doubles
    lipstick: float
    """0 none, 1 opaque."""
    hair: Doubles
    brows: Doubles
    brow_weight: float
    """How thick and dense, about 1."""
    iris: Doubles
    teeth: Doubles
    cut: str
    """bald, shaved, short, full, medium or long."""
    hairline: tuple[float, float]
    """How far back it stands, in the kit's units, and how it wavers."""
    curl: float
    parting: float
    beard: float
    """0 none, up to 0.4 stubble, up to 1 a full beard."""
    moustache: float
    freckles: float
    blush: float
    lash: float
    gloss: float
    age: float
    """0 to 1: how uneven the skin is."""
    is_deep: bool
    """The voice, and so what else goes with it."""
    pitch: int
    """0 to 99, as the synthesiser counts."""
    timbre: str
    """The synthesiser's variant of the voice."""
    jaw: float
    lip: float
    """How far jaw and lips go in speech, about 1."""
    hurry_s: float
    """How early lips begin, more or less than others."""
    smile: float
    asymmetry: float
    paint_seed: int


def make_person(seed: int, number: int, identities: int) -> Person:
    """Draw a person.

    Args:
        seed: Of the whole folder.
        number: Which person.
        identities: How many shapes the kit has.
    """
    chance = np.random.default_rng([seed, 1, number])
    is_deep = bool(chance.random() < 0.5)
    depth = chance.random()
    at = depth * (len(_TONES) - 1)
    skin = np.exp([np.interp(at, range(len(_TONES)), np.log(_TONES[:, i])) for i in range(3)])
    skin = skin * (1 + chance.normal(0, 0.045, 3)) * chance.uniform(0.9, 1.1)
    hair, brows = _hair(chance, depth)
    lipstick = float(chance.uniform(0.4, 0.9)) if not is_deep and chance.random() < 0.3 else 0.0
    red = np.array([0.97, 0.60, 0.60]) if depth < 0.55 else np.array([0.98, 0.74, 0.76])
    lips = skin * red * chance.uniform(0.82, 1.08)
    if lipstick:
        lips = np.array([[0.26, 0.05, 0.05], [0.34, 0.14, 0.13], [0.19, 0.06, 0.05], [0.26, 0.075, 0.10]])[chance.integers(4)]
        lips = lips * np.clip(skin[0] / 0.45, 0.45, 1)
    beard = float(chance.choice([0.0, chance.uniform(0.1, 0.4), chance.uniform(0.5, 1.0)], p=[0.4, 0.35, 0.25])) if is_deep else 0.0
    moustache = beard if chance.random() < 0.75 else 0.3 * beard
    if is_deep and chance.random() < 0.05:
        moustache = float(chance.uniform(0.5, 1))
    # A camera lets dark faces have more light, which teeth must not get as well.
    bright = float(np.clip(skin[0] / 0.45, 0.55, 1) * chance.uniform(0.75, 1.12))
    cut = str(chance.choice(_CUTS, p=[0.1, 0.15, 0.33, 0.27, 0.1, 0.05] if is_deep else [0.01, 0.04, 0.13, 0.2, 0.27, 0.35]))
    iris_at = min(int(chance.exponential(1.8 if depth < 0.4 else 0.5)), len(_IRISES) - 1)
    return Person(
        number=number,
        shape=np.clip(chance.normal(0, 0.62, identities), -1.5, 1.5).astype(np.float32),
        skin=skin, lips=lips, lipstick=lipstick, hair=hair, brows=brows,
        brow_weight=float(np.clip(chance.normal(1.12 if is_deep else 0.9, 0.2), 0.5, 1.6)),
        iris=_IRISES[iris_at] * chance.uniform(0.7, 1.35),
        teeth=np.array([0.50, 0.46, 0.385]) * bright * (1 + chance.normal(0, 0.03, 3)),
        cut=cut,
        hairline=(float(chance.exponential(0.7) if is_deep else chance.uniform(-1.0, 0.5)), float(chance.uniform(0.5, 1.6))),
        curl=float(np.clip(chance.normal(0.25 + 0.6 * (depth > 0.7), 0.25), 0, 1)),
        parting=float(chance.uniform(-3.2, 3.2)),
        beard=beard,
        moustache=moustache,
        freckles=float(chance.uniform(0.3, 1) if depth < 0.4 and chance.random() < 0.3 else chance.uniform(0, 0.15)),
        blush=float(chance.uniform(0.3, 1.3)), lash=float(chance.uniform(0.55, 0.8) if is_deep else chance.uniform(0.7, 1.0)),
        gloss=float(chance.uniform(0.35, 1.15) * (1 - 0.3 * depth)), age=float(chance.beta(1.3, 2.0)),
        is_deep=is_deep,
        pitch=int(chance.integers(15, 48) if is_deep else chance.integers(45, 85)),
        timbre=f"{'m' if is_deep else 'f'}{chance.integers(1, 8 if is_deep else 6)}",
        jaw=float(chance.uniform(0.72, 1.22)), lip=float(chance.uniform(0.75, 1.2)), hurry_s=float(chance.normal(0, 0.008)),
        smile=float(np.clip(chance.normal(0.08, 0.09), -0.05, 0.3)), asymmetry=float(chance.normal(0, 0.07)),
        paint_seed=int(chance.integers(2**31)),
    )  # fmt: skip


def _hair(chance: np.random.Generator, depth: float) -> tuple[Doubles, Doubles]:
    """Return the colours of hair and brows; the darker the skin, the darker they mostly are."""
    kind = int(chance.choice(6, p=[0.16, 0.26, 0.24, 0.14, 0.12, 0.08])) if depth < 0.4 else int(chance.choice(3, p=[0.7, 0.22, 0.08]))
    natural = _HAIR[kind] * chance.uniform(0.75, 1.3)
    grey = float(chance.uniform(0.3, 0.95)) if chance.random() < 0.12 else 0.0
    hair = natural * (1 - grey) + _GREY * grey * chance.uniform(0.35, 0.9)
    brows = np.minimum(natural * 0.8, [0.14, 0.08, 0.045]) * (1 - 0.5 * grey) + _GREY * 0.25 * grey
    return hair, brows
