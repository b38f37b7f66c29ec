"""shelf: video -> the plan that is kept for it.

A plan stands beside its video as ``VIDEO.redub`` and is found again by the video's content, so a moved or renamed
pair still fits and an exchanged video never gets a stranger's plan.  What a user may have edited is never written
over: it is used, refused with a reason, or set aside under another name.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from redub.config import Config
from redub.errors import PlanError
from redub.plan import Plan, free_name, is_plan, is_source


def folder_beside(video: Path) -> Path:
    """Return where the plan of a video is kept unless the user says otherwise."""
    return video.with_name(video.name + ".redub")


def check_folder(folder: Path) -> None:
    """Raise `PlanError` if a plan could not be written there, before an analysis is spent on it."""
    if folder.exists() and not (folder.is_dir() and is_plan(folder)):
        raise PlanError(f"{folder} exists and is not a plan.", "Name another folder with --plan, or move it away.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder.parent).close()
    except OSError as error:
        raise PlanError(
            f"The plan cannot be written to {folder}: {error.strerror or error}.", "Name another folder with --plan."
        ) from error


def find_plan(video: Path, folder: Path | None, config: Config, notices: list[str]) -> Plan | None:
    """Load the plan that was named, or the one that stands beside the video.

    Args:
        video: The file to be dubbed.
        folder: What ``--plan`` named; None looks beside the video.
        config: Its analysis settings must be those that an unnamed plan was made with.
        notices: Is told if another video's plan had to make room.

    Returns:
        The plan, or None if one is to be made.

    Raises:
        PlanError: The named plan is missing, damaged or another video's; or the one beside the video is damaged or
            was made with other settings.
    """
    if folder is not None:
        if not folder.exists():
            return None
        plan = Plan.load(folder)
        plan.check_source(video)
        return plan
    beside = folder_beside(video)
    if not (beside / "plan.json").exists():
        return None
    plan = Plan.load(beside)
    if not is_source(video, plan.source):
        notices.append(f"{beside} was made for another {plan.source.name}; it is kept as {set_aside(beside, plan.source.sha256)}.")
        return None
    changed = _differences(plan.settings, config.analysis_settings())
    if changed:
        raise PlanError(
            f"The plan {beside} was made with other settings: {'; '.join(changed)}.",
            f"Use it as it is with  --plan {beside}  or make it anew with  redub analyse {video} --force",
        )
    return plan


def set_aside(folder: Path, sha256: str) -> Path:
    """Rename another video's plan out of the way, and say where it is now."""
    target = free_name(folder.with_name(f"{folder.name}.{sha256[:8]}"))
    try:
        return folder.rename(target)
    except OSError as error:
        raise PlanError(
            f"{folder} is another video's plan and cannot be moved away: {error.strerror}.", "Name a folder with --plan."
        ) from error


def _differences(made_with: dict[str, dict[str, object]], wanted: dict[str, dict[str, object]]) -> list[str]:
    return [
        f"{group}.{key} was {made_with.get(group, {}).get(key)}, now {value}"
        for group, values in wanted.items()
        for key, value in values.items()
        # A setting that there was not yet cannot have been another.
        if made_with.get(group, {}).get(key, value) != value
    ]
