"""plan: what analysis found, saved as a folder without pixels.

A plan (``NAME.redub/`` with ``plan.json`` and ``arrays.npz``) does not depend on the new sound: it is made once and
rendered for every language.  ``plan.json`` is meant to be read and edited: drop a track, choose who speaks.  The
arrays belong to the tracks by their ids.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from redub.choices import LandmarkModel
from redub.errors import PlanError
from redub.files import sha256_of
from redub.types import CropPath, Ints, Reading, Shot, Speaking, Track, VideoFacts

VERSION = 2
READ = (1, 2)
"""Versions that can be read; the first knew no readings."""
MAX_RATE_HZ = 1000
MAX_LAST_S = 3600
"""How long a video's last frame may stand: a slide may stand for long, a wrong number for years."""
UNHEARD = "This plan was made by a version of redub that did not listen."
REMAKE = "Make a new one with:  redub analyse VIDEO --force"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Which file a plan was made for."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """Shots, faces, speakers and crops of one video."""

    source: Source
    facts: VideoFacts
    pts: Ints
    """(T,) presentation times of all frames in ``time_base``, in presented order."""
    time_base: Fraction
    shots: tuple[Shot, ...]
    """In order, touching, covering the whole video."""
    tracks: tuple[Track, ...]
    crops: tuple[CropPath, ...]
    """One for each track, in the same order."""
    speaking: tuple[Speaking, ...]
    """Who is painted when: in order, never two at a time."""
    settings: dict[str, dict[str, Any]]
    """The analysis settings that it was made with."""
    readings: tuple[Reading, ...] = ()
    """How the tracks go with the video's own sound, in the same order; empty where nothing has listened."""
    network: str = ""
    """What has listened: the sync network's kind and the begin of its sha256."""
    unheard: str = ""
    """Why nothing has listened, in one sentence; then the faces that look into the camera for longest speak."""

    @property
    def landmarks(self) -> LandmarkModel:
        """What found the landmarks; whoever looks at the same faces again is to ask the same."""
        return LandmarkModel(self.settings.get("tracks", {}).get("landmarks", LandmarkModel.DLIB))

    def track(self, number: int) -> Track:
        """Return the track with this id."""
        return next(track for track in self.tracks if track.id == number)

    def crop(self, number: int) -> CropPath:
        """Return the crop path of the track with this id."""
        return next(path for path in self.crops if path.track == number)

    def reading(self, number: int) -> Reading | None:
        """Return how the track with this id goes with the sound, if something has listened."""
        return next((one for one in self.readings if one.track == number), None)

    def save(self, folder: Path) -> Path | None:
        """Write the folder, whole or not at all.

        Returns:
            Where the plan that was there is now, as ``FOLDER.old`` or, if that is taken, ``FOLDER.old-1``; None if there
            was none.

        Raises:
            PlanError: The folder cannot be written, or it is something other than a plan.
        """
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
            try:
                np.savez_compressed(fresh / "arrays.npz", **_arrays(self))
                (fresh / "plan.json").write_text(json.dumps(_table(self), indent=1) + "\n", encoding="utf-8")
                fresh.chmod(0o755)
                return _put_in_place(fresh, folder)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
        except OSError as error:
            raise PlanError(
                f"The plan cannot be written to {folder}: {error.strerror or error}.", "Name another folder with --plan."
            ) from error

    @classmethod
    def load(cls, folder: Path) -> Plan:
        """Read and check a plan; tracks that were dropped from ``plan.json`` are gone.

        Raises:
            PlanError: Something is missing, damaged or impossible, with its place.
        """
        try:
            table = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise PlanError(f"{folder} is not a plan: it has no plan.json.", "Make one with:  redub analyse VIDEO") from None
        except (OSError, ValueError) as error:
            raise PlanError(f"{folder / 'plan.json'} cannot be read: {error}.", REMAKE) from error
        if not isinstance(table, dict) or table.get("version") not in READ:
            found = table.get("version") if isinstance(table, dict) else None
            raise PlanError(f"{folder} is a plan of version {found}; this redub reads versions {READ[0]} to {READ[-1]}.", REMAKE)
        try:
            with (folder / "arrays.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise PlanError(f"{folder / 'arrays.npz'} is damaged: {error}.", REMAKE) from error
        try:
            plan = _from_table(table, arrays)
        except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise PlanError(f"{folder / 'plan.json'} does not hold together: {what}.", f"Undo the edit. {REMAKE}") from error
        _check(plan, folder / "plan.json")
        return plan

    def check_source(self, video: Path) -> None:
        """Raise `PlanError` unless the plan was made for this very file."""
        if not is_source(video, self.source):
            raise PlanError(
                f"This plan was made for {self.source.name} ({self.source.size_bytes} bytes), not for {video}.",
                "Give the video it was made for, or leave --plan away.",
            )


def fingerprint(video: Path) -> Source:
    """Return name, size and sha256 of a file."""
    return Source(name=video.name, size_bytes=video.stat().st_size, sha256=sha256_of(video))


def is_source(video: Path, source: Source) -> bool:
    """Say whether a file has the content that a plan was made for; its name does not matter."""
    return video.stat().st_size == source.size_bytes and fingerprint(video).sha256 == source.sha256


def free_name(wanted: Path) -> Path:
    """Return a path at which there is nothing: the wanted one, or with the first free number behind it."""
    target, number = wanted, 0
    while target.exists():
        number += 1
        target = wanted.with_name(f"{wanted.name}-{number}")
    return target


def is_plan(folder: Path) -> bool:
    """Say whether a folder is a plan, or what a killed or clumsy hand left of one."""
    names = {path.name for path in folder.iterdir()}
    return "plan.json" in names or all(name in _OURS or name.startswith("contact-sheet") for name in names)


def _put_in_place(fresh: Path, folder: Path) -> Path | None:
    """Rename a complete folder into place and the older one out of it: whenever this is killed, both are whole."""
    retired = None
    if folder.exists():
        if not folder.is_dir() or not is_plan(folder):
            raise PlanError(f"{folder} exists and is not a plan.", "Name another folder with --plan, or move it away.")
        retired = folder.rename(free_name(folder.with_name(f"{folder.name}.old")))
    try:
        fresh.rename(folder)
    except OSError:
        # Another run that analysed the same video was faster; its plan is as good as this one.
        if not (folder / "plan.json").exists():
            raise
    return retired


_OURS = {"arrays.npz", "timeline.png", "adapted"}


def _arrays(plan: Plan) -> dict[str, Any]:
    arrays: dict[str, Any] = {"pts": plan.pts}
    for track, path in zip(plan.tracks, plan.crops, strict=True):
        arrays[f"track{track.id}.boxes"] = track.boxes
        arrays[f"track{track.id}.points"] = track.points
        arrays[f"track{track.id}.is_measured"] = track.is_measured
        arrays[f"track{track.id}.similarities"] = path.similarities
    for one in plan.readings:
        arrays[f"track{one.track}.frame_confidence"] = one.frame_confidence
    return arrays


def _table(plan: Plan) -> dict[str, Any]:
    facts = plan.facts
    return {
        "version": VERSION,
        "source": {"name": plan.source.name, "size_bytes": plan.source.size_bytes, "sha256": plan.source.sha256},
        "video": {
            "height": facts.height,
            "width": facts.width,
            "frames": facts.frames,
            "frame_rate": str(facts.frame_rate),
            "duration": str(facts.duration),
            "is_variable_rate": facts.is_variable_rate,
            "time_base": str(plan.time_base),
        },
        "shots": [{"start": shot.start, "stop": shot.stop} for shot in plan.shots],
        "tracks": [
            {"id": track.id, "start": track.start, "stop": track.stop, "references": list(path.references)}
            for track, path in zip(plan.tracks, plan.crops, strict=True)
        ],
        "speaking": [{"track": s.track, "start": s.start, "stop": s.stop} for s in plan.speaking],
        "sync": {
            "network": plan.network,
            "unheard": plan.unheard,
            "tracks": [{"track": one.track, **{name: _or_none(getattr(one, name)) for name in _READ_OF_TRACK}} for one in plan.readings],
        },
        "settings": plan.settings,
    }


_READ_OF_TRACK = ("offset_s", "distance", "confidence", "coverage", "heard_s")


def _or_none(value: float) -> float | None:
    """JSON has no word for what is no number."""
    return float(value) if isfinite(value) else None


def _from_table(table: dict[str, Any], arrays: dict[str, Any]) -> Plan:
    video = table["video"]
    sync = table.get("sync", {"network": "", "unheard": UNHEARD, "tracks": []})
    tracks, crops = [], []
    for entry in table["tracks"]:
        number = _whole(entry["id"], "a track's id")
        name = f"track{number}"
        tracks.append(
            Track(
                id=number,
                start=_whole(entry["start"], f"start of track {number}"),
                boxes=arrays[f"{name}.boxes"],
                points=arrays[f"{name}.points"],
                is_measured=arrays[f"{name}.is_measured"],
            )
        )
        crops.append(
            CropPath(
                track=number,
                start=entry["start"],
                similarities=arrays[f"{name}.similarities"],
                references=tuple(_whole(index, f"references of track {number}") for index in entry["references"]),
            )
        )
        if entry["stop"] != tracks[-1].stop:
            raise ValueError(f"track {number} covers frames {tracks[-1].start} to {tracks[-1].stop}, not to {entry['stop']}")
    return Plan(
        source=_source(table["source"]),
        facts=VideoFacts(
            height=_whole(video["height"], "height"),
            width=_whole(video["width"], "width"),
            frames=_whole(video["frames"], "frames"),
            frame_rate=Fraction(video["frame_rate"]),
            duration=Fraction(video["duration"]),
            is_variable_rate=bool(video["is_variable_rate"]),
        ),
        pts=arrays["pts"],
        time_base=Fraction(video["time_base"]),
        shots=tuple(Shot(start=_whole(s["start"], "a shot's start"), stop=_whole(s["stop"], "a shot's stop")) for s in table["shots"]),
        tracks=tuple(tracks),
        crops=tuple(crops),
        speaking=_speaking(table, arrays),
        settings=_settings(table["settings"]),
        readings=_readings(table, sync, arrays),
        network=str(sync["network"]),
        unheard=str(sync["unheard"]),
    )


def _settings(table: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return settings, with what was taken for granted while it could not be chosen."""
    settings = {name: dict(group) for name, group in table.items()}
    if "tracks" in settings:
        settings["tracks"]["landmarks"] = str(LandmarkModel(settings["tracks"].get("landmarks", LandmarkModel.DLIB)))
    return settings


def _source(table: dict[str, Any]) -> Source:
    name, digest = table["name"], table["sha256"]
    if not isinstance(name, str) or not isinstance(digest, str):
        raise ValueError("name and sha256 of the source are not texts")
    return Source(name=name, size_bytes=_whole(table["size_bytes"], "size_bytes of the source"), sha256=digest)


def _readings(table: dict[str, Any], sync: dict[str, Any], arrays: dict[str, Any]) -> tuple[Reading, ...]:
    kept = {entry["id"] for entry in table["tracks"]}
    return tuple(
        Reading(
            track=entry["track"],
            frame_confidence=arrays[f"track{entry['track']}.frame_confidence"],
            **{name: float("nan") if entry[name] is None else float(entry[name]) for name in _READ_OF_TRACK},
        )
        for entry in sync["tracks"]
        if entry["track"] in kept
    )


def _speaking(table: dict[str, Any], arrays: dict[str, Any]) -> tuple[Speaking, ...]:
    kept = {entry["id"] for entry in table["tracks"]}
    stretches = [
        Speaking(track=_whole(s["track"], "speaking track"), start=_whole(s["start"], "start"), stop=_whole(s["stop"], "stop"))
        for s in table["speaking"]
        # A track that was dropped takes its speaking along; one that never was is nonsense and fails the check.
        if s["track"] in kept or f"track{s['track']}.boxes" not in arrays
    ]
    return tuple(sorted(stretches, key=lambda one: one.start))


def _whole(value: Any, what: str) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{what} is {value!r}, not a whole number of zero or more")
    return value


def _check(plan: Plan, place: Path) -> None:
    """Raise `PlanError` with the first thing that cannot be."""

    def demand(is_true: bool, problem: str) -> None:
        if not is_true:
            raise PlanError(f"{place}: {problem}.", f"Undo the edit. {REMAKE}")

    facts, frames = plan.facts, plan.facts.frames
    demand(0 < facts.frame_rate <= MAX_RATE_HZ, f"{facts.frame_rate} frames a second cannot be")
    demand(plan.time_base > 0, "the time base is not above zero")
    demand(facts.height > 0 and facts.width > 0, "the picture has no size")
    demand(frames > 0 and plan.pts.shape == (frames,) and bool((np.diff(plan.pts) > 0).all()), "the frames' times are damaged")
    last = int(plan.pts[-1] - plan.pts[0]) * plan.time_base
    demand(last < facts.duration <= last + MAX_LAST_S, f"a duration of {facts.duration} s does not fit the times of the frames")
    edges = [0, *(shot.stop for shot in plan.shots)]
    demand(
        [shot.start for shot in plan.shots] == edges[:-1] and edges[-1] == frames and sorted(set(edges)) == edges,
        "the shots do not cover the video, each once",
    )
    numbers = [track.id for track in plan.tracks]
    demand(len(set(numbers)) == len(numbers), "a track's id is used twice")
    for track, path in zip(plan.tracks, plan.crops, strict=True):
        count = len(track)
        shapes = (track.boxes.shape, track.points.shape, track.is_measured.shape, path.similarities.shape)
        demand(shapes == ((count, 4), (count, 68, 2), (count,), (count, 4)), f"the arrays of track {track.id} differ in length")
        finite = np.isfinite(track.boxes).all() and np.isfinite(track.points).all() and np.isfinite(path.similarities).all()
        demand(bool(finite), f"the arrays of track {track.id} hold impossible numbers")
        demand(any(s.start <= track.start and track.stop <= s.stop for s in plan.shots), f"track {track.id} does not lie within a shot")
        demand(all(track.start <= i < track.stop for i in path.references), f"references of track {track.id} lie outside it")
    for reading in plan.readings:
        fits = reading.frame_confidence.shape == (len(plan.track(reading.track)),)
        demand(fits, f"the confidence of track {reading.track} is not one number for each of its frames")
    for one in plan.speaking:
        demand(one.track in numbers, f"track {one.track} is to speak, but there is no such track")
        demand(
            plan.track(one.track).start <= one.start < one.stop <= plan.track(one.track).stop,
            f"track {one.track} is to speak in frames {one.start} to {one.stop}, where it is not seen",
        )
    for one, following in pairwise(plan.speaking):
        demand(one.stop <= following.start, f"tracks {one.track} and {following.track} are to speak at the same time")
