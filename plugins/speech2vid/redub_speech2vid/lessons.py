"""lessons: a desk -> what is learnt in the stages that paint: reader, mouth, joint.

The *reader* learns the mouth's shape off a picture.  Its layers then tell how alike two mouths are, and it tells what
a painted mouth says.

The *mouth* learns to paint from the true shape, with one linear layer (`Teacher`) in the audio feature's place.  Speech says
less than the shape does, and a network that paints from speech alone hedges: it paints a mean mouth that hardly moves.  What
paints from the shape moves fully, and hearing the shape is left to the ear.

*Joint* learns all at once from speech, as the paper does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redub.training.loop import Lesson, Look
from redub.types import Floats
from redub_speech2vid.codes import COMPONENTS
from redub_speech2vid.content import Reader, VggM
from redub_speech2vid.critic import Critic, belief_loss, critic_loss
from redub_speech2vid.desk import Desk, Shown, held_out, sheet
from redub_speech2vid.hidden import hide
from redub_speech2vid.incontext import CONTEXT, IDENTITY, InContext
from redub_speech2vid.losses import content_loss, focus_map, gradient_loss, image_loss
from redub_speech2vid.model import FEATURES, Decoder, Identity, Speech2Vid
from redub_speech2vid.norms import NormedDecoder
from redub_speech2vid.pictures import PictureBatch, finish, on_device
from redub_speech2vid.recipe import PictureCourse
from redub_speech2vid.register import registered

Content = Reader | VggM | None
Network = Speech2Vid | InContext
CRITIC_SHARE = 0.1
"""Adam takes no notice of it, but where the whole gradient is too long, the painter's share is not to be lost."""


class Teacher(nn.Module):
    """The mouth's true shape -> what stands in for the audio feature: (B, 12) -> (B, 256), none below zero."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(COMPONENTS, FEATURES)
        # Codes vary by about one: so its units vary as much, and most of them are alive at rest.
        nn.init.normal_(self.fc.weight, std=0.6)
        nn.init.uniform_(self.fc.bias, -0.3, 0.6)

    def forward(self, code: Tensor) -> Tensor:
        return F.relu(self.fc(code))


class Painter(nn.Module):
    """What the stage *mouth* learns: all of a network but its ear, and the teacher in its place.

    Args:
        network: Its encoders of pictures and its decoder.
        teacher: Stands in for its ear.
        decoder: The network's own decoder with norms; None takes it as it is.
        critic: Learns along, and is not kept.
    """

    def __init__(
        self, network: Network, teacher: Teacher, decoder: NormedDecoder | None = None, critic: Critic | None = None
    ) -> None:  # fmt: skip
        super().__init__()
        self.identity, self.decoder, self.teacher = network.identity, decoder or network.decoder, teacher
        self.context = network.context if isinstance(network, InContext) else None
        self.critic = critic

    def identify(self, stills: Tensor) -> Identity:
        feature, maps = self.identity(stills)
        own = self.decoder.separate(stills) if not isinstance(self.decoder, Decoder) else None
        return Identity(feature=feature, skips=self.decoder.shares(maps, IDENTITY), stills=own)

    def scene(self, identity: Identity, whole: Tensor) -> Identity:
        """Return what the decoder needs to paint over some crops: (B, 3, S, S) in 0..1, of which it sees no mouth."""
        if self.context is None:
            return identity
        feature, maps = self.context(hide(whole).contiguous(memory_format=torch.channels_last))
        return identity.join(Identity(feature=feature, skips=self.decoder.shares(maps, CONTEXT)))

    def forward(self, code: Tensor, identity: Identity) -> Tensor:
        pictures: Tensor = self.decoder(self.teacher(code), identity)
        return pictures


def reader_lesson(desk: Desk, reader: Reader) -> Lesson[PictureBatch]:
    """Teach a reader the mouth's shape, up to what is each face's own: only differences within an identity count."""
    course, shown = desk.recipe.reader, held_out(desk)

    def loss(batch: PictureBatch) -> dict[str, Tensor]:
        batch = on_device(batch, desk.device)
        _, whole = finish(batch)
        with desk.autocast():
            read = reader(desk.canvas.as_read(desk.canvas.cut(whole), whole))
        return {"loss": (_centred(read.float(), course) - _centred(batch.codes, course)).abs().mean()}

    def look() -> Look:
        if not shown:
            return Look()
        with desk.autocast():
            found = [reader(desk.canvas.as_read(one.true, one.whole)).float().cpu().numpy() for one in shown]
        alike = [[_alike(read[:, k], desk.mouths.codes[one.rows, k]) for k in range(3)] for read, one in zip(found, shown, strict=True)]
        first, second, third = np.mean(alike, axis=0)
        return Look(values={"loss": float(1 - first), "alike_1": float(first), "alike_2": float(second), "alike_3": float(third)})

    return Lesson(
        name="reader", model=reader, draw=lambda step: desk.batch("reader", course, step), loss=loss, look=look, samples=_samples(course)
    )  # fmt: skip


def mouth_lesson(desk: Desk, painter: Painter, content: Content) -> Lesson[PictureBatch]:
    """Teach the decoder and the identity encoder to paint a mouth of a given shape."""
    course, shown = desk.recipe.mouth, held_out(desk)
    judge = _Judge(desk, content)

    def loss(batch: PictureBatch) -> dict[str, Tensor]:
        batch = on_device(batch, desk.device)
        stills, whole = finish(batch)
        with desk.autocast():
            scene = painter.scene(painter.identify(stills).repeat(batch.targets.shape[1]), whole)
            painted = painter(batch.codes, scene).float()
        true = judge.place(painted, desk.canvas.cut(whole))
        terms = judge.terms(painted, true, whole)
        return judge.believe(painter.critic, terms, painted, true, batch.codes) if painter.critic is not None else terms

    def paint(one: Shown) -> Tensor:
        codes = torch.from_numpy(desk.mouths.codes[one.rows]).to(desk.device)
        return painter(codes, painter.scene(painter.identify(one.stills).expand(len(codes)), one.whole))  # type: ignore[no-any-return]

    return Lesson(
        name="mouth", model=painter, draw=lambda step: desk.batch("mouth", course, step), loss=loss,
        look=lambda: judge.look(shown, paint), samples=_samples(course),
    )  # fmt: skip


def joint_lesson(desk: Desk, network: Network, content: Content, course: PictureCourse) -> Lesson[PictureBatch]:
    """Teach the whole network to paint from speech."""
    shown, judge = held_out(desk), _Judge(desk, content)
    network.requires_grad_(True)

    def loss(batch: PictureBatch) -> dict[str, Tensor]:
        batch = on_device(batch, desk.device)
        stills, whole = finish(batch)
        with desk.autocast():
            painted = paint(network, batch.windows, network.identify(stills).repeat(batch.targets.shape[1]), whole).float()
        return judge.terms(painted, judge.place(painted, desk.canvas.cut(whole)), whole)

    return Lesson(
        name="joint", model=network, draw=lambda step: desk.batch("joint", course, step), loss=loss,
        look=lambda: judge.look(shown, lambda one: paint_heard(desk, network, one)), samples=_samples(course),
    )  # fmt: skip


def paint(network: Network, windows: Tensor, identity: Identity, whole: Tensor) -> Tensor:
    """Paint from speech: (B, 1, 12, 35), as many identities, and the crops that are painted over -> (B, 3, height, width)."""
    if isinstance(network, InContext):
        return network(windows, identity, hide(whole).contiguous(memory_format=torch.channels_last))  # type: ignore[no-any-return]
    return network(windows, identity)  # type: ignore[no-any-return]


def paint_heard(desk: Desk, network: Network, one: Shown, shift: int = 0) -> Tensor:
    """Paint a held-out piece from its sound, or from that of rows further on, wrapped around."""
    windows = np.roll(desk.samples.windows[one.rows, 0].astype(np.float32), shift, axis=0)
    heard = torch.from_numpy(windows)[:, None].to(desk.device)
    return paint(network, heard, network.identify(one.stills).expand(len(heard)), one.whole)


class _Judge:
    """Compares painted pictures with true ones."""

    def __init__(self, desk: Desk, content: Content) -> None:
        self.desk, self.settings = desk, desk.recipe.loss
        self.content = content.to(desk.device).eval().requires_grad_(False) if content is not None else None
        focus = focus_map(desk.canvas).to(desk.device)
        self.weight = focus if self.settings.focus else torch.ones_like(focus)

    def place(self, painted: Tensor, true: Tensor) -> Tensor:
        """Return true pictures where the painted ones have put the face."""
        return registered(painted, true) if self.settings.register else true

    def believe(self, critic: Critic, terms: dict[str, Tensor], painted: Tensor, true: Tensor, codes: Tensor) -> dict[str, Tensor]:
        """Add to the terms what a critic says, and what it learns itself."""
        with self.desk.autocast():
            belief, unlike = belief_loss(critic, painted, true, codes)
            learning = critic_loss(critic, painted, true, codes)
        # Neither reaches the other's parameters, so one descent serves both.
        loss = terms["loss"] + self.settings.critic_weight * belief + self.settings.critic_likeness * unlike + CRITIC_SHARE * learning
        return {**terms, "loss": loss, "belief": belief, "critic": learning}

    def terms(self, painted: Tensor, true: Tensor, whole: Tensor) -> dict[str, Tensor]:
        """Return the terms of the loss and their weighted sum; both pictures lie in the same whole crops."""
        terms = {"image": image_loss(painted, true, self.weight)}
        loss = terms["image"]
        if self.settings.gradient_weight:
            terms["gradient"] = gradient_loss(painted, true, self.weight)
            loss = loss + self.settings.gradient_weight * terms["gradient"]
        if self.content is not None:
            with self.desk.autocast():
                with torch.no_grad():
                    wanted = self.content.maps(self.desk.canvas.as_read(true, whole))
                found = self.content.maps(self.desk.canvas.as_read(painted, whole))
            terms["content"] = content_loss(found, wanted)
            loss = loss + self.settings.content_weight * terms["content"]
            if isinstance(self.content, Reader) and self.settings.reading_weight:
                with self.desk.autocast():
                    read, said = self.content.code(found), self.content.code(wanted)
                terms["reading"] = (read.float() - said.float()).abs().mean()
                loss = loss + self.settings.reading_weight * terms["reading"]
        return {"loss": loss, **terms}

    def look(self, shown: list[Shown], paint: Callable[[Shown], Tensor]) -> Look:
        """Paint held-out pieces, and say how they come out."""
        if not shown:
            return Look()
        with self.desk.autocast():
            painted = [paint(one) for one in shown]
        found = [self._measure(one, pictures.float()) for one, pictures in zip(shown, painted, strict=True)]
        values = {name: float(np.nanmean([one[name] for one in found])) for name in found[0]}
        return Look(values=values, picture=sheet(self.desk, shown, painted))

    def _measure(self, one: Shown, painted: Tensor) -> dict[str, float]:
        values = {name: float(value) for name, value in self.terms(painted, one.true, one.whole).items()}
        values["mse"] = float(((painted - one.true) ** 2).mean()) * 255**2
        if isinstance(self.content, Reader):
            seen = (self.desk.canvas.as_read(pictures, one.whole) for pictures in (painted, one.true))
            read, true = (self.content(pictures).float()[:, 0].cpu().numpy() for pictures in seen)
            values |= {"alike": _alike(read, true), "movement": float(read.std() / max(true.std(), 1e-6))}
        return values


def _samples(course: PictureCourse) -> int:
    return course.identities * (1 if course.epochs else course.targets)


def _centred(codes: Tensor, course: PictureCourse) -> Tensor:
    grouped = codes.view(course.identities, course.targets, -1)
    return grouped - grouped.mean(1, keepdim=True)


def _alike(one: Floats, other: Floats) -> float:
    """Return the correlation of two series; 0 where one does not move."""
    if len(one) < 3 or one.std() < 1e-6 or other.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
