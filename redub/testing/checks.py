"""checks: a generator -> whether it keeps what it declares.

The host believes a declaration: it cuts clips by the declared overlap, hands over the declared window of speech, and
promises its users that the old mouth is not copied.  So the declaration is what is tested here, not the picture's quality.
Each check takes a `Bench`, returns a remark or nothing, and raises `Failed` or `Skipped`.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redub.errors import PluginError, RedubError, ShapeError
from redub.plugin import Clip, Painted, Region
from redub.testing.bench import Bench, Failed, Skipped, Subject
from redub.testing.clips import cut_clip, frozen, make_speech

HEAVY = "torch cv2 dlib av scipy skimage scenedetect tensorflow jax onnxruntime"
MOUTH_POINTS = [*range(17), *range(48, 68)]
MOST_FRAMES = 128
"""A generator that takes more in one call is tested with this many."""

LISTING = f"""
import sys
from redub.plugin import manager
manager.find(sys.argv[1])
print(" ".join(sorted(set(sys.modules) & set({HEAVY!r}.split()))))
"""


def listing_is_light(bench: Bench) -> None:
    """Listing the plugin imports nothing heavy: every redub command lists all plugins first."""
    bench.entry  # noqa: B018  a generator that is not there fails here, with the hint
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    run = subprocess.run([sys.executable, "-c", LISTING, bench.name], env=environment, capture_output=True, text=True, check=False)
    if run.returncode:
        raise Failed(f"a fresh Python cannot list it: {run.stderr.strip().splitlines()[-1]}")
    if run.stdout.strip():
        raise Failed(f"listing it imports {run.stdout.strip()}; import them in the factory's module, which is loaded only when used")


def declaration_is_sane(bench: Bench) -> str:
    """The host accepts the declaration, and what it refers to is there."""
    info = bench.entry.info
    for field in ("factory", "trainer", "adapter"):
        module = getattr(info, field).partition(":")[0]
        try:
            is_there = not module or importlib.util.find_spec(module) is not None
        except ImportError:
            is_there = False
        if not is_there:
            raise Failed(f"its {field} names the module {module}, which is not installed")
    return f"{bench.entry.distribution}, API {info.api[0]}.{info.api[1]}"


def loads_on_the_cpu(bench: Bench) -> str:
    """It loads for every blending, with its weights or as a tiny random model."""
    unavailable = bench.entry.info.unavailable
    try:
        subjects = bench.open()
    except PluginError as error:
        if unavailable:
            raise Skipped(f"it declares itself unavailable: {unavailable}") from error
        raise
    whole = [subject.blend for subject in subjects if not subject.refusal]
    if unavailable and whole:
        raise Failed(f"it loads for {', '.join(whole)}, yet declares itself unavailable: {unavailable}")
    return "; ".join(f"{s.blend} as a tiny random model, because: {s.refusal}" for s in subjects if s.refusal)


def paints_the_declared_shape(bench: Bench) -> None:
    """For the least, the most, and an odd number of frames the picture has the declared size and type."""
    for subject in bench.subjects():
        limits = subject.info.clip
        for count in sorted({limits.min_frames, 3, 7, min(limits.max_frames, MOST_FRAMES)}):
            subject.paint(subject.clip(count))


def leaves_its_input_alone(bench: Bench) -> None:
    """It writes into none of the arrays, and returns none of them, nor one that it will use again."""
    for subject in bench.subjects():
        clip = subject.clip(5)
        before = {field.name: getattr(clip, field.name).copy() for field in fields(clip)}
        painted = subject.paint(clip)
        for name, copy in before.items():
            if not np.array_equal(getattr(clip, name), copy, equal_nan=name != "frames" and name != "references"):
                raise Failed(f"{subject.blend}: it changed the clip's {name}")
            if any(np.shares_memory(array, getattr(clip, name)) for array in _arrays(painted)):
                raise Failed(f"{subject.blend}: what it returns shares memory with the clip's {name}")
        kept = painted.frames.copy()
        subject.paint(subject.clip(5, seed=90))
        if not np.array_equal(kept, painted.frames):
            raise Failed(f"{subject.blend}: the next call overwrites what the last one returned")


def repeats_itself(bench: Bench) -> None:
    """The same seed and clip give the same bytes, from the same model and from one that is loaded again."""
    for subject in bench.subjects():
        clip = subject.clip(5)
        first = subject.paint(clip)
        _demand_same(subject, first, subject.paint(clip), "a second call gives another picture")
        again = bench.load_again(subject)
        with again.generator:
            _demand_same(subject, first, again.paint(clip), "loading it again with the same seed gives another picture")


def listens(bench: Bench) -> None:
    """Different speech gives a different picture."""
    for subject in bench.subjects():
        if subject.info.looks_at_mouth:
            raise Skipped("it declares that it looks at the mouth, as echo does")
        clip = subject.clip(5)
        if np.array_equal(subject.paint(clip).frames, subject.paint(_with_speech(clip, subject, seed=91)).frames):
            raise Failed(f"{subject.blend}: different speech gives the same picture")


def keeps_to_its_window(bench: Bench) -> None:
    """Speech outside the declared window around a frame, and its overlap, does not change that frame."""
    for subject in bench.subjects():
        audio, overlap = subject.info.audio, subject.info.clip.overlap_frames
        clip = subject.clip(5 + 2 * overlap, margin_s=0.5)
        middle = len(clip.frames) // 2
        low, high = max(0, middle - overlap), min(len(clip.frames) - 1, middle + overlap)
        # Two samples of grace: whoever rounds to a sample may round outwards.
        first = round((clip.times_s[low] - audio.before_s) * audio.rate_hz) - 2
        last = round((clip.times_s[high] + audio.after_s) * audio.rate_hz) + 3
        other = make_speech(len(clip.speech), audio.rate_hz, seed=92)
        other[max(first, 0) : last] = clip.speech[max(first, 0) : last]
        painted, changed = subject.paint(clip), subject.paint(replace(clip, speech=frozen(other)))
        if not np.array_equal(painted.frames[middle], changed.frames[middle]):
            raise Failed(f"{subject.blend}: speech more than {audio.before_s} s before or {audio.after_s} s after a frame changes it")


def can_be_cut(bench: Bench) -> str:
    """Cutting a clip with the declared overlap gives the frames of the whole, to one level of 255."""
    limits = bench.entry.info.clip
    overlap = limits.overlap_frames
    total = min(limits.max_frames, max(2 * limits.min_frames, 8 + 2 * overlap))
    for subject in bench.subjects():
        clip = subject.clip(total)
        whole = subject.paint(clip)
        cuts = list(_cuts(total, limits.min_frames, overlap))
        if not cuts:
            raise Skipped(f"calls of {limits.min_frames} to {limits.max_frames} frames leave no room to cut")
        for start, stop, keep in cuts:
            part = subject.paint(cut_clip(clip, subject.info, start, stop)).frames[keep.start - start : keep.stop - start]
            # Other batch sizes may take other ways through the floating-point units.
            if np.abs(part.astype(int) - whole.frames[keep.start : keep.stop]).max() > 1:
                raise Failed(f"{subject.blend}: frames {keep.start} to {keep.stop} of {total} differ when painted in a call of their own")
    return f"{total} frames, {len(cuts)} cuts"


def does_not_peek(bench: Bench) -> None:
    """A FACE generator paints the same whatever is under the mouth mask and wherever jaw and lips were."""
    info = bench.entry.info
    if info.region is not Region.FACE:
        raise Skipped("it paints the whole frame")
    if info.looks_at_mouth:
        raise Skipped("it declares that it looks at the mouth, as echo does")
    subjects = list(bench.subjects())
    from redub.faces.masks import lower_face_mask

    for subject in subjects:
        clip = subject.clip(5)
        random = np.random.default_rng(93)
        hidden = lower_face_mask(subject.mode.input_px, 0.0) > 0
        frames, points = clip.frames.copy(), clip.points.copy()
        frames[:, hidden] = random.integers(0, 256, frames[:, hidden].shape, np.uint8)
        points[:, MOUTH_POINTS] += random.normal(0.0, 0.05 * subject.mode.input_px, points[:, MOUTH_POINTS].shape).astype(np.float32)
        painted, changed = subject.paint(clip), subject.paint(replace(clip, frames=frozen(frames), points=frozen(points)))
        _demand_same(subject, painted, changed, "what it paints depends on the mouth that it is to replace")


def copes_with_edges(bench: Bench) -> None:
    """Silence, a single frame, and the first and last frames of the sound paint as everything else does."""
    for subject in bench.subjects():
        clip = subject.clip(5)
        silence = replace(clip, speech=frozen(np.zeros_like(clip.speech)))
        start, end = clip.speech.copy(), clip.speech.copy()
        start[: round(clip.times_s[0] * subject.info.audio.rate_hz)] = 0.0
        end[round(clip.times_s[-1] * subject.info.audio.rate_hz) :] = 0.0
        for edge in (silence, subject.clip(1), replace(clip, speech=frozen(start)), replace(clip, speech=frozen(end))):
            subject.paint(edge)


def refuses_wrong_sizes(bench: Bench) -> None:
    """Crops or landmarks of another shape raise `ShapeError`: anything else would be smeared over a face."""
    for subject in bench.subjects():
        clip = subject.clip(3)
        for what, wrong in (
            ("crops that are 2 px larger", replace(clip, frames=frozen(np.pad(clip.frames, ((0, 0), (1, 1), (1, 1), (0, 0)))))),
            ("5 landmarks", replace(clip, points=clip.points[:, :5])),
        ):
            try:
                subject.generator.generate(wrong)
            except ShapeError:
                continue
            except RedubError as error:
                raise Failed(f"{subject.blend}: {what} raise no ShapeError but: {error.message}") from error
            raise Failed(f"{subject.blend}: {what} are painted without complaint; begin generate() with check_clip(...)")


def closes(bench: Bench) -> None:
    """A model can be closed, and closed again."""
    for subject in bench.subjects():
        generator = bench.load_again(subject).generator
        generator.close()
        generator.close()


CHECKS: tuple[Callable[[Bench], str | None], ...] = (
    listing_is_light,
    declaration_is_sane,
    loads_on_the_cpu,
    paints_the_declared_shape,
    leaves_its_input_alone,
    repeats_itself,
    listens,
    keeps_to_its_window,
    can_be_cut,
    does_not_peek,
    copes_with_edges,
    refuses_wrong_sizes,
    closes,
)


def _arrays(painted: Painted) -> list[NDArray[Any]]:
    return [painted.frames] if painted.alpha is None else [painted.frames, painted.alpha]


def _demand_same(subject: Subject, one: Painted, other: Painted, otherwise: str) -> None:
    alphas_are_same = one.alpha is other.alpha if one.alpha is None or other.alpha is None else np.array_equal(one.alpha, other.alpha)
    if not np.array_equal(one.frames, other.frames) or not alphas_are_same:
        raise Failed(f"{subject.blend}: {otherwise}")


def _with_speech(clip: Clip, subject: Subject, seed: int) -> Clip:
    return replace(clip, speech=frozen(make_speech(len(clip.speech), subject.info.audio.rate_hz, seed)))


def _cuts(total: int, least: int, overlap: int) -> Iterator[tuple[int, int, range]]:
    """Yield (start, stop, frames to compare) of calls that paint a clip in two parts, with context at the seam."""
    half = total // 2
    for keep in (range(0, half), range(half, total)):
        start, stop = max(0, keep.start - overlap), min(total, keep.stop + overlap)
        if least <= stop - start < total:
            yield start, stop, keep
