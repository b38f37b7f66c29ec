"""adapting: a generator -> what adapts it to each speaker before it is measured.

The host adapts from the very footage that it dubs.  Here that would be peeking; so a generator learns from the takes that
a speaker's stills may come from, and from nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from redub.errors import RedubError
from redub.lessons import part_lessons
from redub.media import open_speech
from redub.metrics.evaluation import Load
from redub.metrics.takes import SOUND_RATE_HZ, Take
from redub.pieces import take_piece
from redub.plugin import AdaptRequest, Piece, manager
from redub.progress import Tell, silent
from redub.stages.generate import Model
from redub.types import Blend, Speaking


@contextmanager
def adapting(
    entry: manager.Entry, mode: Blend, base: Model, *, device: str = "auto", named: str = "", tell: Tell = silent
) -> Iterator[tuple[Load, list[str]]]:
    """Yield what loads an adapted generator for each speaker, and a list that fills with what was not adapted and why.

    Args:
        entry: The generator; it must have an adapter.
        mode: Its blending.
        base: Measured where adapting did not help; the caller closes it.
        device: Where it learns and paints.
        named: The weights that the user named, if any.
        tell: Is told of steps.
    """
    remarks: list[str] = []
    held: list[Model] = []

    def close() -> None:
        while held:
            held.pop().generator.close()

    with TemporaryDirectory(prefix="redub.") as scratch:

        def load(takes: tuple[Take, ...]) -> Model:
            close()
            output = Path(scratch) / "adapted.safetensors"
            output.unlink(missing_ok=True)
            request = AdaptRequest(
                pieces=[piece for take in takes for piece in _pieces(take, base.mode.input_px)], mode=mode,
                weights=manager.find_weights(entry, mode, named), output=output, device=device, tell=tell,
            )  # fmt: skip
            who = f"{takes[0].recording.speaker} (from {', '.join(take.name() for take in takes)})"
            try:
                result = manager.adapt(entry, request)
            except RedubError as error:
                remarks.append(f"{who}: {error.message}")
                return base
            if result.remark or not result.after < result.before:
                remarks.append(f"{who}: {result.remark or f'it did not help (error {result.before:.4f}, then {result.after:.4f})'}")
                return base
            held.append(replace(base, generator=manager.load(entry, mode, device=device, adapted=output, named=named)))
            return held[0]

        try:
            yield load, remarks
        finally:
            close()


def _pieces(take: Take, size_px: int) -> Iterator[Piece]:
    stretch = Speaking(track=take.track, start=take.start, stop=take.stop)
    with open_speech(take.recording.path, SOUND_RATE_HZ) as sound:
        for lesson in part_lessons([stretch], take.rate_hz):
            piece = take_piece(take.plan, take.recording.path, sound, lesson.stretch, size_px)
            yield replace(piece, speaker=take.recording.speaker, is_held_out=lesson.is_held_out)
