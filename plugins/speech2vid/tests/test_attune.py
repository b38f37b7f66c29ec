"""The end of an ear, fitted to a person: better where there is something to learn, the same where there is not."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("redub_speech2vid", reason="install it:  pip install ./plugins/speech2vid")

from redub_speech2vid.attune import LEAST_GAIN, Head, attune, choose_strength, enlarge, fit  # noqa: E402
from torch import Tensor  # noqa: E402

FEATURES, COMPONENTS = 64, 12


def heard(frames: int, seed: int) -> Tensor:
    """Features that change slowly, as those of speech do."""
    torch.manual_seed(seed)
    steps = torch.randn(frames + 8, FEATURES)
    return 1 + torch.nn.functional.avg_pool1d(steps.T[None], 9, 1)[0].T * 3


def quiet() -> Tensor:
    """What is heard in silence lies apart from speech, and varies little."""
    torch.manual_seed(9)
    return -3 + 0.1 * torch.randn(40, FEATURES)


def a_head(seed: int) -> Head:
    torch.manual_seed(seed)
    return Head(weight=torch.randn(COMPONENTS, FEATURES) * 0.1, bias=torch.randn(COMPONENTS))


def unexplained(head: Head, hidden: Tensor, codes: Tensor) -> float:
    missing = codes - head(hidden)
    return float((missing - missing.mean(0)).square().mean())


def test_a_new_voice_is_heard_better_after_a_minute_of_it():
    base, theirs = a_head(0), a_head(1)
    theirs = Head(weight=base.weight + 0.7 * theirs.weight, bias=base.bias)
    hidden = heard(1500, 2)
    codes = theirs(hidden) + 0.3 * torch.randn(1500, COMPONENTS)
    fitted = attune(base, hidden, codes, quiet())
    later = heard(500, 3)
    assert unexplained(fitted, later, theirs(later)) < 0.3 * unexplained(base, later, theirs(later))


def test_where_nothing_can_be_learnt_the_layer_stays():
    base, hidden = a_head(0), heard(600, 2)
    assert choose_strength(base, hidden, base(hidden) + torch.randn(600, COMPONENTS), quiet()) is None
    assert choose_strength(base, hidden[:60], a_head(1)(hidden[:60]), quiet()) is None


def test_the_stronger_it_is_held_the_less_it_changes():
    base, hidden = a_head(0), heard(400, 2)
    codes = a_head(1)(hidden)
    changes = [float((fit(base, hidden, codes, quiet(), strength).weight - base.weight).norm()) for strength in (0.1, 10.0, 1e6)]
    assert changes[0] > changes[1] > changes[2]
    assert changes[2] < 1e-3 * changes[0]


def test_a_mouth_at_rest_stays_there_whatever_was_learnt():
    """What is heard on average does not change, so footage of a wide open mouth does not open it for good."""
    base, hidden = a_head(0), heard(400, 2)
    fitted = fit(base, hidden, a_head(1)(hidden) + 5, quiet(), 1.0)
    torch.testing.assert_close(fitted(hidden).mean(0), base(hidden).mean(0), rtol=0, atol=1e-4)


def test_silence_says_what_it_said():
    base, hidden = a_head(0), heard(150, 2)
    fitted = fit(base, hidden, a_head(1)(hidden), quiet(), 1.0)
    learnt, kept = fitted(hidden) - base(hidden), fitted(quiet()) - base(quiet())
    assert float(learnt.std(0).mean()) > 0.1
    assert float(kept.abs().mean()) < 0.1 * float(learnt.std(0).mean())


def test_components_move_as_far_as_the_mouth_does_within_bounds():
    base, hidden = a_head(0), heard(100_000, 2)
    said = base(hidden)
    scale = torch.linspace(0.3, 1.6, COMPONENTS)
    ratio = enlarge(base, hidden, said * scale)(hidden).std(0) / said.std(0)
    torch.testing.assert_close(ratio, scale.clamp(LEAST_GAIN), rtol=2e-3, atol=0)
