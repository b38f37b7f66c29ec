"""adapt: a person's own footage -> weights that paint this person.  What ``redub adapt`` does.

The source shows its speaker talking, and where the true mouth is seen nothing has to be heard: the decoder learns to
paint from the mouth's true shape (see `redub_speech2vid.codes`), through the same layer that took the audio feature's
place in training.  So it learns the face and how the face moves, not the words.  Of the audio encoder only the last layer
is fitted to this voice (see `redub_speech2vid.attune`).

The number of steps is fixed, and all chance comes from the seed, so the same footage gives the same weights.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from redub.faces.landmarks import mouth_openness
from redub.media.place import Part
from redub.plugin import Adapted, AdaptRequest, Piece, choose_device
from redub.speech.features import speech_windows
from redub.training.checkpoint import read_tensors, write_tensors
from redub.training.course import autocast
from redub_speech2vid.attune import Head, attune
from redub_speech2vid.canvas import PLAIN, Canvas, context_canvas
from redub_speech2vid.codes import COMPONENTS, Basis, mouth_shapes
from redub_speech2vid.draws import evenly_shares
from redub_speech2vid.incontext import InContext
from redub_speech2vid.lessons import Network, Painter, Teacher
from redub_speech2vid.losses import focus_map, gradient_loss, image_loss
from redub_speech2vid.model import STILLS, Identity
from redub_speech2vid.register import registered
from redub_speech2vid.voices import room_windows
from redub_speech2vid.weights import TEACHER, check_mode, network_from

STEPS, BATCH = 300, 12
CONTEXT_STEPS, CONTEXT_BATCH = 150, 8
"""In context, whose pictures are four times as large; the frame tells it much of what else had to be learnt."""
RATE, WARM_UP = 4e-4, 10
CODE_NOISE = 0.03
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Percentiles of mouth openness that the stills show."""
EVENLY = 0.5
"""Share of what is painted that is drawn evenly over how far the mouth is open."""
LEAST_S, LEAST_FRAMES = 4.0, 2 * STILLS
"""From less footage it cannot be told how the mouth rests and how far it opens, and what is learnt is worse than nothing."""
QUIET_ROWS = 128


def adapt(request: AdaptRequest) -> Adapted:
    """Adapt Speech2Vid to one person.

    Raises:
        RedubError: The weights cannot be read, or the result cannot be written.
    """
    device = choose_device(request.device)
    tensors, metadata = read_tensors(next(iter(request.weights.values())))
    teaching = {name.removeprefix(TEACHER): tensor.float() for name, tensor in tensors.items() if name.startswith(TEACHER)}
    if "fc.weight" not in teaching:
        return Adapted(before=0.0, after=0.0, remark="These weights were trained without a teacher, which adapting needs.")
    learnt_from = [piece for piece in request.pieces if not piece.is_held_out]
    held_out = [piece for piece in request.pieces if piece.is_held_out]
    seconds = sum(float(piece.times_s[-1] - piece.times_s[0]) for piece in request.pieces if len(piece.times_s))
    if sum(len(piece.crops) for piece in learnt_from) < LEAST_FRAMES or not held_out or seconds < LEAST_S:
        return Adapted(before=0.0, after=0.0, remark="There is too little footage of this person to learn from.")
    network = network_from(tensors, metadata).to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    check_mode(network, request.mode)
    canvas = context_canvas(network.decoder.rows) if isinstance(network, InContext) else PLAIN
    footage = prepare(request.pieces, Basis(vectors=teaching["basis"].numpy(), scale=float(teaching["scale"])), device, canvas)
    teacher = Teacher()
    teacher.load_state_dict({name: teaching[name] for name in ("fc.weight", "fc.bias")})
    painter = Painter(network, teacher.to(device))
    before = held_out_error(painter, footage)
    steps = learn_face(painter, footage, request, CONTEXT_STEPS if canvas.has_context else STEPS)
    after = held_out_error(painter, footage)
    changed = {f"decoder.{name}": tensor for name, tensor in network.decoder.state_dict().items()}
    changed |= _tuned_ear(network, teaching, footage)
    _write(request, changed, {**metadata, "adapted_steps": str(steps), "before": f"{before:.5f}", "after": f"{after:.5f}"})
    return Adapted(before=before, after=after)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Footage:
    """A person's frames, ready to learn from."""

    crops: Tensor
    """(T, 3, S, S) uint8."""
    codes: Tensor
    """(T, COMPONENTS)."""
    windows: Tensor
    """(T, 1, 12, 35)."""
    openness: np.ndarray
    learn: np.ndarray
    """Rows to learn from."""
    held: np.ndarray
    device: str
    canvas: Canvas

    def stills(self, random: np.random.Generator | None) -> Tensor:
        """Return five stills of what is learnt from, of a random half of it or of all: (1, 15, S, S)."""
        pool = self.learn if random is None else random.choice(self.learn, max(STILLS, len(self.learn) // 2), replace=False)
        ranked = pool[np.argsort(self.openness[pool], kind="stable")]
        chosen = ranked[np.rint(np.array(SHARES) * (len(ranked) - 1)).astype(int)]
        return self.pictures(chosen).flatten(0, 1)[None].contiguous(memory_format=torch.channels_last)

    def pictures(self, rows: np.ndarray) -> Tensor:
        """(B, 3, S, S) in 0..1."""
        return self.crops[torch.from_numpy(rows)].to(self.device).float() / 255

    def place(self, painted: Tensor, whole: Tensor) -> Tensor:
        """Return the true pictures of what was painted, where no frame told the place of the face, moved to where it was put."""
        true = self.canvas.cut(whole)
        return true if self.canvas.has_context else registered(painted, true)


def prepare(pieces: Sequence[Piece], basis: Basis, device: str, canvas: Canvas) -> Footage:
    """Join the pieces; the resting face and the reach of the mouth are those of all of them."""
    points = np.concatenate([piece.points for piece in pieces])
    held = np.concatenate([np.full(len(piece.crops), piece.is_held_out) for piece in pieces])
    windows = [speech_windows(piece.speech, piece.times_s - piece.offset_s) for piece in pieces]
    return Footage(
        crops=torch.from_numpy(np.concatenate([piece.crops for piece in pieces])).permute(0, 3, 1, 2),
        codes=torch.from_numpy(basis.encode(mouth_shapes(points))).to(device),
        windows=torch.from_numpy(np.concatenate(windows))[:, None].to(device),
        openness=mouth_openness(points), learn=np.flatnonzero(~held), held=np.flatnonzero(held), device=device,
        canvas=canvas,
    )  # fmt: skip


def learn_face(painter: Painter, footage: Footage, request: AdaptRequest, steps: int) -> int:
    """Teach the decoder this face, in so many steps if the time allows; return how many were taken."""
    random = np.random.default_rng(request.seed)
    noise = torch.Generator().manual_seed(request.seed)
    batch = CONTEXT_BATCH if footage.canvas.has_context else BATCH
    learnt = list(painter.decoder.parameters())
    painter.requires_grad_(False)
    painter.decoder.requires_grad_(True)
    optimiser = torch.optim.AdamW(learnt, RATE, betas=(0.9, 0.99), weight_decay=1e-4)
    weight, began = focus_map(footage.canvas).to(footage.device), time.monotonic()
    shares = evenly_shares(footage.openness[footage.learn], EVENLY)
    for step in range(steps):
        if request.limit_s is not None and time.monotonic() - began > request.limit_s:
            return step
        rate = RATE * min(1.0, (step + 1) / WARM_UP) * (0.5 + 0.5 * np.cos(np.pi * step / steps))
        for group in optimiser.param_groups:
            group["lr"] = rate
        rows = random.choice(footage.learn, batch, p=shares)
        codes = footage.codes[torch.from_numpy(rows)]
        codes = codes + CODE_NOISE * torch.randn(codes.shape, generator=noise).to(footage.device)
        whole = footage.pictures(rows)
        with autocast(footage.device, "auto"):
            painted = painter(codes, painter.scene(painter.identify(footage.stills(random)).repeat(len(rows)), whole)).float()
        true = footage.place(painted, whole)
        loss = image_loss(painted, true, weight) + gradient_loss(painted, true, weight)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        request.tell("adapt", step + 1, steps)
    return steps


def held_out_error(painter: Painter, footage: Footage) -> float:
    """Return the loss over what is held out."""
    weight, errors = focus_map(footage.canvas).to(footage.device), []
    with torch.inference_mode(), autocast(footage.device, "auto"):
        identity: Identity = painter.identify(footage.stills(None))
        for rows in np.array_split(footage.held, -(-len(footage.held) // 16)):
            whole = footage.pictures(rows)
            painted = painter(footage.codes[torch.from_numpy(rows)], painter.scene(identity.expand(len(rows)), whole)).float()
            true = footage.place(painted, whole)
            errors += [float(image_loss(painted, true, weight) + gradient_loss(painted, true, weight))] * len(rows)
    return float(np.mean(errors))


def _tuned_ear(network: Network, teaching: dict[str, Tensor], footage: Footage) -> dict[str, Tensor]:
    """Return the layer that ends the audio encoder, fitted to this person."""
    gain = teaching.get("gain", torch.ones(COMPONENTS))
    head = Head(weight=gain[:, None] * teaching["head.weight"][:COMPONENTS], bias=gain * teaching["head.bias"][:COMPONENTS])
    with torch.inference_mode():
        hidden = torch.cat([network.audio.hidden(part).flatten(1) for part in torch.split(footage.windows, 256)]).cpu()
    rows = torch.from_numpy(footage.learn)
    rooms = np.concatenate([np.zeros((QUIET_ROWS // 4, 12, 35), np.float32), room_windows(QUIET_ROWS, np.random.default_rng(0))])
    with torch.inference_mode():
        quiet = network.audio.hidden(torch.from_numpy(rooms)[:, None].to(footage.device)).flatten(1).cpu()
    head = attune(head, hidden[rows], footage.codes.cpu()[rows], quiet)
    weight = teaching["fc.weight"]
    return {
        "audio.fc7.0.weight": (weight @ head.weight)[:, :, None, None],
        "audio.fc7.0.bias": weight @ head.bias + teaching["fc.bias"],
    }


def _write(request: AdaptRequest, changed: dict[str, Tensor], metadata: dict[str, str]) -> None:
    part = Part(request.output)
    try:
        halves = {name: tensor.detach().cpu().contiguous().to(torch.float16) for name, tensor in changed.items()}
        write_tensors(part.path, halves, metadata)
        part.publish()
    finally:
        part.discard()
