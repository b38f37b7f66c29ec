"""Who speaks, for `sync.py`: two faces under the sound of one, and faces that do not speak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from speaking import Heard, chosen
from sync_clips import Clip, Line, Sight, percent, plan_of, put_together, table

from redub.config import Config, SpeakerConfig
from redub.pipeline import hear
from redub.speech.sync_features import find_speech
from redub.speech.syncnet import SyncModel

PAIRS, LENGTH_S = 200, 3.0
SLACK_S = 0.1
"""A clip of three seconds may have that much less."""
LEAST_PAUSE = 8
"""Frames without speech that a silent face is made of."""


def draw_pairs(clips: Sequence[Clip], count: int, seed: int) -> list[tuple[Clip, Clip, tuple[float, float]]]:
    """Draw two speakers, all alike often, a clip of each, and where in it three seconds begin."""
    random = np.random.default_rng(seed)
    names = sorted({clip.speaker for clip in clips if clip.sight.length_s >= LENGTH_S - SLACK_S})
    pairs = []
    for _ in range(count):
        picked = []
        for name in random.choice(names, 2, replace=False):
            own = [clip for clip in clips if clip.speaker == name and clip.sight.length_s >= LENGTH_S - SLACK_S]
            clip = own[int(random.integers(len(own)))]
            picked.append((clip, float(random.uniform(0, max(clip.sight.length_s - LENGTH_S, 0)))))
        (one, first_s), (other, second_s) = picked
        pairs.append((one, other, (first_s, second_s)))
    return pairs


def part(clip: Clip, start_s: float) -> Sight:
    """Return three seconds of a clip."""
    return clip.sight.cut(start_s, LENGTH_S)


def beside(clips: Sequence[Clip], model: SyncModel, config: SpeakerConfig) -> Line:
    """(3) Two faces, the sound of one: both are compared with it as two tracks of a video are."""
    found: dict[str, list[tuple[float, float]]] = {}
    better: dict[str, list[bool]] = {}
    for one, other, (first_s, second_s) in draw_pairs(clips, PAIRS, 1):
        right = part(one, first_s).embed(model)
        wrong = replace(part(other, second_s), speech=part(one, first_s).speech).embed(model)
        faces = Heard.of(right), Heard.of(wrong)
        shares = chosen(faces, config)
        for kind in ("all", _kind(one, other)):
            found.setdefault(kind, []).append((shares[0], shares[1]))
            better.setdefault(kind, []).append(faces[0].curve.confidence > faces[1].curve.confidence)
    rows = [[kind, str(len(values)), *_rightly(values), percent(float(np.mean(better[kind])))] for kind, values in sorted(found.items())]
    return table(["", "pairs", "right face", "wrong face", "nobody", "right face fits better than the other"], rows)


def _kind(one: Clip, other: Clip) -> str:
    is_grid = ["grid" in clip.group for clip in (one, other)]
    return "both GRID" if all(is_grid) else "one GRID" if any(is_grid) else "neither GRID"


def _rightly(values: Sequence[tuple[float, float]]) -> Line:
    right, wrong = (np.array([pair[i] > pair[1 - i] for pair in values]) for i in (0, 1))
    return [percent(float(right.mean())), percent(float(wrong.mean())), percent(float((~right & ~wrong).mean()))]


def filmed(clips: Sequence[Clip], model: SyncModel, config: Config, folder: Path, count: int) -> Line:
    """(3) The same as videos, through the whole analysis."""
    values, faces = [], []
    random = np.random.default_rng(2)
    for number, (one, other, starts_s) in enumerate(draw_pairs(clips, count, 3)):
        loud = int(random.integers(2))
        target = folder / f"pair{number}.mkv"
        if not target.exists():
            put_together(one, other, starts_s, LENGTH_S, loud, target)
        plan = hear(plan_of(target, folder, config), target, config, model=model)
        sides = [0, 0]
        for stretch in plan.speaking:
            box = plan.track(stretch.track).boxes.mean(axis=0)
            sides[int(box[0] + box[2] > plan.facts.width)] += len(stretch)
        values.append((sides[loud], sides[1 - loud]))
        faces.append(len({bool(one.boxes[:, ::2].mean() > plan.facts.width / 2) for one in plan.tracks}) == 2)
    rows = [["as videos through the engine", str(len(values)), *_rightly(values), percent(float(np.mean(faces)))]]
    return table(["", "videos", "right face", "wrong face", "nobody", "both faces found"], rows)


def silent(clips: Sequence[Clip], held_out: Sequence[Clip], resting: Sequence[Clip], model: SyncModel, config: SpeakerConfig) -> Line:
    """(4) Faces that do not speak: nobody is to be chosen."""
    pairs = draw_pairs(clips, PAIRS, 4)
    voices = [part(one, starts_s[0]).speech for one, _, starts_s in pairs]
    pauses = [(clip.speaker, found) for clip in [*clips, *held_out] if (found := pause(clip.sight)) is not None]
    # Nobody's silence is put under their own voice.
    under = [(found, speaker, number) for number, (speaker, found) in enumerate([*pauses, *pauses, *pauses])]
    strangers = [
        next(voice for (one, _, _), voice in zip(pairs[number % 50 :], voices[number % 50 :], strict=True) if one.speaker != speaker)
        for _, speaker, number in under
    ]
    kinds: dict[str, list[Sight]] = {
        "talking, under somebody else's voice": [
            replace(part(other, starts_s[1]), speech=voice) for voice, (_, other, starts_s) in zip(voices, pairs, strict=True)
        ],
        "real silence with its own sound": [found for _, found in pauses],
        "real silence, under somebody's voice": [
            replace(found, speech=voice) for (found, _, _), voice in zip(under, strangers, strict=True)
        ],
        "rendered heads at rest, under a voice": [
            replace(clip.sight.cut(0, LENGTH_S), speech=voice) for clip in resting for voice in voices[:20]
        ],
        "rendered heads at rest, no sound": [clip.sight for clip in resting],
    }
    rows = []
    for kind, sights in kinds.items():
        shares = [chosen([Heard.of(sight.embed(model))], config)[0] for sight in sights]
        if shares:
            rows.append([kind, str(len(shares)), percent(float(np.mean(np.array(shares) == 0))), percent(1 - float(np.mean(shares)))])
    return ["## Silent faces", "", *table(["", "cases", "nobody chosen", "share of the time"], rows)]


def pause(sight: Sight) -> Sight | None:
    """Return the longest stretch in which nobody is heard, shown forth and back for three seconds; None where there is none."""
    heard = find_speech(sight.speech, sight.times_s)
    # Lips begin to move before they are heard.
    near = np.convolve(heard, np.ones(5), "same") > 0
    edges = np.flatnonzero(np.diff(np.concatenate([[True], near, [True]]).astype(int)))
    runs = list(zip(edges[::2], edges[1::2], strict=True))
    first, last = max(runs, key=lambda run: run[1] - run[0], default=(0, 0))
    return sight.held(int(first), int(last), LENGTH_S) if last - first >= LEAST_PAUSE else None
