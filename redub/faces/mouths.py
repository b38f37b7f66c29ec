"""mouths: faces as they are tracked -> their mouths in the canonical crop, once it is known where that lies.

Who listens needs every mouth, and where its crop lies is known only when its track is complete: it is smoothed over time.
Decoding the video again for that would be half of what listening costs.  Tracking cuts a patch around each face anyway, and
finer than a crop; so the part around the mouth is put into a temporary file, and the mouth is resampled from there.
"""

from __future__ import annotations

from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from redub.faces.cv import load_cv
from redub.faces.follow import MOUTH, PATCH_PX, Sight, frame_from_patch
from redub.faces.geometry import apply_similarity, compose_similarity, crop_from_frame, invert_similarity
from redub.types import Doubles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from redub.media.frame import IntBox

SIZE = (MOUTH[3] - MOUTH[1], MOUTH[2] - MOUTH[0])
"""Height and width of what is kept, in px of a patch."""
SLACK_PX = 2.0
"""So far beyond what is kept a mouth may reach; there the border is repeated."""


class Mouths:
    """Keeps the mouths of tracked faces: 11 kB of disk for each face and frame, and nothing once it is closed.

    A context manager.  Where the disk is full it keeps nothing, and whoever wants mouths looks at the video.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._is_full = False
        self._places: list[Doubles] = []
        self._numbers: dict[int, list[int]] = {}

    def __enter__(self) -> Mouths:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Forget everything."""
        self._places, self._numbers = [], {}
        if self._file is not None:
            self._file.close()
            self._file = None

    def keep(self, index: int, sight: Sight, reduction: int = 1) -> None:
        """Keep the mouth of a face that was seen in a frame.

        Args:
            index: Of the frame.
            sight: In px of the picture that was looked at.
            reduction: How many px of the frame, each way, one of that picture is.
        """
        if self._is_full:
            return
        try:
            if self._file is None:
                self._file = TemporaryFile(prefix="redub.")  # noqa: SIM115  it is open for as long as this is
            self._file.write(sight.mouth.tobytes())
        except OSError:
            self._is_full = True
            self.close()
            return
        enlarged = np.array([np.log(reduction), 0.0, (reduction - 1) / 2, (reduction - 1) / 2])
        self._numbers.setdefault(index, []).append(len(self._places))
        self._places.append(compose_similarity(enlarged, sight.patch_place))

    def take(self, indices: Sequence[int], similarities: Doubles, size_px: int, box: IntBox) -> NDArray[np.uint8] | None:
        """Return a part of the canonical crop, in grey, of one face in several frames.

        Args:
            indices: Of the frames.
            similarities: (T, 4) rows of a `CropPath`, of these frames.
            size_px: Side of the whole crop.
            box: Left, top, right, bottom of the part, in px of the crop.

        Returns:
            (T, h, w), 0 to 255; None unless the part was kept in each of these frames.
        """
        rows, file = [self._nearest(index, row) for index, row in zip(indices, similarities, strict=True)], self._file
        if not rows or file is None or min(rows) < 0:
            return None
        frame_from_kept = compose_similarity(frame_from_patch(np.stack([self._places[i] for i in rows]), PATCH_PX), [0, 0, *MOUTH[:2]])
        kept_from_canonical = compose_similarity(invert_similarity(frame_from_kept), similarities)
        left, top, right, bottom = box
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]]) / size_px
        places = apply_similarity(kept_from_canonical, corners)
        if places.min() < -0.5 - SLACK_PX or (places > np.array(SIZE[::-1]) - 0.5 + SLACK_PX).any():
            return None
        matrices = crop_from_frame(kept_from_canonical, size_px)
        matrices[..., 2] -= [left, top]
        cv2, size = load_cv(), (right - left, bottom - top)
        result = np.empty((len(rows), *size[::-1]), np.uint8)
        for target, number, matrix in zip(result, rows, matrices, strict=True):
            kept = _read(file, number)
            target[:] = cv2.warpAffine(kept, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return result

    def _nearest(self, index: int, similarity: Doubles) -> int:
        """Return which of a frame's mouths belongs to a crop; -1 where there is none."""
        numbers = self._numbers.get(index, [-1])
        if len(numbers) == 1:
            return numbers[0]
        return min(numbers, key=lambda number: _distance(similarity, self._places[number]))


def _read(file: IO[bytes], number: int) -> Any:
    file.seek(number * SIZE[0] * SIZE[1])
    return np.frombuffer(file.read(SIZE[0] * SIZE[1]), np.uint8).reshape(SIZE)


def _distance(one: Doubles, other: Doubles) -> float:
    """Return how far apart the middles of two canonical squares are, in px."""
    return float(np.linalg.norm(apply_similarity(one, [[0.5, 0.5]]) - apply_similarity(other, [[0.5, 0.5]])))
