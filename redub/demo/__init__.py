"""demo: a short clip of a rendered head and a Spanish voice -> a re-dubbed video.

No real person speaks here: the head is our rendering of a freely licensed face model (see ``NOTICE``).
"""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from redub.errors import MediaError
from redub.progress import Tell, silent

if TYPE_CHECKING:
    from redub.pipeline import Result

VIDEO, SOUND, NOTICE = "lecture.mp4", "spanish.m4a", "NOTICE"


def copy_demo(folder: Path) -> tuple[Path, Path]:
    """Copy the demo's files into a folder, leaving those that are there, and return video and sound.

    Raises:
        MediaError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (VIDEO, SOUND, NOTICE):
            if not (folder / name).exists():
                with resources.as_file(resources.files(__package__) / name) as source:
                    shutil.copyfile(source, folder / name)
    except OSError as error:
        raise MediaError(f"The demo cannot be copied to {folder}: {error.strerror}.", "Name another folder:  redub demo FOLDER") from error
    return folder / VIDEO, folder / SOUND


def run_demo(folder: Path, generator: str, *, force: bool = False, tell: Tell = silent) -> Result:
    """Copy the demo out and re-dub it.

    Raises:
        RedubError: As `redub.redub` does.
    """
    from redub.pipeline import redub

    video, sound = copy_demo(folder)
    return redub(video, sound, generator, force=force, tell=tell)
