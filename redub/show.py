"""show: a plan, a file, the settings, the generators -> text that a person reads, or JSON.

The tables say what analysis found and what a render would do; `redub.draw` makes the pictures to them.
"""

from __future__ import annotations

import ast
import inspect
import json
from dataclasses import asdict, fields
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from redub import config as settings
from redub.adapted import list_records
from redub.config import Config, SpeakerConfig
from redub.errors import PlanError
from redub.faces.landmarks import yaw
from redub.plan import Plan
from redub.types import Track

if TYPE_CHECKING:
    from redub.media.probe import FileFacts
    from redub.plugin.manager import Catalogue


def show_plan(folder: Path, video: Path | None, *, pictures: bool, as_json: bool) -> None:
    """Print a plan, and draw it into its own folder.

    Args:
        folder: The plan.
        video: Its video; None takes the one that lies beside it.
        pictures: Whether to draw.
        as_json: Print one JSON object instead of tables.

    Raises:
        PlanError: The plan is damaged, or the video is not the one it was made for.
    """
    plan = Plan.load(folder)
    found = video or _video_beside(folder, plan)
    drawn: list[Path] = []
    if pictures:
        from redub.draw import contact_sheet, timeline

        drawn.append(timeline(plan, folder / "timeline.png"))
        if found is not None:
            plan.check_source(found)
            drawn += contact_sheet(plan, found, folder / "contact-sheet.png")
    adapted = list_records(folder)
    if as_json:
        _print_json({**plan_table(plan), "adapted": adapted, "pictures": [str(path) for path in drawn]})
        return
    print_plan(plan)
    print_adapted(adapted)
    console = _console()
    for path in drawn:
        console.print(str(path), highlight=False, soft_wrap=True)
    if pictures and found is None:
        console.print(f"No contact sheet: {plan.source.name} is not beside the plan; name it with --video.", style="yellow")


def print_plan(plan: Plan) -> None:
    """Print what a plan holds: the video, and a line for each track."""
    from rich.table import Table

    facts, console = plan.facts, _console()
    rate = f"{float(facts.frame_rate):.3f}".rstrip("0").rstrip(".") + " frames/s" + (" on average" if facts.is_variable_rate else "")
    painted = sum(len(one) for one in plan.speaking)
    console.print(f"{plan.source.name}: {facts.width} x {facts.height} px, {facts.frames} frames, {rate}, {float(facts.duration):.2f} s")
    console.print(
        f"{_count(len(plan.shots), 'shot')}, {_count(len(plan.tracks), 'face track')}, {painted / facts.frames:.0%} of frames to paint"
    )
    if plan.unheard:
        console.print(plan.unheard, markup=False)
    if not plan.tracks:
        return
    # Where something has listened, it does not matter who looks into the camera.
    table = Table("track", "shot", "begins", "length", "frames", "face", "seen", box=None, header_style="bold")
    for name in ("speaks", "offset", "sure") if plan.readings else ("frontal", "speaks"):
        table.add_column(name)
    for column in table.columns:
        column.justify, column.no_wrap = "right", True
    for row in plan_table(plan)["tracks"]:
        speaks = f"{row['speaks']:.0%}" if row["speaks"] else "-"
        offset = "-" if row["offset_s"] is None else f"{row['offset_s']:+.3f} s"
        table.add_row(
            str(row["id"]), str(row["shot"]), f"{row['begin_s']:.2f} s", f"{row['length_s']:.2f} s", str(row["frames"]),
            f"{row['face_px']:.0f} px", f"{row['seen']:.0%}",
            *((speaks, offset, f"{row['confidence'] or 0:.2f}") if plan.readings else (f"{row['frontal']:.0%}", speaks)),
        )  # fmt: skip
    console.print(table)


def print_adapted(records: list[dict[str, Any]]) -> None:
    """Print what generators have learnt of a plan's speakers."""
    from rich.table import Table

    if not records:
        return
    table = Table("generator", "blending", "learnt from tracks", "error", "then", "", box=None, header_style="bold")
    for record in records:
        for person in record["persons"]:
            errors = [f"{person[name]:.4f}" if person[name] is not None else "-" for name in ("before", "after")]
            tracks = ", ".join(map(str, person["tracks"]))
            table.add_row(record["generator"], record["mode"], tracks, *errors, person["remark"] and f"not used: {person['remark']}")
    _console().print(table)


def plan_table(plan: Plan) -> dict[str, Any]:
    """Return what `print_plan` prints, as plain values for JSON."""
    facts = plan.facts
    return {
        "video": {
            "name": plan.source.name,
            "width": facts.width,
            "height": facts.height,
            "frames": facts.frames,
            "frame_rate": str(facts.frame_rate),
            "is_variable_rate": facts.is_variable_rate,
            "duration_s": float(facts.duration),
        },
        "shots": len(plan.shots),
        "unheard": plan.unheard,
        "tracks": [_track_row(plan, track) for track in plan.tracks],
    }


def show_file(path: Path, *, as_json: bool) -> None:
    """Print what a media file holds, and whether it is marked as synthetic.

    Raises:
        MediaError: It cannot be read.
    """
    from redub.media.probe import probe

    facts = probe(path)
    if as_json:
        _print_json({**asdict(facts), "path": str(path)})
    else:
        print_media(facts)


def print_media(facts: FileFacts) -> None:
    """Print a file's streams and its synthetic mark."""
    from rich.table import Table

    console = _console()
    length = "" if facts.duration_header_s is None else f", {facts.duration_header_s:.2f} s"
    console.print(f"{facts.path.name}: {facts.container}, {facts.size_bytes / 1e6:.1f} MB{length}", markup=False)
    table = Table(box=None, show_header=False)
    for stream in facts.streams:
        table.add_row(stream.kind, stream.codec, stream.detail, stream.language)
    console.print(table)
    mark = facts.mark
    if mark is None:
        console.print("No synthetic mark: redub did not make it, or the mark was taken away.")
        return
    console.print(f"Synthetic: made by redub {mark.redub_version} with the generator {mark.generator}.", style="bold", markup=False)
    for digest in mark.weights_sha256:
        console.print(f"weights sha256 {digest}", soft_wrap=True)


def print_config(config: Config, *, as_json: bool) -> None:
    """Print all settings as a TOML file that ``--config`` reads, with what each one does."""
    if as_json:
        _print_json(asdict(config))
        return
    remarks = _remarks()
    lines = []
    for group in fields(config):
        lines.append(f"[{group.name}]")
        values = getattr(config, group.name)
        for item in fields(values):
            lines += [f"# {line}" for line in remarks[type(values).__name__, item.name]]
            # JSON writes numbers, strings and booleans as TOML does.
            lines.append(f"{item.name} = {json.dumps(getattr(values, item.name))}")
        lines.append("")
    _console().print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def print_plugins(*, as_json: bool) -> None:
    """Print the installed generators, their weights with licences, and what is wrong with any plugin."""
    from redub.plugin import manager

    catalogue = manager.find_generators()
    if as_json:
        _print_json(plugins_table(catalogue))
        return
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    console, listed = _console(), plugins_table(catalogue)
    for row in listed["generators"]:
        wanting = "unavailable" if row["unavailable"] else "name its weights with --weights" if row["names_weights"] else "weights missing"
        state, style = ("ready", "green") if row["is_ready"] else (wanting, "yellow")
        paints = f"  {row['region']}: {', '.join(row['blendings'])}  ({row['distribution']})"
        console.print(Text.assemble((row["name"], "bold"), "  ", (state, style), paints))
        console.print(Padding(Text(" ".join([row["summary"], row["unavailable"]]).strip()), (0, 0, 0, 4)))
    if listed["weights"]:
        files = Table("weights", "of", "licence", "commercial use", "here", box=None, header_style="bold")
        for row in listed["weights"]:
            allowed = {True: "yes", False: "no", None: "read it"}[row["is_commercial"]]
            files.add_row(row["name"], row["generator"], row["licence"], allowed, row["path"] or "missing")
        console.print()
        console.print(files)
    for problem in catalogue.problems:
        console.print(Text(f"!! {problem}", style="red"), soft_wrap=True)


def plugins_table(catalogue: Catalogue) -> dict[str, Any]:
    """Return what `print_plugins` prints, as plain values for JSON."""
    from redub import weights
    from redub.speech.shipped import SYNC

    declared = [("engine (sync)", SYNC)]
    declared += [(entry.info.name, file) for entry in catalogue.entries for mode in entry.info.modes.values() for file in mode.weights]
    rows = weights.ledger(declared)
    missing = {row.generator for row in rows if row.path is None}
    return {
        "generators": [
            {
                "name": entry.info.name,
                "distribution": entry.distribution,
                "summary": entry.info.summary,
                "region": str(entry.info.region),
                "blendings": [str(blend) for blend in entry.info.modes],
                "licence": entry.info.licence,
                "unavailable": entry.info.unavailable,
                "names_weights": entry.info.names_weights,
                "is_ready": not (entry.info.unavailable or entry.info.names_weights or entry.info.name in missing),
            }
            for entry in catalogue.entries
        ],
        "weights": [
            {
                "name": row.file.name,
                "generator": row.generator,
                "licence": row.file.licence,
                "is_commercial": row.is_commercial,
                "sha256": row.file.sha256,
                "path": None if row.path is None else str(row.path),
            }
            for row in rows
        ],
        "problems": [asdict(problem) for problem in catalogue.problems],
    }


def print_check(name: str, *, as_json: bool) -> int:
    """Check an installed generator, print the verdicts, and return the exit code: 1 unless it keeps its promises.

    Raises:
        PluginError: There is no such generator.
    """
    from redub.plugin import manager
    from redub.testing import run_checks

    manager.find(name)
    verdicts = run_checks(name)
    failed = [one for one in verdicts if not one.passed and not one.skipped]
    # One that does not load fails nothing, and has proven nothing either.
    is_proven = not failed and any(one.name == "paints_the_declared_shape" and one.passed for one in verdicts)
    if as_json:
        _print_json({"generator": name, "passed": is_proven, "checks": [asdict(one) for one in verdicts]})
        return int(not is_proven)
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False)
    for one in verdicts:
        word, style = ("skipped", "yellow") if one.skipped else ("passed", "green") if one.passed else ("FAILED", "bold red")
        table.add_row(Text(word, style=style), one.name, Text(one.detail))
    console = _console()
    console.print(table)
    skipped = sum(one.skipped for one in verdicts)
    console.print(f"{len(verdicts) - len(failed) - skipped} passed, {skipped} skipped, {len(failed)} failed.", highlight=False)
    if not is_proven and not failed:
        console.print(f"{name} cannot be loaded here, so it has proven nothing.", style="yellow")
    return int(not is_proven)


def _track_row(plan: Plan, track: Track) -> dict[str, Any]:
    times = (plan.pts - plan.pts[0]) * float(plan.time_base)
    begin = float(times[track.start])
    end = float(times[track.stop]) if track.stop < plan.facts.frames else float(plan.facts.duration)
    most = plan.settings.get("speakers", {}).get("max_yaw", SpeakerConfig().max_yaw)
    sizes = (track.boxes[:, 2:] - track.boxes[:, :2]).mean(axis=1)
    reading = plan.reading(track.id)
    return {
        "id": track.id,
        "shot": 1 + next(number for number, shot in enumerate(plan.shots) if track.start < shot.stop),
        "start": track.start,
        "frames": len(track),
        "begin_s": begin,
        "length_s": end - begin,
        "face_px": float(sizes.mean()),
        "seen": float(track.is_measured.mean()),
        "frontal": float((np.abs(yaw(track.points)) < most).mean()),
        "speaks": sum(len(one) for one in plan.speaking if one.track == track.id) / len(track),
        "offset_s": None if reading is None or not isfinite(reading.offset_s) else reading.offset_s,
        "confidence": None if reading is None else reading.confidence,
    }


def _video_beside(folder: Path, plan: Plan) -> Path | None:
    """Return the plan's video if it lies beside the plan, under the folder's name or its own."""
    for name in (folder.resolve().name.removesuffix(".redub"), plan.source.name):
        path = folder.resolve().parent / name
        if path.is_file():
            try:
                plan.check_source(path)
            except PlanError:
                continue
            return path
    return None


def _remarks() -> dict[tuple[str, str], list[str]]:
    """Return the docstring under each setting, which stands in the source only."""
    found: dict[tuple[str, str], list[str]] = {}
    for node in ast.parse(inspect.getsource(settings)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for item, following in zip(node.body, node.body[1:], strict=False):
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and isinstance(following, ast.Expr):
                text = ast.literal_eval(following.value)
                found[node.name, item.target.id] = inspect.cleandoc(text).replace("``", "").splitlines()
    return found


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _console() -> Any:
    from rich.console import Console

    return Console()


def _print_json(value: Any) -> None:
    # Not through rich, which would wrap long lines.
    from sys import stdout

    stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
