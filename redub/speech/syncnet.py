"""syncnet: a file of weights -> a model that embeds mouths and sounds, near each other where both belong together.

Two kinds of file are known by their metadata: ours, which ``redub train sync`` writes, and the published ``syncnet_v2``, once it
is converted:

    python -m redub.speech.syncnet convert syncnet_v2.model syncnet_v2.safetensors

A ``.model`` file is a pickle, which may run anything when it is opened; it is read with ``weights_only``, which builds tensors and
nothing else, and refuses the rest.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from redub.errors import RedubError, ShapeError
from redub.files import check_file, sha256_of
from redub.media.place import Part
from redub.speech.shipped import SYNC
from redub.speech.sync_features import (
    COLUMNS,
    COLUMNS_EACH,
    MOUTH_SIZE,
    as_grey,
    mfcc_windows,
    mouth_shapes,
    sound_course,
    sound_windows,
    take_mouths,
)  # fmt: skip
from redub.speech.sync_layers import FRAMES, ClipSync, SyncNet, centred, changes, joined
from redub.types import RGB, Doubles, Floats
from redub.weights import find

OURS, PUBLISHED = "redub-sync-2", "syncnet-v2"
PUBLISHED_PX = 224
BLOCK, OWN_BLOCK = 64, 256
"""Instants that are embedded at a time, by the published network and by ours, which looks at three seconds around each block."""
STEADY_OVER = 37
"""Instants before and behind whose mean is taken off our pictures and embeddings: three seconds in all."""
PARTS = {"netcnnaud": "sound", "netcnnlip": "face", "netfcaud": "sound_head", "netfclip": "face_head"}
"""What the published file calls the four parts of `SyncNet`."""
PLACES = {"sound": (0, 4, 8, 11, 14, 18), "face": (0, 4, 8, 11, 14, 18)}
"""Where the six convolutions stand in its two stacks, counted with norms, ReLUs and pools; each norm stands one behind."""


class SyncModel(ABC):
    """A network that embeds mouths and sounds."""

    reach_frames: int = FRAMES // 2
    """An embedding looks at so many pictures before and behind its instant."""
    block: int = BLOCK
    """Instants that are embedded at a time."""
    kind: str = ""
    file_sha256: str = ""
    """Of the file it was read from."""

    @property
    def name(self) -> str:
        """Its kind and the begin of its file's sha256."""
        return f"{self.kind}-{self.file_sha256[:12]}" if self.file_sha256 else self.kind

    @abstractmethod
    def prepare(self, crops: RGB) -> RGB:
        """Keep of crops what `embed_faces` needs, which is small: so a long track can be held.  (T, H, W, 3) -> (T, ...) uint8."""

    @abstractmethod
    def embed_sound(self, speech: Floats, times_s: Doubles) -> Floats:
        """Embed the sound around each instant: (N,) mono at 16 kHz, (T,) -> (T, D)."""

    @abstractmethod
    def _embed(self, pictures: RGB, first: int, last: int) -> Tensor:
        """Embed prepared pictures from one to before another: their number less four -> (T, D)."""

    @torch.inference_mode()
    def embed_faces(self, crops: RGB, points: Floats | Doubles | None = None) -> Floats:
        """Embed a face at 25 Hz instants.

        Args:
            crops: (T, ...) its pictures, or what `prepare` made of them.
            points: (T, 68, 2) its landmarks in the unit square of the canonical crop, if the network looks at them.

        Returns:
            (T, D); NaN for the first and last two.

        Raises:
            ShapeError: There are no landmarks, or not as many as pictures.
        """
        pictures = self.prepare(crops)
        reach, count = self.reach_frames, len(pictures) - FRAMES + 1
        if count < 1:
            return np.full((len(pictures), 1), np.nan, np.float32)
        blocks = [self._embed(pictures, first, min(first + self.block, count) + FRAMES - 1) for first in range(0, count, self.block)]
        return np.pad(self._finish(torch.cat(blocks), points), ((reach, reach), (0, 0)), constant_values=np.nan)

    def _finish(self, embeddings: Tensor, points: Floats | Doubles | None) -> Floats:  # noqa: ARG002  the published network has none
        """Do what is done once all pictures of a track are embedded: (T, D), (T + 4, 68, 2) -> (T, D)."""
        return np.asarray(embeddings.numpy(), np.float32)


class OwnSync(SyncModel):
    """Our network.  It reads the canonical crop of 112 px, and the face's landmarks in it.

    What is steady over three seconds is taken off its pictures and embeddings, so the pictures and the sound of a track are to be given
    together.  They have length one, so distances lie between 0 and 2; those of what has nothing in common are about 1.4.
    """

    kind, block = OURS, OWN_BLOCK

    def __init__(self, network: ClipSync) -> None:
        self.network = network.eval().requires_grad_(False)

    def prepare(self, crops: RGB) -> RGB:
        """Take the mouth in grey: (T, 112, 112, 3) -> (T, 56, 64)."""
        return crops if crops.ndim == 3 and crops.shape[1:] == MOUTH_SIZE else as_grey(take_mouths(crops))

    @torch.inference_mode()
    def embed_sound(self, speech: Floats, times_s: Doubles) -> Floats:
        if not len(times_s):
            return np.zeros((0, 1), np.float32)
        course = sound_course(speech, times_s)
        if course is None:
            windows = torch.from_numpy(sound_windows(speech, times_s))
            return self._settled(torch.cat([self.network.embed_sounds(block)[:, 0] for block in torch.split(windows, OWN_BLOCK)]))
        # Consecutive instants share columns; so sliding over all of them costs a quarter of window after window.
        columns, count = torch.from_numpy(course), len(times_s)
        spans = [(first, min(first + OWN_BLOCK, count)) for first in range(0, count, OWN_BLOCK)]
        blocks = [columns[None, :, COLUMNS_EACH * first : COLUMNS_EACH * (last - 1) + COLUMNS] for first, last in spans]
        return self._settled(torch.cat([self.network.embed_sounds(block)[0] for block in blocks]))

    def _embed(self, pictures: RGB, first: int, last: int) -> Tensor:
        # What is steady is seen in the pictures around a block too, so that nothing depends on where blocks are cut.
        start = max(first - STEADY_OVER, 0)
        around = torch.from_numpy(pictures[start : last + STEADY_OVER])[None]
        return self.network.embed_pictures(changes(around, STEADY_OVER)[:, first - start : last - start])[0]

    def _finish(self, embeddings: Tensor, points: Floats | Doubles | None) -> Floats:
        if points is None or len(points) != len(embeddings) + FRAMES - 1:
            count = "no" if points is None else str(len(points))
            raise ShapeError(f"There are {count} landmarks for {len(embeddings) + FRAMES - 1} pictures.", "Give those of every picture.")
        shapes = torch.from_numpy(mouth_shapes(points))[None]
        return self._settled(torch.stack([embeddings, self.network.embed_shapes(shapes, STEADY_OVER)[0]], 1))

    def _settled(self, embeddings: Tensor) -> Floats:
        """(T, 2, F) -> (T, 2 F)."""
        return np.asarray(joined(centred(embeddings[None], STEADY_OVER))[0].numpy(), np.float32)


class PublishedSync(SyncModel):
    """The published network.  Only on crops as `redub.speech.lse` takes them are its distances on the published scale."""

    kind = PUBLISHED

    def __init__(self, network: SyncNet) -> None:
        self.network = network.eval().requires_grad_(False)

    def prepare(self, crops: RGB) -> RGB:
        """Bring pictures to 224 px: (T, H, W, 3) -> (T, 224, 224, 3)."""
        if crops.ndim != 4 or crops.shape[3] != 3:
            raise ShapeError(f"Crops of shape {crops.shape} are not colour pictures.", "Give (T, H, W, 3).")
        if crops.shape[1:3] == (PUBLISHED_PX, PUBLISHED_PX):
            return crops
        planes = torch.from_numpy(crops).movedim(3, 1).float()
        sized = F.interpolate(planes, (PUBLISHED_PX, PUBLISHED_PX), mode="bilinear", antialias=True, align_corners=False)
        return np.ascontiguousarray(sized.movedim(1, 3).round().clamp(0, 255).to(torch.uint8).numpy())

    @torch.inference_mode()
    def embed_sound(self, speech: Floats, times_s: Doubles) -> Floats:
        return self.embed_mfcc(mfcc_windows(speech, times_s))

    @torch.inference_mode()
    def embed_mfcc(self, windows: Floats) -> Floats:
        """(T, 13, 20) -> (T, 1024)."""
        found = [self.network.embed_sound(block).numpy() for block in torch.split(torch.from_numpy(windows), BLOCK)]
        return np.concatenate(found) if len(windows) else np.zeros((0, 1), np.float32)

    def _embed(self, pictures: RGB, first: int, last: int) -> Tensor:
        # The network was trained on BGR in 0..255.
        planes = torch.from_numpy(pictures[first:last]).flip(-1).movedim(3, 0).float()  # 3, T+4, 224, 224
        windows = planes.unfold(1, FRAMES, 1).movedim(1, 0).movedim(-1, 2)  # T, 3, 5, 224, 224
        return torch.cat([self.network.embed_face(part) for part in torch.split(windows, 8)])


def read_model(path: Path | None = None) -> SyncModel:
    """Read a network's weights; without a path the shipped ones.

    Raises:
        RedubError: There is no such file, it is damaged or of another kind, or none is shipped.
    """
    path = path or find(SYNC)
    tensors, metadata = _read(check_file(path, "sync network"))
    try:
        model = _model(tensors, metadata)
    except (KeyError, ValueError, RuntimeError) as error:
        raise RedubError(f"The sync network {path} is damaged: {error}.", "Get or train it again.") from error
    if model is None:
        hint = "Name a file of  redub train sync,  or a converted one:  python -m redub.speech.syncnet convert IN OUT"
        raise RedubError(f"{path} holds no sync network that this version knows.", hint)
    model.file_sha256 = sha256_of(path)
    return model


def _model(tensors: dict[str, Tensor], metadata: dict[str, str]) -> SyncModel | None:
    if metadata.get("kind") == OURS:
        return OwnSync(_fused(own_network(tensors, metadata).eval()))
    if metadata.get("kind") == PUBLISHED:
        network = SyncNet()
        network.load_state_dict(tensors)
        return PublishedSync(network)
    return None


def own_network(tensors: dict[str, Tensor], metadata: dict[str, str]) -> ClipSync:
    """Return our network in single precision.

    Raises:
        KeyError, ValueError, RuntimeError: The tensors are not its.
    """
    network = ClipSync(width=float(metadata["width"]), features=int(metadata["features"]), bands=int(metadata["bands"]))
    own = network.state_dict()
    network.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in tensors.items() if name in own})
    return network


def _fused(network: ClipSync) -> ClipSync:
    """Put each batch norm into the convolution before it: the same embeddings for a quarter less of the time."""
    for module in list(network.modules()):
        children = dict(module.named_children())
        for (before, layer), (name, norm) in pairwise(children.items()):
            if isinstance(layer, nn.Conv1d | nn.Conv2d) and isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(module, before, fuse_conv_bn_eval(layer, norm))
                setattr(module, name, nn.Identity())
    return network


def write_own(path: Path, network: ClipSync, metadata: dict[str, str]) -> None:
    """Write our network in half precision; the file takes its place when it is complete.

    Raises:
        RedubError: The file cannot be written.
    """
    # Statistics of norms may be too large or too small for half precision, and are few.
    tensors = {
        name: tensor.half() if tensor.is_floating_point() and "running" not in name else tensor
        for name, tensor in network.state_dict().items()
    }
    facts = {"kind": OURS, "width": f"{network.width:g}", "features": str(network.features), "bands": str(network.bands)}
    _write(path, tensors, {**facts, **metadata})


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the published network's tensors under the names of `SyncNet`.

    ``netcnnaud.4.weight`` becomes ``sound.1.0.weight``, the second block's convolution; the heads keep their numbers.

    Raises:
        RedubError: It is another network.
    """
    found = {}
    for name, tensor in state.items():
        part, _, rest = name.partition(".")
        number, _, kind = rest.partition(".")
        if part not in PARTS or not number.isdigit():
            raise RedubError(f"{name} is no part of syncnet_v2.", "Name the file that its authors published.")
        place = _place(PARTS[part], int(number))
        found[f"{PARTS[part]}.{place}.{kind}"] = tensor.detach().clone().contiguous()
    wanted = SyncNet().state_dict()
    # Files of old versions have no counts of batches, which nothing reads.
    found |= {name: tensor for name, tensor in wanted.items() if name.endswith("num_batches_tracked") and name not in found}
    wrong = [name for name in {**wanted, **found} if name not in found or name not in wanted or found[name].shape != wanted[name].shape]
    if wrong:
        raise RedubError(
            f"These weights are not those of syncnet_v2: {wrong[0]} does not fit.", "Name the file that its authors published."
        )
    return found


def convert(source: Path, target: Path) -> None:
    """Turn the published ``syncnet_v2.model`` into safetensors.

    Raises:
        RedubError: It is missing, holds more than tensors or another network, or the target exists or cannot be written.
    """
    check_file(source, "published network")
    if target.exists():
        raise RedubError(f"{target} exists.", "Name another file.")
    try:
        state = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:
        raise RedubError(f"{source} cannot be read as weights: {str(error).splitlines()[0]}", "Get it from its authors again.") from error
    if not isinstance(state, dict) or not all(isinstance(one, Tensor) for one in state.values()):
        raise RedubError(f"{source} holds something else than weights.", "Name the file that its authors published.")
    _write(target, renamed(state), {"kind": PUBLISHED})


def _place(part: str, number: int) -> str:
    """Return where a layer of the published stack stands in ours: block and layer in it, or the layer of a head."""
    if part not in PLACES:
        return str(number)
    first = max((at for at in PLACES[part] if at <= number), default=0)
    return f"{PLACES[part].index(first)}.{number - first}"


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118  no mapping
    except (OSError, SafetensorError) as error:
        raise RedubError(f"The sync network {path} cannot be read: {error}.", "Name a file of the kind .safetensors.") from error


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    part = Part(path)
    try:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, part.path, metadata)
        part.publish()
    except (OSError, SafetensorError) as error:
        raise RedubError(f"{path} cannot be written: {error}.", "Free some space, or name another folder.") from error
    finally:
        part.discard()


def main(arguments: list[str]) -> int:
    """Run ``convert IN OUT``; return an exit code."""
    if len(arguments) != 3 or arguments[0] != "convert":
        sys.stderr.write("usage: python -m redub.speech.syncnet convert IN.model OUT.safetensors\n")
        return 2
    try:
        convert(Path(arguments[1]), Path(arguments[2]))
    except RedubError as error:
        sys.stderr.write(f"{error.message}\n{error.hint}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
