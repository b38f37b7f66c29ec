"""recipe: a name and single settings -> every value that a training depends on.

``paper`` sets what the paper states, ``baseline-1`` and ``baseline-2`` are its Baselines (section 4.5), and ``own`` is meant for
less footage and a CPU.  docs/explanation/lumierenet.md has the differences with their reasons.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from redub.errors import ConfigError
from redub.training.course import Course
from redub.training.settings import between, with_settings

StageName = Literal["vae", "ear", "seq"]
STAGES: tuple[StageName, ...] = ("vae", "ear", "seq")
"""In which they are learnt; the last two need the first, and not each other."""
MEMORY = 2
"""L of the paper: past frames that the predictor sees."""
MOST_BACK, MOST_AHEAD = 30, 6
"""Steps of sound, in frames, that are kept around each frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureSettings:
    """Where pose figures come from."""

    source: Literal["landmarks", "iuv", "torchscript", "detectron2"] = "landmarks"
    path: str = ""
    """A folder of IUV pictures, a TorchScript file, or a DensePose model file of detectron2."""
    config: str = ""
    """Of detectron2."""
    layout: Literal["auto", "dict", "tuple"] = "auto"
    """How a TorchScript file answers; ``auto`` asks the file."""
    side: int = between(64, 256, 128)
    """Px of the figures that the VAE compresses: 64, 128 or 256; they are enlarged before they are painted from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaeCourse(Course):
    """The stage that learns codes of figures."""

    batch: int = between(1, 4096, 16)
    width: float = between(1 / 16, 4, 1.0)
    """Share of the channels."""
    divergence: float = between(0, 100, 1e-3)
    """Weight of the divergence of the codes from N(0, 1)."""
    features: float = between(0, 1000, 0.1)
    """Weight of the distance in VGG-19's features or their stand-in's."""
    pixels: float = between(0, 1000, 1.0)
    """Weight of the absolute difference, which keeps flat parts' colours exact."""
    mouth: float = between(1, 1000, 10.0)
    """How many times the mouth's surroundings count in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarCourse(Course):
    """The stage that hears: sound to codes."""

    batch: int = between(1, 65536, 128)
    window: int = between(1, MOST_BACK + 1, 15)
    """W of the paper: steps that are heard, one a frame."""
    ahead: int = between(0, MOST_AHEAD, 4)
    """So many of them lie behind the frame: lips are set before their sound is heard.  The paper's window ends with the frame."""
    cells: int = between(4, 4096, 256)
    dropout: float = between(0, 0.95, 0.3)
    gain_db: float = between(0, 40, 6.0)
    """Largest change of loudness in what is learnt from."""
    tilt_db: float = between(0, 40, 4.0)
    """Largest slope over the bands, as rooms and microphones make it."""
    noise: float = between(0, 4, 0.1)
    """Sigma of noise on the normalised energies."""
    mouth: float = between(0, 1000, 2.0)
    """Weight of the mouth's shape as the codes tell it, which is what sound can tell; the rest of a pose is chance."""
    most_gain: float = between(1, 10, 1.5)
    """What is heard moves less than what is seen; the mouth's part of it is enlarged by at most this."""
    most_reach: float = between(1, 4, 3.0)
    """What is painted moves less than its codes say; that is made up for by at most this."""
    anchor: bool = True
    """Whether the rest of the pose rests on a real one: the mean of all poses, which is what sound alone tells of it, is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeqCourse(Course):
    """The stage that paints: SeqPix2Pix."""

    batch: int = between(1, 1024, 2)
    """Triplets of consecutive frames."""
    width: float = between(1 / 16, 4, 0.5)
    """Share of the channels of the U-Net."""
    predictor_width: float = between(1 / 16, 4, 0.25)
    critic_width: float = between(1 / 16, 4, 0.25)
    dropout: float = between(0, 0.95, 0.0)
    """In three layers of the U-Nets, as Pix2Pix has it."""
    every: int = between(1, 10_000, 1)
    """One frame in so many is a target."""
    alone: float = between(0, 1, 0.5)
    """How often a batch is as many frames of anywhere in the place of triplets, and compared directly alone: neighbours look alike
    and teach G little for their time."""
    backdrop: bool = True
    """Whether G and P paint what differs from a picture that is learnt along with them, and begins as the mean of the footage."""
    conditional: bool = True
    """Whether the discriminator sees figure and picture together; the equations show it pictures alone."""
    belief: float = between(0, 1000, 0.3)
    """Weight of the game against the discriminator: 1 in equation 10."""
    features: float = between(0, 1000, 1.0)
    """Lambda 0, equation 11: 0.05 in the paper, with another network's features."""
    consistent: float = between(0, 1000, 10.0)
    """Lambda 1, equation 12: the frame that is predicted from painted ones."""
    predicted: float = between(0, 1000, 10.0)
    """Lambda 2, equation 13: the frame that is predicted from true ones."""
    direct: float = between(0, 1000, 50.0)
    """Weight of the absolute difference of painted and true frames, which the paper does without."""
    gradient: float = between(0, 1000, 25.0)
    """Weight of the difference of their gradients."""
    mouth: float = between(1, 1000, 4.0)
    """How many times the mouth's surroundings count in the direct difference."""
    reconstructed: float = between(0, 1, 0.5)
    """How often figures have been through the VAE, as they will have been when sound is all there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All values; `with_settings` puts single ones in."""

    stages: tuple[StageName, ...] = STAGES
    stage: Literal["", "vae", "ear", "seq"] = ""
    """Learn only this one, anew if it was begun with other values; empty learns what is missing."""
    speaker: str = ""
    """Whose footage is learnt from, where it is of several; ``all`` says that it shows one person, whatever the files are called."""
    features: Literal["vgg19", "stand-in"] = "stand-in"
    """Whose layers pictures and figures are compared by."""
    vgg19: str = ""
    """A file of VGG-19, made by ``python -m redub_lumierenet.vgg19``."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    figure: FigureSettings = field(default_factory=FigureSettings)
    vae: VaeCourse = VaeCourse(steps=8000, rate=1e-3, memory=0.999, decay=0.0, warm_up=100, average=0.995, look_every=250, share=0.2)
    ear: EarCourse = EarCourse(steps=6000, rate=1e-3, memory=0.999, decay=1e-2, warm_up=100, average=0.998, look_every=200, share=0.1)
    seq: SeqCourse = SeqCourse(
        steps=20_000, rate=5e-4, momentum=0.5, memory=0.999, decay=0.0, warm_up=100, average=0.999, settle=0.5, look_every=250, share=0.7
    )


PAPER = Recipe(
    features="vgg19",
    precision="float32",
    figure=FigureSettings(side=256),
    vae=VaeCourse(
        steps=50_000, rate=2.5e-4, optimiser="rmsprop", memory=0.9, decay=0.0, schedule="fixed", look_every=1000,
        features=1.0, pixels=0.0, mouth=1.0,
    ),
    ear=EarCourse(
        steps=200_000, rate=1e-6, optimiser="rmsprop", memory=0.9, decay=0.0, schedule="fixed", look_every=2000,
        ahead=0, dropout=0.0, gain_db=0.0, tilt_db=0.0, noise=0.0, mouth=0.0, most_gain=1.0, most_reach=1.0, anchor=False,
    ),
    seq=SeqCourse(
        steps=200_000, rate=2e-4, momentum=0.5, memory=0.999, decay=0.0, schedule="fixed", settle=0.5, look_every=2000,
        batch=1, width=1.0, predictor_width=1.0, critic_width=1.0, dropout=0.5, every=30, alone=0.0, backdrop=False, conditional=False,
        belief=1.0, features=0.05, consistent=10.0, predicted=10.0, direct=0.0, gradient=0.0, mouth=1.0, reconstructed=0.0,
    ),
)  # fmt: skip
RECIPES = {
    "own": Recipe(),
    "paper": PAPER,
    "baseline-1": replace(PAPER, seq=replace(PAPER.seq, features=0.0, consistent=0.0, predicted=0.0)),
    "baseline-2": replace(PAPER, seq=replace(PAPER.seq, consistent=0.0, predicted=0.0)),
}


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
    recipe = replace(recipe, stages=tuple(stage for stage in STAGES if stage in recipe.stages))
    if recipe.features == "vgg19" and not recipe.vgg19:
        raise ConfigError(
            "Pictures are to be compared by VGG-19, and no file of its weights is named.",
            "Name one with  --set vgg19=FILE  (docs/how-to/instructor.md says how to make it), or do without:  --set features=stand-in",
        )
    if recipe.figure.source != "landmarks" and not recipe.figure.path:
        raise ConfigError(f"Figures are to come from {recipe.figure.source}, and none is named.", "Name it with  --set figure.path=PATH")
    if recipe.figure.side not in (64, 128, 256):
        raise ConfigError(f"figure.side is {recipe.figure.side}.", "Choose from: 64, 128, 256.")
    if recipe.ear.window - recipe.ear.ahead < 1:
        raise ConfigError("The window of the ear lies wholly behind the frame.", "Raise ear.window, or lower ear.ahead.")
    if "vae" not in recipe.stages:
        raise ConfigError("The other stages learn codes that the stage vae finds, and it is left out.", "Put vae into stages.")
    if recipe.stage and recipe.stage not in recipe.stages:
        raise ConfigError(f"The stage {recipe.stage} is none of this recipe's.", f"They are: {', '.join(recipe.stages)}.")
    return recipe


def what_matters(recipe: Recipe, stage: StageName) -> dict[str, Any]:
    """Return what must not change once a stage has begun, as JSON holds it: not how long it learns, nor how often it is looked at."""
    course = asdict(getattr(recipe, stage))
    for free in ("steps", "look_every", "patience", "share", "most_gain", "most_reach", "anchor"):
        course.pop(free, None)
    return {
        "course": course,
        "figure": asdict(recipe.figure),
        "precision": recipe.precision,
        "features": recipe.features,
        "speaker": recipe.speaker,
    }


def stage_limit_s(recipe: Recipe, stage: StageName, limit_s: float | None) -> float | None:
    """Return a stage's part of the time."""
    if limit_s is None:
        return None
    shares = {name: getattr(recipe, name).share for name in recipe.stages}
    return float(limit_s * shares[stage] / max(sum(shares.values()), 1e-9))
