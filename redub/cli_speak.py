"""cli_speak: the command ``redub speak``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from redub.options import AsJson, Audio, BlendOption, ConfigOption, Debug, Device, Force, Generator, Quiet, SetOption, Weights


def speak(  # noqa: PLR0913  a command's options are its arguments
    audio: Audio,
    image: Annotated[
        list[Path] | None,
        typer.Option(
            "--image", "-i", metavar="IMAGE", show_default=False,
            help="A photograph (JPEG, PNG) of the face; the first one of up to five is painted on. None for a generator of whole pictures.",
        ),
    ] = None,
    generator: Generator = "speech2vid",
    weights: Weights = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The result.",
            show_default="IMAGE.SOUND.mp4 beside the picture, or WEIGHTS.SOUND.mp4 beside the sound",
        ),
    ] = None,
    force: Force = False,
    blend: BlendOption = None,
    max_side: Annotated[
        int, typer.Option("--max-side", metavar="PX", help="A picture with a longer side is scaled down to this.")
    ] = 1920,
    device: Device = "auto",
    config: ConfigOption = None,
    settings: SetOption = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Make a talking video from photographs of a face, or of a person whom a generator was trained on, as long as the sound.

    A person's face may be used only with their agreement to these words, this voice and where they will be shown.
    """
    # They are the command line's, which itself lists this command.
    from redub.cli import _friendly, _progress, _report, _settings

    with _friendly(as_json, debug), _progress(as_json, quiet) as tell:
        from redub.talking import speak as run

        chosen = _settings(config, settings, None)
        result = run(
            image or [], audio, generator,
            weights=weights, output=output, config=chosen, blend=blend, max_side_px=max_side, device=device, force=force, tell=tell,
        )  # fmt: skip
    _report(result, as_json, quiet)
