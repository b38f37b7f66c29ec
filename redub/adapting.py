"""adapting: plan, video, generator -> weights that paint each speaker better, learnt from the video itself.

The source shows its speakers talking, with their own voices: footage of just the person who is to be painted.  So a
generator with an adapter learns from it before it paints, once for each person and once for all languages.  Nobody is
asked to trust that it helped: what was learnt is kept only if the error on footage that was held out has fallen.

Adapting is never needed.  Whatever stands in its way is told in a sentence, and the weights are used as they are.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from redub.adapted import FOLDER, Key, Outcome, check_writable, file_path, keep_file, read_record, write_record
from redub.adapted import VERSION as RECORD_VERSION
from redub.config import AdaptConfig
from redub.errors import PlanError, PluginError, RedubError
from redub.faces.landmarks import mouth_openness
from redub.lessons import Lesson, choose_stretches, part_lessons, seen_stretches
from redub.media import Speech, open_speech
from redub.offset import speaker_config, track_offset
from redub.persons import Person, find_persons
from redub.pieces import follow_course, take_piece
from redub.plan import Plan
from redub.plugin import AdaptRequest, Region, manager
from redub.progress import Tell, silent
from redub.speech.lips import Stretch, compare, loudness
from redub.stages.speakers import choose_speakers, where_heard
from redub.types import Blend, Bools, Speaking
from redub.version import VERSION
from redub.weights import sha256

SOUND_RATE_HZ = 16_000
SEED = 0
SPEECH_DB = 25.0
"""A frame has speech if it is no softer than this below the loudest one of its person."""
PIECES_BUDGET_BYTES = 512 << 20
"""The crops that are learnt from may take this much memory, so that large ones are fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be adapted, and how."""

    entry: manager.Entry
    mode: Blend
    config: AdaptConfig
    folder: Path | None
    """The plan's folder; None keeps nothing."""
    device: str = "auto"
    weights: str = ""
    """Those that the user named, if any; see `redub.plugin.manager.find_weights`."""
    force: bool = False
    """Adapt also where it has been done."""
    tell: Tell = silent

    @property
    def is_wanted(self) -> bool:
        """Whether there is anything to do: a generator of faces with an adapter, and a user who has not declined."""
        return self.config.use and bool(self.entry.info.adapter) and self.entry.info.region is Region.FACE


def check_adaptable(job: Job) -> None:
    """Raise `PluginError` unless the generator of a job can be adapted."""
    info = job.entry.info
    if not info.adapter:
        raise PluginError(f"The generator {info.name} cannot be adapted: it has nothing that learns.", "It paints as it is.")
    if info.region is not Region.FACE:
        raise PluginError(f"The generator {info.name} paints whole pictures; only painters of faces are adapted.", "It paints as it is.")


def adapt_speakers(plan: Plan, video: Path, job: Job, scratch: Path, notices: list[str]) -> tuple[Outcome, ...]:
    """Adapt a generator to everybody who speaks in a plan, or find what an earlier run has learnt of them.

    Args:
        plan: Its speaking stretches are learnt from.
        video: The plan's, with its own sound.
        job: Which generator, and how.
        scratch: A folder of this run, where what cannot be kept lies until it ends.
        notices: Is told of what the user should know besides the outcomes.

    Returns:
        One for each person, or none where there is nothing to adapt.
    """
    if not job.is_wanted or not plan.speaking:
        return ()
    key = _key(plan, job)
    known: dict[tuple[int, ...], Outcome] = {}
    if job.folder is not None and not job.force:
        known = read_record(job.folder / FOLDER, key, notices)
    everybody = {one.track for one in plan.speaking}
    if {track for tracks, outcome in known.items() if outcome.is_final for track in tracks} == everybody:
        return tuple(known.values())
    try:
        with open_speech(video, SOUND_RATE_HZ) as sound:
            return _Run(plan=plan, video=video, sound=sound, job=job, key=key, scratch=scratch, notices=notices).all_persons(known)
    except RedubError as error:
        notices.append(f"{job.entry.info.name} was not adapted to the speaker: {error.message}")
        return ()


class _Declined(Exception):
    """There is a reason not to adapt to a person, and it will be the same next time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Run:
    """One go through all persons of a plan."""

    plan: Plan
    video: Path
    sound: Speech
    job: Job
    key: Key
    scratch: Path
    notices: list[str]

    def all_persons(self, known: Mapping[tuple[int, ...], Outcome]) -> tuple[Outcome, ...]:
        persons = find_persons(self.plan, self.video, self.job.config.max_distance)
        footage = [sum(len(one) for one in self.plan.speaking if one.track in person.tracks) for person in persons]
        ranks = {int(i): rank for rank, i in enumerate(np.argsort(footage, kind="stable")[::-1])}
        folder = self._folder()
        outcomes: list[Outcome] = []
        for i, person in enumerate(persons):
            old = known.get(person.tracks)
            if old is not None and old.is_final:
                outcomes.append(old)
                continue
            if ranks[i] >= self.job.config.max_persons:
                remark = f"only the {self.job.config.max_persons} persons are learnt who speak longest (adapt.max_persons)"
                outcomes.append(Outcome(tracks=person.tracks, remark=remark))
                continue
            outcomes.append(self._person(person, folder))
            # What is learnt stays learnt if the next person's adapting is stopped.
            self._keep(folder, outcomes)
        self._keep(folder, outcomes)
        return tuple(outcomes)

    def _folder(self) -> Path:
        """Return where the results are put: into the plan's folder if that can be."""
        if self.job.folder is not None:
            try:
                check_writable(self.job.folder / FOLDER)
            except PlanError as error:
                self.notices.append(f"{error.message} What is learnt of the speaker is forgotten after this run.")
            else:
                return self.job.folder / FOLDER
        return self.scratch

    def _keep(self, folder: Path, outcomes: list[Outcome]) -> None:
        try:
            write_record(folder, self.key, outcomes)
        except RedubError as error:
            self.notices.append(error.message)

    def _person(self, person: Person, folder: Path) -> Outcome:
        """Adapt to one person; whatever stands in the way is told."""
        try:
            return self._adapt(person, folder)
        except _Declined as reason:
            return Outcome(tracks=person.tracks, remark=str(reason))
        except (RedubError, OSError) as error:
            return Outcome(tracks=person.tracks, remark=getattr(error, "message", None) or str(error), is_final=False)

    def _adapt(self, person: Person, folder: Path) -> Outcome:
        job, size_px = self.job, self.job.entry.info.modes[self.job.mode].input_px
        speaker = f"track{person.tracks[0]}"
        pieces = [
            replace(take_piece(self.plan, self.video, self.sound, lesson.stretch, size_px), speaker=speaker, is_held_out=lesson.is_held_out)
            for lesson in self._lessons(person, PIECES_BUDGET_BYTES // (3 * size_px**2))
        ]
        with tempfile.TemporaryDirectory(prefix="adapt.", dir=self.scratch) as work:
            request = AdaptRequest(
                pieces=pieces, mode=job.mode, weights=manager.find_weights(job.entry, job.mode, job.weights),
                output=Path(work) / "adapted.safetensors", device=job.device, seed=SEED, limit_s=job.config.limit_s or None,
                tell=lambda _, done, total: job.tell("adapt", done, total),
            )  # fmt: skip
            result = manager.adapt(job.entry, request)
            if result.remark:
                raise _Declined(result.remark)
            if not result.after < result.before:
                raise _Declined(f"it did not help (error {result.before:.4f}, then {result.after:.4f})")
            target = file_path(folder, self.key, person.tracks)
            digest = keep_file(request.output, target)
        return Outcome(tracks=person.tracks, file=target, sha256=digest, before=result.before, after=result.after)

    def _lessons(self, person: Person, max_frames: int) -> tuple[Lesson, ...]:
        """Choose what is learnt from, if there is enough of it and it is worth learning."""
        config, rate = self.job.config, float(self.plan.facts.frame_rate)
        stretches = seen_stretches(_as_heard(self.plan), person.tracks)
        is_speech = self._find_speech(stretches)
        heard_s = int(is_speech.sum()) / rate
        if heard_s < config.min_speech_s:
            raise _Declined(f"they are seen speaking for {heard_s:.1f} s, and {config.min_speech_s:g} s are needed")
        chosen = choose_stretches(stretches, is_speech, min(round(config.max_footage_s * rate), max_frames))
        margin = compare([self._stretch(one) for one in chosen]).margin
        if margin < config.min_agreement:
            said = f"agreement {margin:.2f}, and {config.min_agreement:g} is needed"
            raise _Declined(f"their lips do not move with the sound of the video ({said})")
        lessons = part_lessons(chosen, rate)
        if len({lesson.is_held_out for lesson in lessons}) < 2:
            raise _Declined("there is too little footage of them in one go")
        return lessons

    def _find_speech(self, stretches: list[Speaking]) -> Bools:
        """(T,) True for frames of these stretches in which somebody speaks."""
        level = np.zeros(self.plan.facts.frames)
        for one in stretches:
            course = follow_course(self.plan, self.sound, one)
            level[one.start : one.stop] = loudness(course.speech, self.sound.rate_hz, course.times_s)
        is_speech: Bools = (level > 0) & (level >= level.max(initial=0.0) * 10 ** (-SPEECH_DB / 20))
        return is_speech

    def _stretch(self, one: Speaking) -> Stretch:
        course = follow_course(self.plan, self.sound, one)
        return Stretch(openness=mouth_openness(course.points), times_s=course.times_s, speech=course.speech, rate_hz=self.sound.rate_hz)


def _key(plan: Plan, job: Job) -> Key:
    """Return everything that a result depends on."""
    info = job.entry.info
    digest = hashlib.sha256()
    for number in sorted({one.track for one in plan.speaking}):
        track = plan.track(number)
        for array in (track.points, track.is_measured, plan.crop(number).similarities):
            digest.update(np.ascontiguousarray(array).tobytes())
    return {
        "version": RECORD_VERSION,
        "redub": VERSION,
        "generator": info.name,
        "distribution": job.entry.distribution,
        "adapter": info.adapter,
        "mode": str(job.mode),
        "base": _base(job),
        "video": plan.source.sha256,
        "speaking": [[one.track, one.start, one.stop] for one in plan.speaking],
        "learnt": [[one.track, int(one.start), int(one.stop)] for one in _as_heard(plan).speaking],
        "offsets_s": {str(number): round(track_offset(plan, number), 6) for number in sorted({one.track for one in plan.speaking})},
        "faces": digest.hexdigest(),
        # Whoever ends learning early means it for the following runs too.
        "settings": {name: value for name, value in asdict(job.config).items() if name not in ("use", "limit_s")},
        "seed": SEED,
    }


def _base(job: Job) -> dict[str, str]:
    """Return the sha256 of each file that learning starts from."""
    if job.weights:
        return {name: sha256(path) for name, path in manager.find_weights(job.entry, job.mode, job.weights).items()}
    return {file.name: file.sha256 for file in job.entry.info.modes[job.mode].weights}


def who_was_heard(plan: Plan) -> tuple[Speaking, ...]:
    """Return who speaks when by the plan's readings, whatever an edit made of it since."""
    return choose_speakers(plan.shots, plan.tracks, speaker_config(plan), plan.readings, plan.facts.frame_rate)


def _as_heard(plan: Plan) -> Plan:
    """Return a plan in which nobody speaks while somebody else is heard: a speaker whom the user chose is painted all the same."""
    if not plan.readings:
        return plan
    return replace(plan, speaking=where_heard(plan.speaking, who_was_heard(plan)))
