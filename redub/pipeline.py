"""pipeline: video, sound -> shots -> tracks -> speakers -> crops -> generate -> blend -> video.

`analyse` looks and makes a `Plan`, `render` executes a plan for one sound, `redub` does both and keeps the plan for
the next language.  Nothing else calls the stages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from redub import shelf
from redub.adapting import Job
from redub.blending import blend_config, choose_for_video
from redub.cast import cast_speakers
from redub.choices import BlendChoice, LandmarkModel
from redub.config import Config
from redub.errors import NoFaceError, PlanError, RedubError
from redub.faces.mouths import Mouths
from redub.files import check_file
from redub.fit import fit_lengths
from redub.hearing import listen, will_listen
from redub.media import SyntheticMark, VideoWriter, check_can_write, check_sound, open_speech, open_video
from redub.media.place import check_target
from redub.painting import Painter, Shown, fetch_stills, first_run, mixed_passes
from redub.plan import Plan, fingerprint
from redub.plugin import GeneratorInfo, Region, manager
from redub.plugin.device import sharing_cores
from redub.progress import Tell, silent
from redub.stages.crops import place_crops
from redub.stages.generate import Model
from redub.stages.shots import find_shots
from redub.stages.speakers import choose_speakers, meet
from redub.stages.tracks import find_tracks
from redub.stills import CONSENT, Images, Still, check_takes_stills, load_stills, remarks
from redub.types import RGB, Blend
from redub.verdict import Judge, Verdict, check_can_judge, keep_verdict, open_judge
from redub.version import VERSION
from redub.weights import sha256
from redub.who import check_speaker, choose, or_the_only_person, shots_to_paint

if TYPE_CHECKING:
    from redub.speech.syncnet import SyncModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run made."""

    output: Path
    plan: Path | None
    """The folder of the plan; None if it could not be kept."""
    frames: int
    painted_frames: int
    duration: Fraction
    decision: str
    """What was decided about the lengths of sound and video."""
    notices: tuple[str, ...]
    """What the user should know: conversions, tracks that could not be kept."""
    verdict: Verdict | None = None
    """How the painted lips go with the new sound; None where nothing could judge it."""


def redub(
    video: Path | str,
    audio: Path | str,
    generator: str = "speech2vid",
    *,
    weights: Path | str = "",
    output: Path | str | None = None,
    plan: Path | str | None = None,
    config: Config | None = None,
    blend: Blend | None = None,
    speaker: str = "auto",
    identity: Images = (),
    device: str = "auto",
    force: bool = False,
    gate: bool = False,
    tell: Tell = silent,
) -> Result:
    """Give a video a new sound track and the mouth to go with it.

    Args:
        video: Somebody talking.
        audio: The new sound, in any format that FFmpeg reads.
        generator: A name from ``redub plugins``.
        weights: In the place of the generator's own: a file, or the folder of a training; for one that knows one person, whose, or a
            name that comes with it.
        output: Where the result goes; by default ``VIDEO.AUDIO.mp4`` beside the video.
        plan: A plan's folder; made there if there is none.  By default the one beside the video.
        config: All other settings.
        blend: The blending; by default the configured one or, where the generator lacks it, the generator's first.  Unless one is
            configured, named weights decide; else it is ``network`` where the speaker is learnt, and ``poisson`` where not.
        speaker: ``auto``, ``left``, ``right``, track ids, or the path of a picture of the face.
        identity: One to five photographs of a face, of the same person or another, that take the place of the stills
            from the video: it is then their mouth that is painted.
        device: ``auto``, ``cpu``, ``cuda``, ``mps``.
        force: Replace an output that exists.
        gate: Fail at once where the result could not be judged.
        tell: Is told of the progress.

    Raises:
        RedubError: Something the user can repair; nothing is half-written.
    """
    config = config or Config()
    video, audio = check_file(Path(video), "video"), check_file(Path(audio), "sound")
    folder = Path(plan) if plan is not None else None
    # What is bound to fail must not cost an analysis first.
    _check_words(speaker, device)
    if gate:
        check_can_judge(config.sync)
    entry = manager.find(generator)
    manager.check_ready(generator, choose_for_video(entry, blend, config, [], weights, identity), str(weights))
    if identity:
        check_takes_stills(entry.info)
        stills = load_stills(identity, model=config.tracks.landmarks)
    check_target(_target(output, video, audio), [video, audio], force=force)
    notices: list[str] = []
    found = shelf.find_plan(video, folder, config, notices)
    kept: Path | None = folder or shelf.folder_beside(video)
    if found is None:
        check_can_write(_target(output, video, audio), config.encode)
        check_sound(audio)
        found = analyse(video, config, tell=tell)
        notices += _doubts(found)
        kept = _keep(found, folder, video, notices)
    if identity and found.landmarks is config.tracks.landmarks:
        # A named plan may be of the other model, whose points mean other places of a face; then they are loaded again.
        identity = stills
    result = render(
        found, video, audio, generator,
        weights=weights, output=output, config=config, blend=blend, speaker=speaker, identity=identity, folder=kept,
        device=device, force=force, gate=gate, tell=tell,
    )  # fmt: skip
    return replace(result, plan=kept, notices=(*notices, *result.notices))


def analyse(video: Path | str, config: Config | None = None, *, tell: Tell = silent) -> Plan:
    """Find shots, faces, speakers and crops of a video; the new sound plays no part in it.

    Raises:
        MediaError: The video cannot be read.
    """
    config = config or Config()
    video = check_file(Path(video), "video")
    source = fingerprint(video)
    with open_video(video) as reader, Mouths() as mouths:
        scan = find_shots(reader, config.shots, tell)
        tracks = find_tracks(reader, scan, config.tracks, tell, mouths if will_listen(video, config.speakers) else None)
        seen = Plan(
            source=source,
            facts=scan.facts,
            pts=scan.pts,
            time_base=scan.time_base,
            shots=scan.shots,
            tracks=tracks,
            crops=place_crops(tracks, scan.facts.frame_rate, config.crops),
            speaking=(),
            settings=config.analysis_settings(),
        )
        return hear(seen, video, config, mouths=mouths, tell=tell)


def hear(
    plan: Plan,
    video: Path,
    config: Config,
    *,
    weights: Path | None = None,
    model: SyncModel | None = None,
    mouths: Mouths | None = None,
    tell: Tell = silent,
) -> Plan:
    """Compare the faces of a plan with the video's own sound, and decide anew who speaks when.

    Args:
        plan: Of this video.
        video: With its own sound.
        config: Its settings of the speakers count.
        weights: A sync network's file; None takes the shipped one.
        model: The network, if it is loaded already.
        mouths: What tracking kept of them; None looks at the video.
        tell: Is told of the progress.

    Raises:
        RedubError: The video or the file that ``weights`` names cannot be read.
    """
    heard = listen(plan, video, config.speakers, weights=weights, model=model, mouths=mouths, tell=tell)
    readings = None if heard.unheard else heard.readings
    return replace(heard, speaking=choose_speakers(plan.shots, plan.tracks, config.speakers, readings, plan.facts.frame_rate))


def analyse_into(
    video: Path, folder: Path | None, config: Config, notices: list[str], *, force: bool = False, tell: Tell = silent
) -> tuple[Plan, Path]:
    """Analyse a video and save the plan in a folder, or return the one that is there.

    Args:
        video: Somebody talking.
        folder: Where; None for beside the video.
        config: Its analysis groups count.
        notices: Is told where a plan that was there is kept.
        force: Analyse even if there is a plan.
        tell: Is told of the progress.

    Raises:
        PlanError: There is a plan that does not fit, and ``force`` is not given.
    """
    target = folder or shelf.folder_beside(video)
    check_file(video, "video")
    plan = None if force else shelf.find_plan(video, folder, config, notices)
    if plan is None:
        shelf.check_folder(target)
        plan = analyse(video, config, tell=tell)
        notices += _doubts(plan)
        old = plan.save(target)
        if old is not None:
            notices.append(f"The plan that was there is kept as {old}.")
    return plan, target


def render(
    plan: Plan,
    video: Path | str,
    audio: Path | str,
    generator: str = "speech2vid",
    *,
    weights: Path | str = "",
    output: Path | str | None = None,
    config: Config | None = None,
    blend: Blend | None = None,
    speaker: str = "auto",
    identity: Images = (),
    folder: Path | None = None,
    device: str = "auto",
    force: bool = False,
    gate: bool = False,
    is_blank: bool = False,
    tell: Tell = silent,
) -> Result:
    """Execute a plan for one sound, streaming: memory does not grow with length.

    Args and errors are those of `redub`; ``folder`` is the plan's own, where what is learnt of its speakers is kept for
    the next language, and found again; ``is_blank`` says that the video shows nothing and is to be painted whoever is not in it.
    """
    config = config or Config()
    video, audio = check_file(Path(video), "video"), check_file(Path(audio), "sound")
    _check_words(speaker, device)
    if gate:
        check_can_judge(config.sync)
    plan.check_source(video)
    target = _target(output, video, audio)
    entry = manager.find(generator)
    info = entry.info
    notices: list[str] = []
    blending = choose_for_video(entry, blend, config, notices, weights, identity)
    stills = _stills(identity, info, plan.landmarks, notices)
    usual = config.blend.mode
    config = replace(config, blend=blend_config(config.blend, blending, has_stills=bool(stills)))
    check_target(target, [still.path for still in stills], force=force)
    plan = _with_speaker(plan, video, speaker, info, config, notices)
    files = manager.find_weights(entry, blending, str(weights))
    shots = None if is_blank else shots_to_paint(plan, video, info, files, notices)
    order = _Order(
        plan=plan, video=video, audio=audio, target=target, entry=entry, blending=blending, stills=stills, config=config, shots=shots,
        files=tuple(files.values()), weights=str(weights), folder=folder, device=device, force=force,
        is_open=blend is None and usual is BlendChoice.AUTO and not weights,
    )  # fmt: skip
    return _carry_out(order, notices, tell)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What `render` was asked for, checked as far as it can be before anything is opened."""

    plan: Plan
    """In which those speak who are to be painted."""
    video: Path
    audio: Path
    target: Path
    entry: manager.Entry
    blending: Blend
    stills: tuple[Still, ...]
    """Photographs that take the place of the video's own; empty for none."""
    config: Config
    shots: frozenset[int] | None
    """Numbers of the shots to paint; None for all."""
    files: tuple[Path, ...]
    weights: str
    """As the user named them."""
    folder: Path | None
    device: str
    force: bool
    is_open: bool
    """Whether redub chose the blending, and may choose another."""


def _carry_out(order: _Order, notices: list[str], tell: Tell) -> Result:
    """Open everything, and paint, write and judge frame by frame."""
    plan, video, entry, config = order.plan, order.video, order.entry, order.config
    info, mode = entry.info, entry.info.modes[order.blending]
    with ExitStack() as stack:
        reader = stack.enter_context(open_video(video, plan.pts))
        if (reader.height, reader.width, reader.time_base) != (plan.facts.height, plan.facts.width, plan.time_base):
            raise PlanError(f"The plan's size or time base is not that of {video}.", "Undo the edit, or analyse it anew with --force.")
        fetch = partial(fetch_stills, plan, video, info, mode, identity=order.stills)
        early = _fetch_early(fetch, first_run(plan, info, order.shots), stack)
        speech = stack.enter_context(open_speech(order.audio, info.audio.rate_hz))
        line = fit_lengths(plan.pts, plan.time_base, plan.facts, speech.duration, config.fit)
        model = stack.enter_context(manager.load(entry, order.blending, device=order.device, named=order.weights))
        loaded = Model(info=info, mode=mode, generator=model)
        # Photographs ask for another face than the one that the video could teach.
        learning = replace(config.adapt, use=config.adapt.use and not order.stills)
        job = Job(
            entry=entry, mode=order.blending, config=learning, folder=order.folder, device=order.device, weights=order.weights, tell=tell
        )  # fmt: skip
        cast = stack.enter_context(cast_speakers(plan, video, loaded, job, notices))
        if order.is_open and order.blending is Blend.NETWORK and Blend.POISSON in info.modes and not cast.weights_sha256:
            stack.close()
            notices.append(f"Where nobody is learnt, {info.name} blends what it paints; --blend network paints in context all the same.")
            return _carry_out(_unlearnt(order), notices, tell)
        digests = (*map(sha256, order.files), *cast.weights_sha256)
        mark = SyntheticMark(generator=info.name, weights_sha256=digests, redub_version=VERSION)
        writer = stack.enter_context(
            VideoWriter(order.target, reader, sound=order.audio, encode=config.encode, mark=mark, duration=line.stop, force=order.force)
        )
        painter = Painter(
            plan=plan, model=loaded, speech=speech, config=config, video=video, identity=order.stills, models=cast.model,
            shots=order.shots, early=early,
        )  # fmt: skip
        judge = open_judge(plan, speech, order.audio, config.sync, stack)
        painted_frames = _write_all(mixed_passes(line, reader, painter), writer, judge, partial(tell, "paint"), line.frames)
        writer.finish()
        verdict = judge.verdict() if judge is not None else None
    notices += keep_verdict(verdict, order.target, config.sync)
    return Result(
        output=order.target, plan=None, frames=line.frames, painted_frames=painted_frames, duration=line.duration, decision=line.decision,
        notices=tuple(dict.fromkeys((*notices, *speech.notices, *writer.notices))), verdict=verdict,
    )  # fmt: skip


def _unlearnt(order: _Order) -> _Order:
    """Return the order for blending what was to be painted in context, where a mouth that was not learnt moves too little."""
    settings = order.config
    blend = replace(settings.blend, mode=BlendChoice.POISSON)
    config = replace(settings, blend=blend, adapt=replace(settings.adapt, use=False))
    files = manager.find_weights(order.entry, Blend.POISSON)
    return replace(order, blending=Blend.POISSON, config=config, files=tuple(files.values()), is_open=False)


def _fetch_early(fetch: Callable[[int], RGB], first: int | None, stack: ExitStack) -> dict[int, Future[RGB]]:
    """Fetch the stills of the first run beside what comes next: loading a network keeps one core busy."""
    if first is None:
        return {}
    return {first: stack.enter_context(ThreadPoolExecutor(1, "redub-stills")).submit(fetch, first)}


def _write_all(frames: Iterable[Shown], writer: VideoWriter, judge: Judge | None, tell: Callable[[int, int], None], total: int) -> int:
    """Write what is painted, and let it be judged; return how many frames were painted."""
    painted_frames = 0
    with sharing_cores():
        for done, shown in enumerate(frames, 1):
            writer.write(shown.frame, shown.time)
            if judge is not None:
                judge.see(shown.frame, shown.time, is_painted=shown.is_painted)
            painted_frames += shown.is_painted
            tell(done, total)
    return painted_frames


def _doubts(plan: Plan) -> list[str]:
    """Say why nobody listened, where it matters: with one face at a time nobody else can be taken for the speaker."""
    return [plan.unheard] if plan.unheard and meet(plan.tracks) else []


def _check_words(speaker: str, device: str) -> None:
    check_speaker(speaker)
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise RedubError(f"--device {device!r} is not a choice.", "Give auto, cpu, cuda, cuda:1 or mps.")


def _stills(identity: Images, info: GeneratorInfo, model: LandmarkModel, notices: list[str]) -> tuple[Still, ...]:
    """Load the stills that take the place of the video's own, and tell what belongs to them."""
    if not identity:
        return ()
    check_takes_stills(info)
    stills = load_stills(identity, model=model)
    notices += [CONSENT, *remarks(stills)]
    if not info.references:
        notices.append(f"{info.name} looks at no stills of the speaker; these change nothing of what it paints.")
    return stills


def _with_speaker(plan: Plan, video: Path, speaker: str, info: GeneratorInfo, config: Config, notices: list[str]) -> Plan:
    """Return a plan in which those speak who are to be painted; of whole pictures it may be nobody."""
    plan = choose(plan, video, speaker)
    if info.region is not Region.FACE:
        return plan
    if speaker == "auto":
        plan = or_the_only_person(plan, video, replace(config.adapt, use=config.adapt.use and bool(info.adapter)), notices)
    if not plan.speaking:
        raise _no_face(plan, video)
    return plan


def _no_face(plan: Plan, video: Path) -> NoFaceError:
    if plan.tracks:
        why = ": no face goes with its sound" if plan.readings else ""
        hint = "Name whom to paint:  --speaker left  (right, 3, face.jpg). How sure each face is, tells  redub sync VIDEO"
        return NoFaceError(f"The plan of {video.name} lets nobody speak{why}.", hint)
    hint = "Smaller faces are found with  --set tracks.min_face_px=40 , shorter appearances with  --set tracks.min_length_s=0.1"
    return NoFaceError(f"No face was found in {video.name}.", f"{hint} ; analyse it anew with --force then.")


def _target(output: Path | str | None, video: Path, audio: Path) -> Path:
    return Path(output) if output is not None else video.with_name(f"{video.stem}.{audio.stem}.mp4")


def _keep(plan: Plan, folder: Path | None, video: Path, notices: list[str]) -> Path | None:
    """Save a new plan where the user said, or beside the video if that can be written."""
    target = folder or shelf.folder_beside(video)
    try:
        plan.save(target)
    except PlanError as error:
        if folder is not None:
            raise
        notices.append(f"{error.message} The next language will have to analyse again; name a folder with --plan to avoid it.")
        return None
    return target
