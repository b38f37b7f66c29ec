"""blending: generator, settings, what was asked for -> how the painted mouth goes back, and with which corrections."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from redub.choices import BlendChoice
from redub.config import BlendConfig, Config
from redub.errors import PluginError
from redub.plugin import manager
from redub.stills import Images
from redub.types import Blend
from redub.weights import SUFFIX, read_facts


def choose_for_video(
    entry: manager.Entry, blend: Blend | None, config: Config, notices: list[str], weights: Path | str, identity: Images
) -> Blend:
    """Choose as `choose_blend` does, for a video: from photographs nothing is learnt."""
    return choose_blend(entry, blend, config.blend.mode, notices, learns=config.adapt.use and not identity, named=str(weights))


def choose_blend(
    entry: manager.Entry, asked: Blend | None, usual: BlendChoice, notices: list[str], *, learns: bool, named: str = ""
) -> Blend:
    """Return the blending that was asked for, or the usual one or, where the generator lacks that, its first.

    Where neither says which, it is the one for which weights that are named were made; else painting in context where the speaker is
    learnt first.  Where nobody is, as from photographs, in context a mouth opens no farther than its few stills do, and blended it does.

    Args:
        entry: The generator.
        asked: On the command line.
        usual: The setting ``blend.mode``.
        notices: Is told of a setting that cannot be kept.
        learns: Whether the generator is to learn the speaker from the video first, if it can.
        named: Weights that the user named.

    Raises:
        PluginError: The generator does not offer what was asked for.
        WeightError: The named weights are not there.
    """
    info = entry.info
    first = next(iter(info.modes))
    if asked is not None:
        if asked in info.modes:
            return asked
        offered = ", ".join(info.modes)
        raise PluginError(f"The generator {info.name} cannot be blended with {str(asked)!r}.", f"It offers: {offered}.")
    if usual is BlendChoice.AUTO:
        if named:
            return _blend_of(entry, named)
        best = Blend.NETWORK if learns and info.adapter else Blend.POISSON
        return best if best in info.modes else first
    if Blend(usual) in info.modes:
        return Blend(usual)
    notices.append(f"{info.name} does not offer {usual!s} blending; {first!s} is used.")
    return first


def _blend_of(entry: manager.Entry, named: str) -> Blend:
    """Return the blending that weights say they paint for, or the generator's first."""
    first, *others = entry.info.modes
    for mode in others:
        # A name that a generator declares belongs to the blending that declares it.
        if any(file.name == f"{named}{SUFFIX}" for file in entry.info.modes[mode].weights):
            return mode
    file = next(iter(manager.find_weights(entry, first, named).values()), None)
    said = read_facts(file).get("blend", "") if file is not None else ""
    return Blend(said) if said in entry.info.modes else first


def blend_config(config: BlendConfig, mode: Blend, *, has_stills: bool) -> BlendConfig:
    """Photographs were taken in another light: unless the user set a limit, what is painted from them may be corrected by any amount."""
    is_usual = config.max_correction == BlendConfig().max_correction
    return replace(config, mode=BlendChoice(mode), max_correction=255.0 if has_stills and is_usual else config.max_correction)
