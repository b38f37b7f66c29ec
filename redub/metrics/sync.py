"""sync: frames of a take, a sound -> how well lips and sound go together, as a sync network sees it.

Lips that generators paint are looked at as they are painted; the true ones, and those of a dub before it was made, are read
again.  All else in `redub.metrics` is measured on landmarks and pixels.  A sync network is a judge of its own: a generator
that was trained with it pleases it more than real footage does, so it never stands alone.

With the published network, distance and confidence are LSE-D and LSE-C by the published protocol, and comparable with
those of papers.  With our own they have the scale of our network.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from redub.errors import WeightError
from redub.hearing import take_mouth
from redub.media import Frame, open_speech, open_video
from redub.metrics.report import Sync, SyncReport
from redub.metrics.takes import Take
from redub.speech.retrieval import retrieve
from redub.speech.sync import RATE_HZ, SyncSeries, embed_track, load_sync
from redub.speech.sync_features import SOUND_RATE_HZ
from redub.types import Doubles, Floats

if TYPE_CHECKING:
    from redub.speech.syncnet import SyncModel

MARGIN_S = 0.5
"""Sound is heard from so much before the first frame to as much behind the last."""
MOST_S = 120.0
"""Of longer takes this much is compared."""


def find_network(weights: Path | None = None) -> SyncModel | None:
    """Load a file's network, or the shipped one; None where that one is missing.

    Raises:
        RedubError: The file that ``weights`` names is missing or damaged.
    """
    try:
        return load_sync(weights)
    except WeightError:
        if weights is not None:
            raise
        return None


class Watch:
    """Keeps what a network needs of the frames of a take, painted ones or true ones.

    Args:
        network: What will compare them.
        take: Says where the face is.
    """

    def __init__(self, network: SyncModel, take: Take) -> None:
        from redub.speech.syncnet import PUBLISHED

        self._network, self._take = network, take
        self._pictures: list[Any] = []
        self._points: list[Doubles] = []
        self._is_published = network.kind == PUBLISHED
        if self._is_published:
            from redub.speech.lse import published_squares

            track = take.plan.track(take.track)
            self._squares = published_squares(track.boxes)[take.start - track.start : take.stop - track.start]

    @property
    def has_seen(self) -> bool:
        """Whether there was anything to see."""
        return bool(self._pictures)

    def see(self, frame: Frame, points: Doubles) -> None:
        """Look at the next frame of the take, with its landmarks (68, 2) in the unit square of the crop."""
        place = len(self._pictures)
        if place / self._take.rate_hz > MOST_S:
            return
        self._points.append(points)
        if self._is_published:
            from redub.speech.lse import take_square

            self._pictures.append(take_square(frame.rgb(), self._squares[place]))
        else:
            self._pictures.append(take_mouth(frame, self._take.similarities[place], self._network))

    def compared(self, heard: Take) -> Sync:
        """Compare what was seen with the sound of a take, the first frame of one with the begin of the other."""
        begins_s = float(heard.times[0])
        first = round((begins_s - MARGIN_S) * SOUND_RATE_HZ)
        times_s = self._take.middles_s[: len(self._pictures)] - float(self._take.times[0]) + begins_s - first / SOUND_RATE_HZ
        with open_speech(heard.recording.path, SOUND_RATE_HZ) as sound:
            speech = sound.window(first, first + round((times_s[-1] + MARGIN_S) * SOUND_RATE_HZ))
        series = embed_track(self._network, np.stack(self._pictures), np.stack(self._points), times_s, speech)
        return measure_sync(series, is_published=self._is_published)


class Watches:
    """Looks at all that is painted of one clip.

    Args:
        network: What will compare lips and sound; None looks at nothing.
        take: The clip.
        part: What its sound is painted over as a dub, if that is asked for.
    """

    def __init__(self, network: SyncModel | None, take: Take, part: Take | None) -> None:
        self._network, self._take, self._part = network, take, part
        self._own = Watch(network, take) if network is not None else None
        self._dub = Watch(network, part) if network is not None and part is not None else None

    def see_own(self, frame: Frame, points: Doubles) -> None:
        """Look at the next frame that is painted over the clip itself."""
        if self._own is not None:
            self._own.see(frame, points)

    def see_dub(self, frame: Frame, points: Doubles) -> None:
        """Look at the next frame that is painted over the other clip."""
        if self._dub is not None:
            self._dub.see(frame, points)

    def report(self) -> SyncReport | None:
        """Compare what was painted, and the true frames beside it, with the clip's sound; None without a network."""
        if self._network is None:
            return None
        return SyncReport(
            source=watch_source(self._network, self._take).compared(self._take),
            own=self._own.compared(self._take) if self._own is not None and self._own.has_seen else None,
            dub=self._dub.compared(self._take) if self._dub is not None and self._dub.has_seen else None,
            dub_floor=watch_source(self._network, self._part).compared(self._take) if self._part is not None else None,
        )


def watch_source(network: SyncModel, take: Take) -> Watch:
    """Look at the true frames of a take.

    Raises:
        MediaError: The recording cannot be read.
    """
    watch = Watch(network, take)
    with open_video(take.recording.path, take.plan.pts) as reader:
        for frame in reader.read(take.start, take.stop):
            watch.see(frame, take.points[frame.index - take.start])
    return watch


def measure_sync(series: SyncSeries, *, is_published: bool = False) -> Sync:
    """Sum up what a network says of lips and sound.

    Args:
        series: Both, embedded; they should go together as they stand.
        is_published: Take distance, confidence and offset by the published protocol: pairs beyond the ends count as zeros, and
            so do silent windows.
    """
    reading = series.read()
    found = retrieve(series.faces, series.sounds, series.is_speech)
    distance, confidence, offset = reading.distance, reading.confidence, reading.offset_frames
    if is_published:
        lse = _published(series)
        distance, confidence, offset = lse if lse is not None else (float("nan"),) * 3
    return Sync(
        distance=distance,
        confidence=confidence if np.isfinite(distance) else float("nan"),
        offset_frames=offset,
        offset_s=offset / RATE_HZ,
        coverage=reading.coverage,
        right={str(frames): float(share) for frames, share in zip(found.frames, found.accuracy, strict=True)},
    )


def _published(series: SyncSeries) -> tuple[float, float, float] | None:
    """Return LSE-D, LSE-C and the offset, as `redub.speech.lse.measure_lse` measures them of the same pictures."""
    from redub.speech.lse import lse_of
    from redub.speech.sync_layers import FRAMES

    # The first and last two instants have no window of five pictures, and the published code drops one more.
    reach = FRAMES // 2
    faces, sounds = (_inner(rows, reach) for rows in (series.faces, series.sounds))
    is_whole = np.isfinite(faces).all(axis=1)
    if not is_whole.any():
        return None
    lse = lse_of(faces[is_whole], sounds[is_whole])
    return lse.distance, lse.confidence, float(lse.offset_frames)


def _inner(rows: Floats, reach: int) -> Floats:
    return rows[reach : len(rows) - reach - 1]
