"""densepose: a user's own DensePose, or pictures that one made -> pose figures.

Two community layouts of TorchScript are understood, and detectron2 where it is installed.  None of them comes with redub: the networks
have licences of their own.  All of them answer for each detection with maps of the coarse and fine parts and of U and V, which are
put together as DensePose's own code does: enlarged to the box, the part being the strongest fine one where the
coarse ones say that there is somebody.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from redub.errors import RedubError
from redub.faces.cv import load_cv
from redub.types import RGB, Floats
from redub_lumierenet.figure import LARGEST_INDEX, Estimator, Place, figure_from_iuv, from_landmarks
from redub_lumierenet.recipe import FigureSettings

LEAST_SCORE = 0.3
FIELDS = {
    "boxes": "pred_boxes", "coarse": "pred_densepose_coarse_segm", "fine": "pred_densepose_fine_segm",
    "u": "pred_densepose_u", "v": "pred_densepose_v", "scores": "scores",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detections:
    """What DensePose says of one picture: N persons, C coarse parts, 25 fine ones, maps of h x w."""

    boxes: Tensor
    """(N, 4) left, top, right, bottom px."""
    scores: Tensor
    """(N,); ones where it says none."""
    coarse: Tensor
    """(N, C, h, w)."""
    fine: Tensor
    """(N, 25, h, w)."""
    u: Tensor
    """(N, 25, h, w)."""
    v: Tensor
    """(N, 25, h, w)."""


Detect = Callable[[RGB], Detections]
"""(H, W, 3) RGB -> what is seen in it."""


def choose_estimator(settings: FigureSettings, device: str) -> Estimator:
    """Return where pose figures come from.

    Raises:
        RedubError: A file or folder is missing or not of its kind, or detectron2 is not installed.
    """
    if settings.source == "landmarks":
        return from_landmarks
    path = Path(settings.path)
    if settings.source == "iuv":
        if not path.is_dir():
            raise RedubError(f"There is no folder {path} of IUV pictures.", "Name it with  --set figure.path=FOLDER")
        return _Pictures(path)
    if not path.is_file():
        raise RedubError(f"There is no file {path}.", "Name it with  --set figure.path=FILE")
    detect = (
        open_script(path, device, settings.layout) if settings.source == "torchscript" else open_detectron(path, settings.config, device)
    )
    return _Detected(detect)


def open_script(path: Path, device: str = "cpu", layout: str = "auto") -> Detect:
    """Load a TorchScript file in one of the two layouts.

    Args:
        path: The file.
        device: As torch names it.
        layout: ``dict``: takes (H, W, 3) BGR, returns a dictionary named as detectron2's fields.  ``tuple``: takes (3, H, W) uint8 RGB,
            returns boxes, coarse, fine, u, v.  ``auto`` asks the file what it returns.

    Raises:
        RedubError: It cannot be loaded, or does not say what it returns.
    """
    with suppress(ImportError):
        importlib.import_module("torchvision")  # its operators are part of such files
    try:
        # torch announces that scripts go away; the files that there are stay.
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            script = torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise RedubError(
            f"{path} is no TorchScript file that can be loaded: {error}.", "It may need torchvision:  pip install torchvision"
        ) from error
    kind = layout if layout != "auto" else _layout(script, path)

    def detect(picture: RGB) -> Detections:
        with torch.inference_mode():
            if kind == "dict":
                return detections(script(torch.from_numpy(np.ascontiguousarray(picture[..., ::-1])).to(device)))
            return detections(script(torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1).to(device)))

    return detect


def detections(answer: Any) -> Detections:
    """Read an answer in either layout.

    Raises:
        RedubError: It is neither.
    """
    if isinstance(answer, Mapping) and all(key in answer for name, key in FIELDS.items() if name != "scores"):
        fields = {name: answer[key] for name, key in FIELDS.items() if key in answer}
    elif isinstance(answer, tuple) and len(answer) == 5:
        fields = dict(zip(("boxes", "coarse", "fine", "u", "v"), answer, strict=True))
    else:
        raise RedubError(f"The DensePose file answers with a {type(answer).__name__} that has neither known layout.", "Use another file.")
    given = {name: torch.as_tensor(value).detach().float().cpu() for name, value in fields.items()}
    count, parts = len(given["boxes"]), LARGEST_INDEX + 1
    given.setdefault("scores", torch.ones(count))
    fits = all(given[name].ndim == 4 and len(given[name]) == count for name in ("coarse", "fine", "u", "v"))
    if given["boxes"].shape != (count, 4) or not fits or any(given[name].shape[1] != parts for name in ("fine", "u", "v")):
        shapes = ", ".join(f"{name} {tuple(value.shape)}" for name, value in given.items())
        raise RedubError(f"The DensePose file answers with maps of other sizes than DensePose's: {shapes}.", "Use another file.")
    return Detections(**given)


def open_detectron(path: Path, config: str, device: str = "cpu") -> Detect:
    """Load a DensePose model through an installed detectron2 with its project *densepose*.

    Raises:
        RedubError: They are not installed, or the model cannot be loaded.
    """
    try:
        engine, configs, densepose = (importlib.import_module(name) for name in ("detectron2.engine", "detectron2.config", "densepose"))
    except ImportError as error:
        hint = "Install both, or use a TorchScript file:  --set figure.source=torchscript"
        raise RedubError(f"detectron2 with its project densepose is not installed: {error}.", hint) from error
    try:
        chosen = configs.get_cfg()
        densepose.add_densepose_config(chosen)
        chosen.merge_from_file(config)
        chosen.MODEL.WEIGHTS, chosen.MODEL.DEVICE = str(path), device
        predictor = engine.DefaultPredictor(chosen)
    except Exception as error:
        raise RedubError(f"detectron2 cannot load {path}: {error}.", "Name model and configuration of one kind.") from error

    def detect(picture: RGB) -> Detections:
        found = predictor(np.ascontiguousarray(picture[..., ::-1]))["instances"]
        pose = found.pred_densepose
        return detections({
            "pred_boxes": found.pred_boxes.tensor, "scores": found.scores, "pred_densepose_coarse_segm": pose.coarse_segm,
            "pred_densepose_fine_segm": pose.fine_segm, "pred_densepose_u": pose.u, "pred_densepose_v": pose.v,
        })  # fmt: skip

    return detect


def figure_from(found: Detections, side: int) -> RGB:
    """Draw the strongest detection of a picture: -> (side, side, 3); black where there is none."""
    index, u, v = np.zeros((side, side), np.int64), np.zeros((side, side), np.float32), np.zeros((side, side), np.float32)
    if len(found.boxes) and float(found.scores.max()) >= LEAST_SCORE:
        best = int(found.scores.argmax())
        left, top = (int(one) for one in found.boxes[best, :2])
        right, bottom = (int(one) for one in found.boxes[best, 2:])
        size = (max(bottom - top, 1), max(right - left, 1))
        coarse, fine, us, vs = (_grown(one[best], size) for one in (found.coarse, found.fine, found.u, found.v))
        part = np.where(coarse.argmax(axis=0) > 0, fine.argmax(axis=0), 0)
        there = np.take_along_axis(us, part[None], 0)[0], np.take_along_axis(vs, part[None], 0)[0]
        # What reaches out of the picture is cut off.
        outer = slice(max(top, 0), min(top + size[0], side)), slice(max(left, 0), min(left + size[1], side))
        inner = slice(outer[0].start - top, outer[0].stop - top), slice(outer[1].start - left, outer[1].stop - left)
        if outer[0].start < outer[0].stop and outer[1].start < outer[1].stop:
            index[outer], u[outer], v[outer] = part[inner], there[0][inner], there[1][inner]
    return figure_from_iuv(index, u, v)


def _grown(maps: Tensor, size: tuple[int, int]) -> Floats:
    grown: Floats = F.interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0].numpy()
    return grown


def _layout(script: Any, path: Path) -> str:
    kind = str(script.forward.schema.returns[0].type)
    for name in ("dict", "tuple"):
        if kind.lower().startswith(name):
            return name
    raise RedubError(f"{path} returns a {kind}, so its layout is not plain.", "Say it:  --set figure.layout=dict  or tuple")


@dataclass(frozen=True, slots=True, eq=False)
class _Detected:
    """Finds figures with a network."""

    detect: Detect

    def __call__(self, pictures: RGB, points: Floats, place: Place) -> RGB:  # noqa: ARG002  one of several sources
        return np.stack([figure_from(self.detect(picture), pictures.shape[1]) for picture in pictures])


@dataclass(frozen=True, slots=True, eq=False)
class _Pictures:
    """Looks figures up: ``FOLDER/VIDEO/000123.png`` for frame 123 of VIDEO.mp4, as DensePose writes them (blue I, green U, red V)."""

    folder: Path

    def __call__(self, pictures: RGB, points: Floats, place: Place) -> RGB:  # noqa: ARG002  one of several sources
        return np.stack([self._read(self.folder / place.source / f"{int(frame):06d}.png", pictures.shape[1]) for frame in place.frames])

    def _read(self, path: Path, side: int) -> RGB:
        cv2 = load_cv()
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
        if picture is None:
            raise RedubError(
                f"There is no IUV picture {path}.", "Each frame needs one, numbered from 000000 in a folder named after its video."
            )
        height, width = picture.shape[:2]
        square = min(height, width)
        top, left = (height - square) // 2, (width - square) // 2
        iuv = cv2.resize(picture[top : top + square, left : left + square], (side, side), interpolation=cv2.INTER_NEAREST)
        try:
            return figure_from_iuv(iuv[..., 0].astype(np.int64), iuv[..., 1] / 255, iuv[..., 2] / 255)
        except ValueError as error:
            raise RedubError(
                f"{path} is no IUV picture: {error}.", "Blue is the part, green U, red V, as cv2.imwrite puts them."
            ) from error
