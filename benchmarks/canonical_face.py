"""canonical_face: footage -> the mean face that redub registers faces to.

    python benchmarks/canonical_face.py VIDEO [VIDEO ...] > redub/faces/canonical.py

Each video is one person and has one vote.  Their landmarks are registered to each other by eyes and nose (generalised
Procrustes), averaged where the mouth is closed, mirrored and averaged again, and laid out in the unit square: the face
upright, its middle at x = 0.5, the chin at y = 0.90 and the eyes 0.38 of the square apart.  Measured on the talkers that
made it, a long face's chin then stays inside the crop even when it drops.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from redub.choices import LandmarkModel
from redub.faces.detect import detect_faces
from redub.faces.geometry import apply_similarity, fit_similarity
from redub.faces.landmarks import EYES_AND_NOSE, LEFT_EYE, RIGHT_EYE, find_landmarks, mouth_openness
from redub.media import open_video
from redub.types import Doubles

CHIN_Y = 0.90
EYE_DISTANCE = 0.38

MIRROR = [*range(16, -1, -1), *range(26, 16, -1), *range(27, 31), 35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
MIRROR += [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
"""Which point a point becomes when the picture is mirrored."""


def closed_faces(path: Path) -> Doubles:
    """Return the landmarks of every fifth frame of a video in which the mouth is closed: (T, 68, 2) px."""
    found = []
    with open_video(path) as video:
        for frame in video.read():
            if frame.index % 5 == 0:
                gray = frame.gray()
                faces = detect_faces(gray, min(gray.shape) / 5, 0.5)
                if faces:
                    found.append(find_landmarks(gray, faces[0].box, LandmarkModel.DLIB)[0])
    points = np.asarray(found, np.float64)
    openness = mouth_openness(points)
    return points[openness <= np.quantile(openness, 0.3)]


def mean_face(people: list[Doubles]) -> Doubles:
    """Return the average of people's landmarks after registration: list of (T, 68, 2) -> (68, 2), arbitrary size."""
    mean = people[0][0]
    for _ in range(10):
        votes = [register(points, mean).mean(axis=0) for points in people]
        mean = np.mean(votes, axis=0)
        mean = mean / np.linalg.norm(mean[45] - mean[36])
    mirrored = (mean * [-1, 1])[MIRROR]
    return (mean + register(mirrored, mean)) / 2


def register(points: Doubles, target: Doubles) -> Doubles:
    """Take points to where eyes and nose meet those of the target."""
    row = fit_similarity(points[..., EYES_AND_NOSE, :], target[EYES_AND_NOSE])
    return apply_similarity(row, points)


def laid_out(face: Doubles) -> Doubles:
    """Put a face upright into the unit square."""
    eyes = np.stack([face[LEFT_EYE].mean(axis=0), face[RIGHT_EYE].mean(axis=0)])
    row = fit_similarity(eyes, [[0.5 - EYE_DISTANCE / 2, 0.0], [0.5 + EYE_DISTANCE / 2, 0.0]])
    upright = apply_similarity(row, face)
    symmetric = (upright + (upright * [-1, 1] + [1, 0])[MIRROR]) / 2
    return symmetric + np.array([0.0, CHIN_Y - symmetric[8, 1]])


def main() -> None:
    """Print the module ``redub/faces/canonical.py``."""
    people = [closed_faces(Path(name)) for name in sys.argv[1:]]
    face = laid_out(mean_face([points for points in people if len(points)]))
    print('"""canonical: the mean face, in the unit square of the canonical crop.\n')
    print(f"Made by benchmarks/canonical_face.py from {len(people)} talkers of the GRID corpus (CC BY 4.0); symmetric.")
    print('"""\n\nfrom __future__ import annotations\n\nimport numpy as np\n\nfrom redub.types import Doubles\n')
    print("CANONICAL_FACE: Doubles = np.array(\n    [")
    for x, y in face:
        print(f"        [{x:.4f}, {y:.4f}],")
    print('    ]\n)\n"""(68, 2), iBUG order, mouth closed."""')


if __name__ == "__main__":
    main()
