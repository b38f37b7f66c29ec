"""sync_layers: pictures of a mouth, sound -> embeddings; the two networks as modules.

`SyncNet` is that of "Out of time" (Chung and Zisserman 2016) as its authors published it, layer by layer: it reads five colour
pictures of the whole face, and has 13.6 million parameters.  `ClipSync` is ours: it reads the mouth in grey and the landmarks, and
its streams slide over time, so that a clip costs as much as its frames and not as its windows.  That makes training with all shifts
inside a clip cheap (as in "Perfect Match"), which learns far faster than pairs do.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FRAMES = 5
"""Pictures that one embedding is made from, in both networks."""
STACK = 3
"""Of these, so many enter our network as channels; the rest of the window is joined later."""
VIEWS = ("picture", "landmarks")
"""How our network sees a face."""
CONTRAST_FLOOR = 8.0
"""Grey levels: pictures that vary less are not blown up to full contrast."""


class SyncNet(nn.Module):
    """The published network; its layers have the names and sizes of the paper's table."""

    def __init__(self, features: int = 1024) -> None:
        super().__init__()
        self.sound = nn.Sequential(
            _block(nn.Conv2d(1, 64, 3, padding=1)),  # 13 x 20
            _block(nn.Conv2d(64, 192, 3, padding=1), nn.MaxPool2d(3, (1, 2))),  # 11 x 9
            _block(nn.Conv2d(192, 384, 3, padding=1)),
            _block(nn.Conv2d(384, 256, 3, padding=1)),
            _block(nn.Conv2d(256, 256, 3, padding=1), nn.MaxPool2d(3, 2)),  # 5 x 4
            _block(nn.Conv2d(256, 512, (5, 4))),  # 1 x 1
        )
        self.face = nn.Sequential(
            _block(nn.Conv3d(3, 96, (5, 7, 7), (1, 2, 2)), nn.MaxPool3d((1, 3, 3), (1, 2, 2))),  # 1 x 109, 54
            _block(nn.Conv3d(96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1)), nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))),  # 26, 13
            _block(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            _block(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            _block(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1)), nn.MaxPool3d((1, 3, 3), (1, 2, 2))),  # 6
            _block(nn.Conv3d(256, 512, (1, 6, 6))),  # 1
        )
        self.sound_head, self.face_head = _head(features), _head(features)

    def embed_sound(self, windows: Tensor) -> Tensor:
        """(B, 13, 20) MFCC -> (B, 1024)."""
        embedding: Tensor = self.sound_head(self.sound(windows[:, None]).flatten(1))
        return embedding

    def lip_feature(self, windows: Tensor) -> Tensor:
        """(B, 3, 5, 224, 224) BGR 0..255 -> (B, 512), which lip readers are built on."""
        feature: Tensor = self.face(windows).flatten(1)
        return feature

    def embed_face(self, windows: Tensor) -> Tensor:
        """(B, 3, 5, 224, 224) BGR 0..255 -> (B, 1024)."""
        embedding: Tensor = self.face_head(self.lip_feature(windows))
        return embedding


class ClipSync(nn.Module):
    """Our network: all of its streams slide over time.

    It sees a face in two views, the picture of the mouth and its landmarks, and hears the sound once for each of them.  What a
    picture shows of a mouth differs much from face to face, and few faces teach it little; landmarks are found by a model that saw
    thousands.  Both views are learnt side by side and not mixed, since they err at different moments.

    Args:
        width: Of the layers of pictures and sounds; 1 has 0.9 million parameters for pictures and 0.7 for each sound.
        features: Length of an embedding, of each view.
        bands: Mel bands.
        dropout: In training, before the last two layers of all streams.
        shapes: Numbers that a mouth's landmarks are described by.
    """

    def __init__(self, width: float = 1.0, features: int = 128, bands: int = 40, dropout: float = 0.2, shapes: int = 65) -> None:
        super().__init__()
        self.width, self.features, self.bands, self.shapes = width, features, bands, shapes
        self.pictures = _Pictures(width, features, dropout)
        self.landmarks = _Landmarks(shapes, features, dropout)
        self.sounds = nn.ModuleList([_Sound(width, features, bands, dropout) for _ in VIEWS])
        self.log_scale = nn.Parameter(torch.full((len(VIEWS),), 2.3))
        """Of the similarities of each view in training; the logarithm of 10."""

    def embed_faces(self, mouths: Tensor, shapes: Tensor, reach: int | None = None) -> Tensor:
        """Embed both views: (B, T+4, 56, 64) grey 0..255, (B, T+4, 65) -> (B, T, 2, features); see `centred` and `joined`."""
        return torch.stack([self.pictures(changes(mouths, reach)), self.embed_shapes(shapes, reach)], 2)

    def embed_pictures(self, pictures: Tensor) -> Tensor:
        """(B, T+4, 56, 64) from `changes` -> (B, T, features) for the instants in the middles of five pictures."""
        embedding: Tensor = self.pictures(pictures)
        return embedding

    def embed_shapes(self, shapes: Tensor, reach: int | None = None) -> Tensor:
        """(B, T+4, 65) -> (B, T, features)."""
        embedding: Tensor = self.landmarks(shapes - _steady(shapes, reach))
        return embedding

    def embed_sounds(self, bands: Tensor) -> Tensor:
        """(B, bands, 4T+16) levelled mel bands -> (B, T, 2, features) for the middles of 20 columns each."""
        return torch.stack([sound(bands) for sound in self.sounds], 2)


class _Pictures(nn.Module):
    """(B, T+4, 56, 64) -> (B, T, features)."""

    def __init__(self, width: float, features: int, dropout: float) -> None:
        super().__init__()
        a, b, c, d, e = (max(8, round(size * width)) for size in (32, 48, 96, 128, 192))
        self.face = nn.Sequential(
            _plain(STACK, a, 5, 2, 2),  # 28 x 32
            _plain(a, b, 3, 2, 1),  # 14 x 16
            _plain(b, c, 3, 2, 1),  # 7 x 8
            _plain(c, d, 3, 1, 1),
            _plain(d, d, 3, 2, 1),  # 4 x 4
            _plain(d, e, 4),  # 1 x 1
        )
        self.drop = nn.Dropout(dropout)
        self.time = _Joint(e, 2 * features, features, FRAMES - STACK + 1)

    def forward(self, pictures: Tensor) -> Tensor:
        batch, frames = pictures.shape[:2]
        stacks = pictures.unfold(1, STACK, 1).movedim(-1, 2).flatten(0, 1)  # B*(T+2), 3, 56, 64
        maps = self.face(stacks.contiguous(memory_format=torch.channels_last))
        found = maps.flatten(1).view(batch, frames - STACK + 1, -1).transpose(1, 2)
        embedding: Tensor = self.time(self.drop(found))
        return embedding


class _Landmarks(nn.Module):
    """(B, T+4, shapes) -> (B, T, features)."""

    def __init__(self, shapes: int, features: int, dropout: float) -> None:
        super().__init__()
        self.near = nn.Conv1d(shapes, 2 * features, FRAMES, bias=False)
        self.norm = nn.BatchNorm1d(2 * features)
        self.drop = nn.Dropout(dropout)
        self.time = _Joint(2 * features, 2 * features, features, 1)

    def forward(self, shapes: Tensor) -> Tensor:
        found = F.relu(self.norm(self.near(shapes.transpose(1, 2))))
        embedding: Tensor = self.time(self.drop(found))
        return embedding


class _Sound(nn.Module):
    """(B, bands, 4T+16) -> (B, T, features)."""

    def __init__(self, width: float, features: int, bands: int, dropout: float) -> None:
        super().__init__()
        a, b, c, d = (max(8, round(size * width)) for size in (32, 64, 128, 256))
        left = -(-bands // 8)
        self.bands = nn.Sequential(
            _plain(1, a, 5, (2, 1), (2, 0)),  # bands/2 x 4T+12
            _plain(a, b, (3, 4), (2, 2), (1, 0)),  # bands/4 x 2T+5
            _plain(b, c, 3, (2, 2), (1, 0)),  # bands/8 x T+2
            _plain(c, d, (left, 3)),  # 1 x T
        )
        self.drop = nn.Dropout(dropout)
        self.time = _Joint(d, 2 * features, features, 1)

    def forward(self, bands: Tensor) -> Tensor:
        embedding: Tensor = self.time(self.drop(self.bands(bands[:, None]).squeeze(2)))
        return embedding


class _Joint(nn.Module):
    """Joins neighbouring instants: (B, F, T + kernel - 1) -> (B, T, features)."""

    def __init__(self, inputs: int, hidden: int, features: int, kernel: int) -> None:
        super().__init__()
        self.mix = nn.Conv1d(inputs, hidden, kernel, bias=False)
        self.norm = nn.BatchNorm1d(hidden)
        self.out = nn.Linear(hidden, features)

    def forward(self, found: Tensor) -> Tensor:
        embedding: Tensor = self.out(F.relu(self.norm(self.mix(found))).transpose(1, 2)).float()
        return embedding


def evened(pictures: Tensor) -> Tensor:
    """Take light and contrast off each picture: (..., H, W) -> the same, its mean 0 and its spread about 1."""
    mean = pictures.mean((-2, -1), keepdim=True)
    spread = pictures.std((-2, -1), keepdim=True)
    return (pictures - mean) / (spread + CONTRAST_FLOOR)


def changes(mouths: Tensor, reach: int | None = None) -> Tensor:
    """Return how pictures differ from what is steady in them: (B, T, H, W) grey 0..255 -> (B, T, H, W).

    Args:
        mouths: Consecutive pictures of one face in each row.
        reach: As in `centred`.
    """
    pictures = evened(mouths.float())
    return pictures - _steady(pictures, reach)


def centred(embeddings: Tensor, reach: int | None = None) -> Tensor:
    """Take off what is steady over time, and bring the rest to length one: (B, T, ..., F) -> the same.

    What is steady is the person, the light and the room.  A network that saw few of them tells unseen people's moments apart
    far better without.

    Args:
        embeddings: Of consecutive instants.
        reach: The mean of so many instants before and behind each is taken off; None takes that of all.
    """
    return F.normalize(embeddings - _steady(embeddings, reach), dim=-1)


def joined(embeddings: Tensor) -> Tensor:
    """Put the views of each instant behind each other, together of length one: (B, T, V, F) of length one -> (B, T, V * F)."""
    together: Tensor = embeddings.flatten(2) / embeddings.shape[2] ** 0.5
    return together


def _steady(values: Tensor, reach: int | None) -> Tensor:
    """Return the mean over the second axis, or that of each place's neighbours."""
    count = values.shape[1]
    if reach is None or count <= reach:
        return values.mean(1, keepdim=True)
    total = torch.cat([torch.zeros_like(values[:, :1], dtype=torch.float64), values.cumsum(1, dtype=torch.float64)], 1)
    place = torch.arange(count, device=values.device)
    first, last = (place - reach).clamp(min=0), (place + reach + 1).clamp(max=count)
    sizes = (last - first).view(-1, *[1] * (values.dim() - 2))
    return ((total[:, last] - total[:, first]) / sizes).to(values.dtype)


def _block(convolution: nn.Conv2d | nn.Conv3d, *pool: nn.Module) -> nn.Sequential:
    norm: type[nn.BatchNorm2d | nn.BatchNorm3d] = nn.BatchNorm3d if isinstance(convolution, nn.Conv3d) else nn.BatchNorm2d
    return nn.Sequential(convolution, norm(convolution.out_channels), nn.ReLU(inplace=True), *pool)


def _head(features: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(inplace=True), nn.Linear(512, features))


def _plain(
    inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int | tuple[int, int] = 1, padding: int | tuple[int, int] = 0
) -> nn.Sequential:  # fmt: skip
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))
