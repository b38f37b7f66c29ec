"""settle: a trained landmark network, clips -> the same network, whose points mean what the engine's mean face means by them.

    python tools/landmarks/settle.py trained.safetensors CLIP [CLIP ...] -o landmarks.safetensors

A kit's vertex for the corner of the mouth and what others mark there are not one place.  The engine's mean face, after which crops and
masks are laid, was measured with dlib's model (`benchmarks/canonical_face.py`); so on the same people it is found how far beside
this network's points lie **on average**: 68 places, the same for everybody, symmetric.  No single answer goes in.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from redub.choices import LandmarkModel
from redub.config import ShotConfig, TrackConfig
from redub.faces.follow import box_from_place
from redub.faces.geometry import apply_similarity, invert_similarity, similarity_from_points
from redub.faces.landmark_layers import LandmarkNet
from redub.faces.landmark_net import answer, mirrored, read_network
from redub.media import open_video
from redub.progress import silent
from redub.stages.shots import find_shots
from redub.stages.tracks import find_tracks
from redub.types import Doubles

EVERY = 5


def beside(path: Path, network: LandmarkNet) -> Doubles:
    """Return how far the network's points lie beside dlib's in a clip, on average: (68, 2) in the network's own canonical square."""
    found = []
    with open_video(path) as video:
        scan = find_shots(video, ShotConfig(), silent)
        track = max(find_tracks(video, scan, TrackConfig(landmarks=LandmarkModel.DLIB), silent), key=len)
        for frame in video.read():
            number = frame.index - track.start
            if 0 <= number < len(track) and number % EVERY == 0:
                theirs = track.points[number].astype(np.float64)
                box = box_from_place(similarity_from_points(theirs))
                # Asked twice, once mirrored.
                ours = answer(frame.gray(), [box, box], network).mean(axis=0)
                into = invert_similarity(similarity_from_points(ours))
                found.append(apply_similarity(into, ours) - apply_similarity(into, theirs))
    return np.asarray(np.mean(found, axis=0), np.float64)


def main() -> None:
    """Measure, and write the network anew."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("network", type=Path)
    options.add_argument("clips", nargs="+", type=Path)
    options.add_argument("-o", "--output", type=Path, required=True)
    given = options.parse_args()
    with safe_open(given.network, framework="numpy") as file:
        facts = dict(file.metadata() or {})
    tensors, network = load_file(given.network), read_network(given.network)
    network.manner.zero_()
    each = np.stack([beside(path, network) for path in given.clips])
    manner = each.mean(axis=0)
    manner = (manner + manner[mirrored()] * [-1, 1]) / 2
    before, after = (np.linalg.norm(one, axis=-1).mean() for one in (each, each - manner))
    print(f"{100 * before:.2f} % of the canonical square beside dlib's; without what all clips share {100 * after:.2f} %")
    save_file({**tensors, "manner": torch.from_numpy(manner).float()}, given.output, {**facts, "settled_on": str(len(given.clips))})


if __name__ == "__main__":
    main()
