"""recipe: a name and single settings -> every value that a training depends on.

Recipes for two networks.  ``own`` learns in stages, which on few hours and small machines makes the mouth move fully: a *reader* learns
what a mouth looks like, the *mouth* is learnt from its true shape, and the *ear* learns that shape from speech.  ``paper``
learns all at once from speech, with the values of section 3.4; see docs/how-to/train.md for each of them.  ``context`` and
``paper-context`` do the same for the network that paints in context (section 6.2).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from redub.errors import ConfigError
from redub.training.course import Course
from redub.training.settings import between, with_settings
from redub_speech2vid.canvas import PLAIN, Canvas, context_canvas
from redub_speech2vid.incontext import CONTEXT_SKIPS, GRID_ROWS, IDENTITY_SKIPS, ContextSkip, Shape
from redub_speech2vid.model import SKIP_NAMES, SKIPS, Skip, Upsampling

StageName = Literal["reader", "mouth", "ear", "joint", "sharpen"]
ContentName = Literal["reader", "vggface", "random", "none"]


ORDER: tuple[StageName, ...] = ("reader", "mouth", "ear", "joint", "sharpen")
"""In which stages are learnt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSettings:
    """Which frames are samples, and in how many voices."""

    every: int = between(1, 1000, 1)
    """Frames per sample; the paper takes every fifth, since those between add little variety."""
    rate_hz: float = between(0, 1000, 0.0)
    """Frames are taken as if the video had this rate; 0 takes them all."""
    voices: int = between(1, 64, 8)
    """Sounds that are kept of a piece: the one that was recorded, and others made of it."""
    eq_db: float = between(0, 30, 3.5)
    """Sigma of a smooth gain over frequencies, in the other voices."""
    gain_db: float = between(0, 60, 8.0)
    """Largest gain."""
    noise_least_db: float = between(-20, 120, 15.0)
    """Worst signal-to-noise ratio."""
    noise_most_db: float = between(-20, 120, 45.0)
    """Best signal-to-noise ratio."""
    shift_s: float = between(0, 0.1, 0.006)
    """Largest shift in time."""
    warp: float = between(0, 1, 0.18)
    """Largest change of the vocal tract's length, as the logarithm of a factor; 0.06 is a semitone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawSettings:
    """Which samples meet in a batch."""

    gap_frames: int = between(1, 1000, 5)
    """Stills are at least so many frames away from what is to be painted with them."""
    balance: float = between(0, 1, 0.35)
    """A speaker is drawn as often as the power of this of what there is of them: 1 counts frames, 0 speakers alike."""
    evenly: float = between(0, 1, 0.5)
    """Share of what is painted that is drawn evenly over how far the mouth is open, which is seldom wide; the rest as it comes."""
    elsewhere: float = between(0, 1, 0.5)
    """How often the stills are of another piece of the same speaker, where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSettings:
    """How pictures are changed before they are learnt from; 0 switches a change off."""

    flip: float = between(0, 1, 0.5)
    """How often left and right are exchanged, in all pictures of a sample and in its mouth's shape."""
    warp: float = between(0, 1, 0.045)
    """Sigma of a smooth displacement, the same for all pictures of a sample, as if it were another face; half crops."""
    scale: float = between(0, 1, 0.05)
    """Sigma of the scale across and down that goes with it."""
    warp_share: float = between(0, 1, 0.7)
    """How often a batch is warped."""
    jitter: float = between(0, 1, 0.012)
    """Sigma of a shift of single stills, as registration errs; half crops."""
    turn_rad: float = between(0, 1, 0.01)
    """Sigma of a turn of single stills."""
    light: float = between(0, 4, 1.0)
    """Strength of changes of gamma, brightness, contrast and colour, the same for all pictures of a sample."""
    single: float = between(0, 1, 0.1)
    """How often one still stands in for all five, so that one is enough later."""
    code: float = between(0, 1, 0.03)
    """Sigma of noise on the mouth's shape."""
    soft_share: float = between(0, 1, 0.0)
    """How often all pictures of a sample are blurred alike, as where a face is small in the footage."""
    soft: float = between(0, 10, 1.5)
    """Largest sigma of that blur, px of the crop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSettings:
    """What a painted picture is compared by.  Each term is a mean over its elements."""

    content: ContentName = "reader"
    """Whose five layers are compared besides pixels."""
    content_weight: float = between(0, 1000, 0.03)
    gradient_weight: float = between(0, 1000, 1.0)
    """Of the differences between neighbouring pixels, which blur takes away first."""
    reading_weight: float = between(0, 1000, 0.4)
    """Of the mouth's shape as the reader reads it off the picture."""
    focus: bool = True
    """Whether the mouth counts more than the rest of the face."""
    register: bool = True
    """Whether the true picture is first moved onto the painted one: stills do not say how the head is turned."""
    critic_weight: float = between(0, 1000, 0.01)
    """Of being taken for a photograph of a mouth of that shape, in the stage *mouth*; 0 does without a critic."""
    critic_likeness: float = between(0, 1000, 0.01)
    """Of how the critic's layers differ."""
    vggface: str = ""
    """A file of VGG-M-face weights, made by ``python -m redub_speech2vid.vggface``."""
    vggface_input: Literal["unit", "vgg"] = "vgg"
    """What that network is shown: 0 to 1 as in the authors' released graph, or what it was trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureCourse(Course):
    """A stage whose batches share stills: each identity paints several targets."""

    identities: int = between(2, 4096, 6)
    targets: int = between(1, 256, 4)
    epochs: int = between(0, 10**6, 0)
    """Go through all samples so often, one target an identity, in place of ``steps``; looks come after each epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarCourse(Course):
    """The stage that hears."""

    batch: int = between(2, 65536, 128)
    balance: float = between(0, 1, 0.5)
    """As ``draw.balance``, whose place it takes here: hearing needs many words more than many faces."""
    dropout: float = between(0, 0.95, 0.4)
    likeness: float = between(0, 100, 0.5)
    """Weight of the correlation within a batch, which unlike the squared error does not favour small movements."""
    silence: float = between(0, 1, 0.1)
    """Share of silence and of rooms in which nobody speaks, which go with a mouth at rest."""
    most_gain: float = between(1, 10, 1.6)
    """What is heard moves less than what is seen; it is enlarged by at most this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharpenCourse(Course):
    """The stage that takes blur away."""

    batch: int = between(1, 65536, 64)
    patch_px: int = between(8, 112, 56)
    least_sigma: float = between(0.01, 20, 0.8)
    most_sigma: float = between(0.01, 20, 2.5)
    kernel_px: int = between(3, 63, 13)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextSettings:
    """How the network is built that paints in context; see `redub_speech2vid.incontext.Build`."""

    width: float = between(1 / 16, 4, 1.0)
    """Share of the table's channels in the context encoder."""
    fine: float = between(1 / 16, 4, 1.0)
    """The same in the decoder's last layers."""
    rows: int = between(34, GRID_ROWS, GRID_ROWS)
    """How many of the 54 rows of its maps are painted from; what is hidden lies within the lowest 34."""
    shape: Shape = "table"
    """``table`` for the paper's layers as far as they are known, ``slim`` for quick ones, ``moving`` for quick ones that take
    pixels from the stills."""
    identity_skips: tuple[ContextSkip, ...] = IDENTITY_SKIPS
    """Which maps of the stills the decoder sees."""
    context_skips: tuple[ContextSkip, ...] = CONTEXT_SKIPS
    """Which maps of the frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All values; `with_settings` puts single ones in."""

    stages: tuple[StageName, ...] = ("reader", "mouth", "ear", "sharpen")
    stage: Literal["", "reader", "mouth", "ear", "joint", "sharpen"] = ""
    """Learn only this one, anew if it was begun with other values; empty learns what is missing."""
    width: float = between(1 / 16, 4, 0.5)
    """Share of the channels of the paper's layers."""
    blend: Literal["poisson", "network"] = "poisson"
    """Which network: the one whose pictures are blended, or the one that paints in context."""
    context: ContextSettings = field(default_factory=ContextSettings)
    skips: tuple[Skip, ...] = SKIP_NAMES
    """The paper leaves the earliest one out, since the mouth then sticks to the stills'.  One that is taught from its own
    shape does not, and is sharper with it."""
    upsampling: Upsampling = "bilinear"
    norms: bool = True
    """Whether the decoder has batch norms while the stage *mouth* learns; they are folded away at its end."""
    identity: Literal["random", "vggface"] = "random"
    """What the identity encoder's convolutions start from."""
    sharpens: bool = True
    """Whether the generator is to sharpen what it paints."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    samples: SampleSettings = field(default_factory=SampleSettings)
    draw: DrawSettings = field(default_factory=DrawSettings)
    picture: PictureSettings = field(default_factory=PictureSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    reader: PictureCourse = PictureCourse(
        steps=3000, rate=2e-3, momentum=0.9, memory=0.999, identities=8, targets=6, look_every=100, share=0.08
    )
    mouth: PictureCourse = PictureCourse(
        steps=20_000, rate=1e-3, warm_up=200, clip=1.0, average=0.999, settle=0.3, look_every=250, identities=5, targets=5, share=0.7
    )
    """Its norms settle early: with the few faces of a batch in each statistic, no network can give a face its own colours."""
    ear: EarCourse = EarCourse(steps=5000, rate=1.5e-3, decay=1e-2, warm_up=100, average=0.99, look_every=100, share=0.17)

    @property
    def canvas(self) -> Canvas:
        """What is painted of a crop."""
        return context_canvas(self.context.rows) if self.blend == "network" else PLAIN

    joint: PictureCourse = PictureCourse(
        steps=10_000, rate=2e-4, warm_up=200, clip=1.0, average=0.999, settle=0.6, look_every=250, identities=8, targets=3, share=0.2
    )
    sharpen: SharpenCourse = SharpenCourse(steps=3000, rate=1e-3, warm_up=100, average=0.99, look_every=100, share=0.05)


PAPER = Recipe(
    stages=("joint", "sharpen"),
    width=1.0,
    skips=SKIPS,
    identity="vggface",
    samples=SampleSettings(every=5, rate_hz=25.0, voices=1),
    draw=DrawSettings(balance=1.0, evenly=0.0, elsewhere=0.0),
    picture=PictureSettings(
        flip=0.0, warp=0.0, scale=0.0, warp_share=0.0, jitter=0.0, turn_rad=0.0, light=0.0, single=0.0, code=0.0
    ),
    loss=LossSettings(
        content="vggface", content_weight=1.0, gradient_weight=0.0, reading_weight=0.0, focus=False, register=False, critic_weight=0.0,
        vggface_input="unit",
    ),
    joint=PictureCourse(
        optimiser="sgd", rate=1e-5, momentum=0.9, decay=5e-4, schedule="fixed", epochs=20, patience=1, identities=32, targets=1
    ),
    sharpen=SharpenCourse(
        steps=20_000, rate=1e-4, memory=0.999, decay=0.0, schedule="fixed", least_sigma=2.0, most_sigma=2.0, kernel_px=5, patch_px=112),
)  # fmt: skip
CONTEXT = Recipe(
    stages=("reader", "mouth"),
    blend="network",
    width=0.5,
    context=ContextSettings(width=0.375, fine=0.375, rows=34, shape="moving", context_skips=("relu2", "pool1")),
    sharpens=False,
    samples=SampleSettings(every=2, voices=1),
    picture=PictureSettings(soft_share=0.3),
    # Where the face is, the frame tells: nothing has to be registered.
    loss=LossSettings(register=False, critic_weight=0.0),
    mouth=PictureCourse(
        steps=20_000, rate=1e-3, warm_up=30, clip=1.0, average=0.995, settle=0.05, look_every=250, identities=3, targets=6, share=0.9
    ),
)
PAPER_CONTEXT = replace(PAPER, blend="network", stages=("joint",))
RECIPES = {"own": Recipe(), "paper": PAPER, "context": CONTEXT, "paper-context": PAPER_CONTEXT}


def choose_recipe(name: str, settings: Mapping[str, str]) -> Recipe:
    """Return a recipe with single values put in.

    Args:
        name: Empty for ``own``.
        settings: As ``--set`` gives them.

    Raises:
        ConfigError: A name is not known, a value makes no sense, or values contradict each other.
    """
    if name and name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, 1)
        raise ConfigError(f"There is no recipe {name!r}.", f"Did you mean {near[0]}?" if near else f"There are: {', '.join(RECIPES)}.")
    recipe = with_settings(RECIPES[name or "own"], settings)
    stages = tuple(stage for stage in ORDER if stage in recipe.stages)
    recipe = replace(recipe, stages=stages, skips=tuple(skip for skip in SKIP_NAMES if skip in recipe.skips))
    needs_file = [key for key, value in {"loss.content": recipe.loss.content, "identity": recipe.identity}.items() if value == "vggface"]
    if needs_file and not recipe.loss.vggface:
        instead = "  ".join(f"--set {key}=random" for key in needs_file)
        raise ConfigError(
            f"{' and '.join(needs_file)} stand at vggface, and no file of its weights is named.",
            f"Name one with  --set loss.vggface=FILE  (docs/how-to/train.md says how to make it), or do without:  {instead}",
        )
    if recipe.identity == "vggface" and recipe.width != 1:
        raise ConfigError("An identity encoder of another width cannot start from VGG-M.", "Set width=1, or identity=random.")
    if recipe.norms and recipe.upsampling == "transposed" and "mouth" in recipe.stages:
        raise ConfigError("Transposed convolutions cannot have norms that are folded away.", "Set norms=false.")
    if recipe.stage and recipe.stage not in recipe.stages:
        raise ConfigError(f"The stage {recipe.stage} is none of this recipe's.", f"They are: {', '.join(recipe.stages)}.")
    if uses_reader(recipe) and {"mouth", "joint"} & set(recipe.stages) and "reader" not in recipe.stages:
        raise ConfigError("Mouths are compared by what a reader reads, and the stage reader is left out.", "Set loss.content=random.")
    return recipe


def uses_reader(recipe: Recipe) -> bool:
    """Say whether pictures are compared by what the reader makes of them."""
    return recipe.loss.content == "reader"


def what_matters(recipe: Recipe, stage: StageName) -> dict[str, Any]:
    """Return what must not change once a stage has begun, as JSON holds it.

    How long it learns, and how often it is looked at, may.
    """
    course = asdict(getattr(recipe, stage))
    for free in ("steps", "look_every", "patience", "share", "epochs"):
        course.pop(free, None)
    facts: dict[str, Any] = {"course": course, "samples": asdict(recipe.samples), "precision": recipe.precision}
    if stage != "ear":
        facts |= {"picture": asdict(recipe.picture), "draw": asdict(recipe.draw)}
    if stage in ("mouth", "joint"):
        loss = asdict(recipe.loss)
        loss.pop("vggface")
        if recipe.blend == "network":
            facts |= {key: value for key, value in build_facts(recipe).items() if key != "width"}
        facts |= {"norms": recipe.norms} if stage == "mouth" else {}
        facts |= {"loss": loss, "skips": list(recipe.skips), "upsampling": recipe.upsampling, "identity": recipe.identity}
    if stage in ("mouth", "ear", "joint"):
        facts["width"] = recipe.width
    return facts


def build_facts(recipe: Recipe) -> dict[str, str]:
    """Return how the network is built, as metadata say it."""
    facts = {"width": f"{recipe.width:g}"}
    if recipe.blend == "network":
        own = {
            name: value if isinstance(value, str) else f"{value:g}" for name, value in asdict(recipe.context).items() if "skips" not in name
        }
        own |= {name: ",".join(getattr(recipe.context, name)) for name in ("identity_skips", "context_skips")}
        return {**facts, "blend": "network", **{f"context.{name}": value for name, value in own.items()}}
    return {**facts, "skips": ",".join(recipe.skips), "upsampling": recipe.upsampling}


def stage_limit_s(recipe: Recipe, stage: StageName, limit_s: float | None) -> float | None:
    """Return a stage's part of the time."""
    if limit_s is None:
        return None
    shares = {name: getattr(recipe, name).share for name in recipe.stages}
    return float(limit_s * shares[stage] / max(sum(shares.values()), 1e-9))


def in_epochs(course: PictureCourse, samples: int) -> PictureCourse:
    """Return a course with its epochs counted in steps."""
    if not course.epochs:
        return course
    steps = max(1, samples // course.identities)
    return replace(course, steps=course.epochs * steps, look_every=steps)
