"""bench: a generator's name -> the models under test and the verdicts on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from redub.errors import RedubError
from redub.plugin import Clip, Generator, GeneratorInfo, Mode, Painted, manager
from redub.testing.clips import make_clip
from redub.types import Blend

SEED = 7


class Failed(Exception):
    """The generator does not keep what it declares."""


class Skipped(Exception):
    """The check cannot be made, or does not apply; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What came out of one check."""

    name: str
    passed: bool
    skipped: bool
    detail: str
    """Why it failed or was skipped, or what was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A generator, loaded for one of its blendings."""

    info: GeneratorInfo
    blend: Blend
    mode: Mode
    generator: Generator
    refusal: str
    """Why this is a tiny random model; empty for one with its declared weights, or without any."""

    def clip(self, frames: int, *, seed: int = 0, margin_s: float = 0.0) -> Clip:
        """Make a clip as `make_clip` does, within the declared number of frames."""
        count = min(max(frames, self.info.clip.min_frames), self.info.clip.max_frames)
        return make_clip(self.info, self.mode, count, seed=seed, margin_s=margin_s)

    def paint(self, clip: Clip) -> Painted:
        """Let it paint, and fail unless it returns what it declared."""
        try:
            painted = self.generator.generate(clip)
        except RedubError as error:
            raise Failed(f"{self.blend}, {len(clip.frames)} frames: {error.message}") from error
        fault = _fault(painted, (len(clip.frames), self.mode.output_px, self.mode.output_px, 3))
        if fault:
            raise Failed(f"{self.blend}, {len(clip.frames)} frames: {fault}")
        return painted


class Bench:
    """Holds one generator's loaded models while it is checked; close it, or use it in a ``with`` statement.

    The declared weights are used where they are; where they are not, the plugin is asked for a tiny random model, which
    has to keep the same promises.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._subjects: dict[Blend, Subject] = {}
        self._entry: manager.Entry | None = None
        self._refusal: RedubError | None = None

    @property
    def entry(self) -> manager.Entry:
        """The installed generator; raises `PluginError` if there is none."""
        if self._entry is None:
            self._entry = manager.find(self.name)
        return self._entry

    def open(self) -> list[Subject]:
        """Load a model for every blending that is offered, once.

        Raises:
            RedubError: One cannot be loaded, neither whole nor tiny; it is not tried again.
        """
        if self._refusal is not None:
            raise self._refusal
        try:
            for blend in self.entry.info.modes:
                if blend not in self._subjects:
                    self._subjects[blend] = self._load(blend)
        except RedubError as error:
            self._refusal = error
            raise
        return list(self._subjects.values())

    def load_again(self, subject: Subject) -> Subject:
        """Load the same model a second time; the caller closes its generator."""
        return replace(subject, generator=self._make(subject.blend, tiny=bool(subject.refusal)))

    def _load(self, blend: Blend) -> Subject:
        info = self.entry.info
        try:
            return Subject(info=info, blend=blend, mode=info.modes[blend], generator=self._make(blend, tiny=False), refusal="")
        except RedubError as refusal:
            try:
                tiny = self._make(blend, tiny=True)
            except RedubError:
                raise refusal from None
            return Subject(info=info, blend=blend, mode=info.modes[blend], generator=tiny, refusal=refusal.message)

    def _make(self, blend: Blend, *, tiny: bool) -> Generator:
        return manager.load(self.entry, blend, device="cpu", seed=SEED, tiny=tiny)

    def subjects(self) -> Iterator[Subject]:
        """Yield the loaded models, or skip: that they do not load is the verdict of another check."""
        try:
            subjects = self.open()
        except RedubError:
            raise Skipped("it does not load") from None
        yield from subjects

    def run(self, check: Callable[[Bench], str | None]) -> Check:
        """Make one check."""
        name = check.__name__
        try:
            detail = check(self) or ""
        except Skipped as reason:
            return Check(name=name, passed=False, skipped=True, detail=str(reason))
        except Failed as reason:
            return Check(name=name, passed=False, skipped=False, detail=str(reason))
        except RedubError as error:
            return Check(name=name, passed=False, skipped=False, detail=f"{error.message} {error.hint}".strip())
        return Check(name=name, passed=True, skipped=False, detail=detail)

    def close(self) -> None:
        """Free all models."""
        while self._subjects:
            self._subjects.popitem()[1].generator.close()

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()


def _fault(painted: object, wanted: tuple[int, ...]) -> str:
    if not isinstance(painted, Painted):
        return f"generate() returned a {type(painted).__name__}, not a Painted"
    if not isinstance(painted.frames, np.ndarray) or painted.frames.shape != wanted or painted.frames.dtype != np.uint8:
        return f"it painted {_kind(painted.frames)}, and declared {wanted} uint8"
    alpha = painted.alpha
    if alpha is None:
        return ""
    if not isinstance(alpha, np.ndarray) or alpha.shape != wanted[:3] or alpha.dtype != np.float32:
        return f"its alpha is {_kind(alpha)}, not {wanted[:3]} float32"
    is_share = np.isfinite(alpha).all() and alpha.min() >= 0 and alpha.max() <= 1
    return "" if is_share else "its alpha leaves 0 to 1"


def _kind(array: object) -> str:
    return f"{array.shape} {array.dtype}" if isinstance(array, np.ndarray) else f"a {type(array).__name__}"
