"""attune: what an ear hears of a person, and the shapes their mouth has -> the ear's last layer for this person.

An ear has learnt few voices.  Where a new one is heard while its mouth is seen, the last, linear layer is learnt anew by
least squares, held to what it was (ridge regression): how strongly is found within the footage, each half of it judged by
what was learnt from the other.  Then each component is enlarged or lessened until it moves as far as this person's mouth does.
What is heard where nobody speaks must not change: little footage has silence in it, and a mouth that stands open in a pause is
worse than one that follows a little less.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

STRENGTHS = (100.0, 30.0, 10.0, 3.0, 1.0)
"""How strongly the layer is held, in units of what one frame says, times the number of features."""
LEAST_FRAMES, GAP_FRAMES = 100, 9
"""With less footage the layer is left as it was; windows so near to each other share sound."""
QUIET_WEIGHT = 4.0
"""Silence counts so many times as much as all that is said."""
LEAST_BETTER = 0.98
"""What is learnt anew must lessen the error to this."""
LEAST_GAIN, MOST_GAIN = 0.6, 1.7
HALF_TRUST_FRAMES = 100
"""With so many frames a measured gain counts half, and no gain the other half."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Head:
    """The linear end of an ear."""

    weight: Tensor
    """(COMPONENTS, F)."""
    bias: Tensor
    """(COMPONENTS,)."""

    def __call__(self, hidden: Tensor) -> Tensor:
        return hidden @ self.weight.T + self.bias


def attune(head: Head, hidden: Tensor, codes: Tensor, quiet: Tensor) -> Head:
    """Fit the end of an ear to a person.

    Args:
        head: As it was learnt, gains multiplied in.
        hidden: (T, F) what goes into it, frame by frame.
        codes: (T, COMPONENTS) what the mouth does meanwhile.
        quiet: (N, F) what goes into it where nobody speaks.
    """
    strength = choose_strength(head, hidden, codes, quiet)
    if strength is not None:
        head = fit(head, hidden, codes, quiet, strength)
    return enlarge(head, hidden, codes)


def fit(head: Head, hidden: Tensor, codes: Tensor, quiet: Tensor, strength: float) -> Head:
    """Return the layer that hears these codes best, held to what it was, most of all in silence."""
    middle = hidden.mean(0)
    centred, missing = (hidden - middle).double(), (codes - head(hidden)).double()
    held = strength * hidden.shape[1] * centred.square().mean() * torch.eye(hidden.shape[1], dtype=torch.float64)
    still = (quiet - middle).double()
    held = held + QUIET_WEIGHT * len(hidden) / max(len(quiet), 1) * (still.T @ still)
    change = torch.linalg.solve(centred.T @ centred + held, centred.T @ (missing - missing.mean(0))).T.float()
    # The mean is a matter of how the mouth rests, which is known: only the change around it is learnt.
    return Head(weight=head.weight + change, bias=head.bias - change @ middle)


def choose_strength(head: Head, hidden: Tensor, codes: Tensor, quiet: Tensor) -> float | None:
    """Return how strongly to hold the layer; None where nothing that can be learnt helps."""
    count = len(hidden)
    if count < LEAST_FRAMES:
        return None
    half = count // 2
    parts = [(slice(0, half - GAP_FRAMES), slice(half, count)), (slice(half + GAP_FRAMES, count), slice(0, half))]
    errors = {
        strength: sum(
            _error(fit(head, hidden[learn], codes[learn], quiet, strength), hidden[judge], codes[judge]) for learn, judge in parts
        )
        for strength in STRENGTHS
    }
    best = min(errors, key=lambda strength: errors[strength])
    as_it_was = sum(_error(head, hidden[judge], codes[judge]) for _, judge in parts)
    return best if errors[best] < LEAST_BETTER * as_it_was else None


def enlarge(head: Head, hidden: Tensor, codes: Tensor) -> Head:
    """Return the layer with each component moving about as far as the mouth does."""
    ratio = codes.std(0) / (head(hidden).std(0) + 1e-6)
    trust = len(hidden) / (len(hidden) + HALF_TRUST_FRAMES)
    gain = 1 + trust * (ratio.clamp(LEAST_GAIN, MOST_GAIN) - 1)
    return Head(weight=gain[:, None] * head.weight, bias=gain * head.bias)


def _error(head: Head, hidden: Tensor, codes: Tensor) -> float:
    """Return the squared error around the mean."""
    missing = codes - head(hidden)
    return float((missing - missing.mean(0)).square().mean())
