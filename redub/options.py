"""options: what the commands of the command line have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from redub.choices import Blend, Fit

_Option = typer.Option

Video = Annotated[Path, typer.Argument(metavar="VIDEO", help="Somebody talking.", show_default=False)]
Audio = Annotated[
    Path,
    _Option("--audio", "-a", metavar="SOUND", help="The new sound track: wav, flac, mp3, m4a, ogg, opus, ...", show_default=False),
]
Generator = Annotated[str, _Option("--generator", "-g", metavar="NAME", help="Who paints: a name from [b]redub plugins[/b].")]
Weights = Annotated[
    str,
    _Option(
        "--weights", metavar="NAME|FILE|FOLDER", show_default="the generator's own",
        help="What [b]redub train[/b] made; for a generator that knows one person also a name that comes with it.",
    ),
]  # fmt: skip
Output = Annotated[
    Path | None, _Option("--output", "-o", metavar="FILE", help="The result.", show_default="VIDEO.SOUND.mp4 beside the video")
]
Force = Annotated[bool, _Option("--force", help="Replace a result that exists.")]
Device = Annotated[str, _Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1, mps.")]
BlendOption = Annotated[
    Blend | None,
    _Option("--blend", help="How the mouth goes into the picture.", show_default="network where the speaker is learnt, else poisson"),
]
FitOption = Annotated[
    Fit | None,
    _Option("--fit", help="If the sound is longer: hold the last frame, loop or bounce; cut ends with the shorter.", show_default="hold"),
]
Speaker = Annotated[
    str,
    _Option(
        "--speaker", metavar="WHO",
        help="Whose mouth: auto (who is heard), left, right, track ids of [b]redub show PLAN[/b] as 3,7, or a picture of the face.",
    ),
]  # fmt: skip
Identity = Annotated[
    list[Path] | None,
    _Option(
        "--identity", metavar="IMAGE", show_default="stills of the video",
        help="A photograph (JPEG, PNG) of the face whose mouth is painted, with their agreement; up to five times.",
    ),
]  # fmt: skip
AdaptOption = Annotated[
    bool | None,
    _Option(
        "--adapt/--no-adapt", show_default="where the generator can",
        help="Learn the speaker from the video's own sound before painting; kept in the plan for the next language.",
    ),
]  # fmt: skip
AdaptTime = Annotated[
    float | None,
    _Option("--adapt-time", metavar="SECONDS", help="Learn no longer than this for a person.", show_default="the generator's own"),
]
Gate = Annotated[
    bool,
    _Option("--gate", help="Exit with 3 if lips and new sound of the result do not go together (see sync.* in [b]redub show config[/b])."),
]
PlanOption = Annotated[
    Path | None,
    _Option("--plan", metavar="FOLDER", help="The analysis to use; made there if missing.", show_default="VIDEO.redub beside the video"),
]
ConfigOption = Annotated[Path | None, _Option("--config", metavar="TOML", help="A file of settings.", show_default=False)]
SetOption = Annotated[
    list[str] | None,
    _Option("--set", metavar="KEY=VALUE", help="One setting, as encode.crf=20; see [b]redub show config[/b].", show_default=False),
]
AsJson = Annotated[bool, _Option("--json", help="Progress as JSON lines on standard error, the result as JSON on standard output.")]
Quiet = Annotated[bool, _Option("--quiet", "-q", help="No progress; errors and notes only.")]
Debug = Annotated[bool, _Option("--debug", help="Show the traceback of an error.")]
