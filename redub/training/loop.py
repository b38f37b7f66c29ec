"""loop: lesson, course -> a trained model.  What the training of any network has in common.

A plugin gives a `Lesson`: a model, how a batch is drawn, what its loss is, and how the model does on held-out pieces.  The
loop descends, averages the weights, keeps checkpoints and the journal, and stops.

Everything that chance decides in a step is drawn from the seed and the step's number, never from a generator that
runs along.  So a run that was killed and goes on takes the same steps as one that was not, bit by bit where the
device computes the same twice.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from redub.ahead import ahead
from redub.errors import RedubError
from redub.progress import Tell, silent
from redub.training.checkpoint import State, load_state, save_state, set_aside
from redub.training.course import Course, chance, make_optimiser, rate_at
from redub.training.journal import OUTSIDE, Journal
from redub.types import RGB

CHECKPOINT_S = 240.0
AHEAD = 2
"""Batches that are drawn before they are asked for."""
Batch = TypeVar("Batch")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """How a model does on held-out pieces."""

    values: dict[str, float] = field(default_factory=dict)
    """``loss`` is what patience watches."""
    picture: RGB | None = None
    """(H, W, 3) a sheet of samples."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesson(Generic[Batch]):
    """What a plugin teaches a model in one stage."""

    name: str
    model: nn.Module
    """What does not require a gradient stays as it is."""
    draw: Callable[[int], Batch]
    """Makes the batch of a step, in a thread of its own; the same one for the same step, always."""
    loss: Callable[[Batch], dict[str, Tensor]]
    """``loss`` is descended, the others are recorded with it; all scalars."""
    look: Callable[[], Look] = Look
    """Called with the averaged weights in the model, in evaluation mode, without gradients."""
    samples: int = 1
    """In a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What a stage came to."""

    step: int
    elapsed_s: float
    """Of training, earlier runs counted in."""
    is_complete: bool
    values: dict[str, float]
    """Of the last look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Where and for how long a training works."""

    folder: Path
    """Checkpoints and journals are kept here, under the lessons' names."""
    seed: int = 0
    """For whatever chance decides."""
    limit_s: float | None = None
    """End after so many seconds, earlier runs counted in; the rate then falls with time, not with steps."""
    tell: Tell = silent
    """Is told samples done, and in all as far as that can be said."""


def learn(
    lesson: Lesson[Batch],
    course: Course,
    session: Session,
    settings: Mapping[str, Any] | None = None,
    *,
    may_train: bool = True,
    anew: bool = False,
) -> Learnt:
    """Train a model, or go on with it; afterwards the model holds what is to be used.

    Args:
        lesson: What is learnt.  The model is in its initial state, on its device.
        course: How long and how fast.
        session: Where and for how long.
        settings: What must not change within a training, as JSON holds it; a checkpoint with other values is refused.
        may_train: Whether steps are taken; if not, the model gets what is there.
        anew: Put a checkpoint with other settings aside and begin again, in place of refusing.

    Raises:
        RedubError: The loss is no number any more, or what is in the folder does not fit or cannot be read.
        KeyboardInterrupt: The user, or the system, asked to stop; a checkpoint has been written.
    """
    run = _Run(lesson, course, session, dict(settings or {}))
    run.restore(anew=anew)
    if may_train and run.share() < 1:
        run.go()
    if run.average:
        lesson.model.load_state_dict(run.average)
    lesson.model.eval()
    return Learnt(step=run.step, elapsed_s=run.elapsed_s, is_complete=run.share() >= 1, values=run.values)


class _Run:
    """A training in progress."""

    def __init__(self, lesson: Lesson[Any], course: Course, session: Session, settings: dict[str, Any]) -> None:
        self.lesson, self.course, self.session, self.settings = lesson, course, session, settings
        self.journal = Journal(session.folder, lesson.name)
        self.optimiser = make_optimiser(lesson.model, course)
        self.average = {name: tensor.detach().clone() for name, tensor in lesson.model.state_dict().items()} if course.average else {}
        self.step, self.elapsed_s = 0, 0.0
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.settled_at: int | None = None
        self.values: dict[str, float] = {}
        self.best, self.waited, self.ended = math.inf, 0, False
        session.folder.mkdir(parents=True, exist_ok=True)

    def restore(self, *, anew: bool) -> None:
        """Take over the newest checkpoint, if there is one."""
        state = load_state(self.session.folder, self.lesson.name)
        if state is None:
            return
        facts = state.facts
        differing = _differing({"seed": facts["seed"], **facts["settings"]}, {"seed": self.session.seed, **self.settings})
        if differing and anew:
            set_aside(self.session.folder, self.lesson.name)
            return
        if differing:
            raise RedubError(
                f"The stage {self.lesson.name} in {self.session.folder} was begun with {differing}.",
                f"Name another --work, or begin this stage anew with  --set stage={self.lesson.name}",
            )
        device = next(self.lesson.model.parameters()).device
        self.lesson.model.load_state_dict(state.part("model."))
        for name, tensor in state.part("average.").items():
            if name in self.average:
                self.average[name].copy_(tensor)
        self._restore_optimiser(state.part("optimiser."))
        self.step, self.elapsed_s, self.values = state.step, facts["elapsed_s"], facts["values"]
        self.sums = {name: torch.tensor(value, device=device) for name, value in facts["sums"].items()}
        # Checkpoints of earlier versions know neither.
        self.counts = facts.get("counts") or dict.fromkeys(self.sums, facts.get("counted", 1))
        self.settled_at = facts.get("settled_at")
        self.waited, self.ended = facts["waited"], facts["ended"]
        self.best = math.inf if facts["best"] is None else facts["best"]

    def share(self) -> float:
        """Return how much of the training is done, in 0..1."""
        if self.ended:
            return 1.0
        by_steps = self.step / self.course.steps if self.course.steps else 1.0
        by_time = self.elapsed_s / max(self.session.limit_s, 1e-9) if self.session.limit_s is not None else 0.0
        return min(1.0, max(by_steps, by_time))

    def go(self) -> None:
        """Take steps until the course is over."""
        self.journal.go_on(self.step)
        before_s, began, saved = self.elapsed_s, time.monotonic(), time.monotonic()
        with _listening() as asked, closing(ahead(self._batches(), AHEAD)) as batches:  # type: ignore[type-var]
            while self.share() < 1 and not asked.is_set():
                self._advance(next(batches))
                self.elapsed_s = before_s + time.monotonic() - began
                if self.step % self.course.look_every == 0 or self.share() >= 1:
                    self._look()
                if time.monotonic() - saved > CHECKPOINT_S:
                    self._save()
                    saved = time.monotonic()
                done = self.step * self.lesson.samples
                self.session.tell(self.lesson.name, done, max(done, round(done / max(self.share(), 1e-9))))
        self._save()
        if asked.is_set():
            raise KeyboardInterrupt

    def _batches(self) -> Iterator[Any]:
        step = self.step
        while True:
            yield self.lesson.draw(step)
            step += 1

    def _advance(self, batch: Any) -> None:
        share, model = self.share(), self.lesson.model
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(self.course, self.step, share)
        is_settling = share < self.course.settle
        if model.training != is_settling:
            model.train(is_settling)
        if is_settling:
            # With more time than an earlier run had they may settle again.
            self.settled_at = None
        elif self.settled_at is None:
            self.settled_at = self.step
        torch.manual_seed(chance(self.session.seed, self.lesson.name, self.step))
        terms = self.lesson.loss(batch)
        self.optimiser.zero_grad()
        terms["loss"].backward()  # type: ignore[no-untyped-call]
        if self.course.clip:
            torch.nn.utils.clip_grad_norm_(self._parameters(), self.course.clip)
        self.optimiser.step()
        self.step += 1
        self._follow()
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, torch.zeros((), device=value.device)) + value.detach().float()
            # Not every batch has every term.
            self.counts[name] = self.counts.get(name, 0) + 1

    def _follow(self) -> None:
        """Move the average towards the weights; early on faster, so that it forgets what it began with.

        It begins anew when the norms come to rest: what was learnt before belongs to other statistics.
        """
        if not self.average:
            return
        weight = 1 - min(self.course.average, 1 - 1 / (self.step - (self.settled_at or 0)))
        live = self.lesson.model.state_dict()
        smooth = [name for name, tensor in live.items() if tensor.is_floating_point()]
        with torch.no_grad():
            torch._foreach_lerp_([self.average[name] for name in smooth], [live[name] for name in smooth], weight)
            for name in live.keys() - set(smooth):
                self.average[name].copy_(live[name])

    def _look(self) -> None:
        """Measure on held-out pieces and record it with what was learnt since the last time."""
        self._check()
        with self._averaged(), torch.no_grad():
            looked = self.lesson.look()
        learnt = {name: float(value) / self.counts[name] for name, value in self.sums.items()}
        self.sums, self.counts = {}, {}
        self.values = looked.values
        samples_per_s = self.step * self.lesson.samples / max(self.elapsed_s, 1e-9)
        row = {
            "step": self.step,
            "samples": self.step * self.lesson.samples,
            "elapsed_s": round(self.elapsed_s, 1),
            "left_s": round(self.elapsed_s * (1 / max(self.share(), 1e-9) - 1), 1),
            "samples_per_s": round(samples_per_s, 2),
            "rate": rate_at(self.course, self.step, self.share()),
            "values": {**learnt, **{OUTSIDE + name: value for name, value in looked.values.items()}},
        }
        self.journal.add(row, looked.picture)
        self._grow_impatient(looked.values.get("loss", math.nan))

    def _grow_impatient(self, loss: float) -> None:
        if math.isnan(loss):
            return
        self.waited = 0 if loss < self.best else self.waited + 1
        self.best = min(self.best, loss)
        self.ended = bool(self.course.patience) and self.waited >= self.course.patience

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        model = self.lesson.model
        live = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()} if self.average else {}
        was_training = model.training
        model.eval()
        try:
            if self.average:
                model.load_state_dict(self.average)
            yield
        finally:
            if self.average:
                model.load_state_dict(live)
            model.train(was_training)

    def _check(self) -> None:
        for name, value in self.sums.items():
            if not math.isfinite(float(value)):
                raise RedubError(
                    f"The training of {self.lesson.name} came apart: {name} is no number before step {self.step}.",
                    f"Try a lower rate, as  --set {self.lesson.name}.rate={self.course.rate / 3:.1g}  ; the last checkpoint is sound.",
                )

    def _save(self) -> None:
        self._check()
        tensors = {f"model.{name}": tensor for name, tensor in self.lesson.model.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.average.items()}
        for number, memory in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{name}": torch.as_tensor(value) for name, value in memory.items() if value is not None}
        facts = {
            "elapsed_s": self.elapsed_s, "seed": self.session.seed, "settings": self.settings, "values": self.values,
            "counts": self.counts, "settled_at": self.settled_at,
            "sums": {name: float(value) for name, value in self.sums.items()},
            "best": self.best if math.isfinite(self.best) else None, "waited": self.waited, "ended": self.ended,
        }  # fmt: skip
        save_state(self.session.folder, self.lesson.name, State(step=self.step, tensors=tensors, facts=facts))

    def _restore_optimiser(self, memories: dict[str, Tensor]) -> None:
        parameters = self._parameters()
        restored: dict[int, dict[str, Tensor]] = {}
        for key, tensor in memories.items():
            number, _, name = key.partition(".")
            own = parameters[int(number)]
            # Fused steps run over the bare memory, so moments must lie in it as their parameter does.
            like = torch.empty_like(own, dtype=tensor.dtype).copy_(tensor) if tensor.shape == own.shape and tensor.ndim else tensor
            restored.setdefault(int(number), {})[name] = like
        self.optimiser.load_state_dict({"state": restored, "param_groups": self.optimiser.state_dict()["param_groups"]})

    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.optimiser.param_groups for parameter in group["params"]]


def _differing(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Say in which values two sets of settings differ, the first few of them; nothing if in none."""
    found, wanted = _flat(found), _flat(wanted)
    names = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
    return ", ".join(f"{name} {found.get(name)!r} and not {wanted.get(name)!r}" for name in names[:4])


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat.update(_flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value})
    return flat


@contextmanager
def _listening() -> Iterator[threading.Event]:
    """Turn Ctrl-C and a polite kill into an event, so that no step is cut in half; a second one acts at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def hear(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    for number in before:
        signal.signal(number, hear)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
