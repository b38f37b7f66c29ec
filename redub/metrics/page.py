"""page: reports -> Markdown: a table of the speakers, with means, for each kind of measure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from redub.media.place import Part, clear_errors
from redub.metrics.report import Numbers, Report

Column = tuple[str, str, str]
"""Heading, name of the measure, and how it is written."""

R, D, P, N = "{:.2f}", "{:.3f}", "{:.0%}", "{:.0f}"
LAG = "{:+.1f}"


def markdown(report: Report) -> str:
    """Return a page with everything but the single clips."""
    anchors = [
        ("loudness" + {"loudness_db": " (dB)", "loudness_linear": " (linear)"}[report.loudness], f"anchors.{report.loudness}.following", R),
        ("training profile", "anchors.profile.following", R),
        ("rolled sound", "anchors.rolled.follows.following", R),
        ("ceiling", "anchors.ceiling.follows.following", R),
    ]
    lines = [
        f"# {report.generator}",
        "",
        f"{len(report.clips)} clips, {len(report.speakers)} speakers; {report.blend} blending; mouths read by: {report.read_by}.",
        "",
    ]
    for name, title in (("own", "its own sound"), ("dub", "another clip's sound")):
        if any(getattr(clip, name) is not None for clip in report.clips):
            floor = [("floor: untouched", "dub_floor.follows.following", R)] if name == "dub" else []
            lines += [f"## Mouth following, {title}", "", *_table(report, [*_mouth(name), *floor, *anchors]), ""]
    if any(clip.picture is not None for clip in report.clips):
        lines += ["## Picture", "", *_table(report, PICTURE), ""]
    lines += _sync_lines(report)
    lines += ["## Without speech", "", *_table(report, LEAKAGE), ""]
    if report.left_out:
        lines += ["## Left out", "", *(f"- {what}" for what in report.left_out), ""]
    return "\n".join(lines)


def write_page(report: Report, path: Path) -> None:
    """Write a report as Markdown; a file that is there is replaced.

    Raises:
        MediaError: It cannot be written.
    """
    part = Part(path)
    try:
        with clear_errors(path):
            part.path.write_text(markdown(report), encoding="utf-8")
        part.publish()
    finally:
        part.discard()


def compare(reports: Mapping[str, Report]) -> str:
    """Return a table of means over all speakers with a column for each report, such as ``base`` and ``adapted``."""
    means = {name: report.of_group() for name, report in reports.items()}
    kinds = [("own: ", [*_mouth("own"), *_sync("own")]), ("dub: ", [*_mouth("dub"), *_sync("dub")]), ("", [*PICTURE, *LEAKAGE])]
    rows = [
        [f"{kind}{heading}", *(_written(numbers, measure, form) for numbers in means.values())]
        for kind, columns in kinds
        for heading, measure, form in columns
        if any(measure in numbers for numbers in means.values())
    ]
    return "\n".join(_lines(["", *reports], rows))


PICTURE: list[Column] = [
    ("MSE", "picture.mse", N),
    ("MSE, mouth", "picture.mse_mouth", N),
    ("sharpness", "picture.sharpness", R),
    ("identity distance", "picture.identity", R),
    ("of true crops", "picture.identity_true", R),
    ("among stills", "speaker.identity_stills", R),
]
CAUTION = (
    "Only those of syncnet_v2 are on the scale of published ones. A network is a kind judge of generators that were trained with it, or "
    "learnt from the same few people: such scores may exceed those of true lips. Mouth following and landmarks know nothing of it."
)
LEAKAGE: list[Column] = [
    ("open in silence", "speaker.open_in_silence", P),
    ("open in room noise", "speaker.open_in_noise", P),
    ("closed mouth's gap", "speaker.closed_gap", D),
]


def _mouth(name: str) -> list[Column]:
    return [
        ("following", f"{name}.follows.following", R),
        ("raw", f"{name}.follows.raw", R),
        ("spread", f"{name}.follows.spread", R),
        ("best lag, frames", f"{name}.follows.lag_frames", LAG),
        ("best lag, s", f"{name}.follows.lag_s", "{:+.3f}"),
        ("landmarks", f"{name}.landmark_distance", D),
    ]


def _sync(name: str) -> list[Column]:
    rights = [(f"right of 31 at {frames} frames", f"sync.{name}.right.{frames}", P) for frames in (5, 15)]
    return [
        ("LSE-D", f"sync.{name}.distance", R),
        ("LSE-C", f"sync.{name}.confidence", R),
        ("offset, frames", f"sync.{name}.offset_frames", LAG),
        ("coverage", f"sync.{name}.coverage", P),
        *rights,
    ]


def _sync_lines(report: Report) -> list[str]:
    """Return what the sync network says, and what that is worth."""
    if not report.network:
        return []
    lines = [f"LSE-D, LSE-C and the rest of these tables are those of the network {report.network}. {CAUTION}", ""]
    for name, title in (("own", "its own sound"), ("dub", "another clip's sound")):
        if any(clip.sync is not None and getattr(clip.sync, name) is not None for clip in report.clips):
            lines += [f"## Lips and sound, {title}", "", *_table(report, [*_sync(name), *_beside(name)]), ""]
    return ["## Lips and sound", "", *lines]


def _beside(name: str) -> list[Column]:
    """Return what stands beside painted lips: the true ones, and for a dub those that did not listen."""
    known = [("source", "true lips")] + [("dub_floor", "untouched")] * (name == "dub")
    measures = [("LSE-C", "confidence", R), ("offset, frames", "offset_frames", LAG), ("right of 31 at 15 frames", "right.15", P)]
    return [(f"{words}: {heading}", f"sync.{part}.{measure}", form) for part, words in known for heading, measure, form in measures]


def _table(report: Report, columns: Sequence[Column]) -> list[str]:
    """Return a line for each speaker, then one for each group with more than one of them, then one for all."""
    names = [(one.speaker, report.of_speaker(one.speaker)) for one in report.speakers]
    grouped = [(group or "no group", report.of_group(group)) for group in report.groups] if len(report.groups) > 1 else []
    means = [*grouped, ("all", report.of_group())] if len(names) > 1 else []
    known = [column for column in columns if any(column[1] in numbers for _, numbers in names)]
    rows = [[name, *(_written(numbers, measure, form) for _, measure, form in known)] for name, numbers in names]
    for name, numbers in means:
        cells = [_written(numbers, measure, form) + _interval(numbers, measure) for _, measure, form in known]
        rows.append([f"**mean, {name}**", *cells])
    return _lines(["speaker", *(heading for heading, _, _ in known)], rows)


def _lines(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(heading) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (heading, rule, *rows)]


def _written(numbers: Numbers, measure: str, form: str) -> str:
    value = numbers.get(measure, math.nan)
    return "-" if math.isnan(value) else form.format(value)


def _interval(numbers: Numbers, measure: str) -> str:
    low, high = (numbers.get(f"{measure}.{end}", math.nan) for end in ("low", "high"))
    return "" if math.isnan(low) else f" ({low:.2f} to {high:.2f})"
