"""norms: a decoder -> one with batch norms, which learns several times as fast, and back to the plain one.

The paper's decoder has no batch norms, and without them its deep, narrow beginning learns slowly.  While it learns it gets
one behind each convolution; afterwards they are multiplied into the convolutions, so that what is used is the paper's.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from redub_speech2vid.incontext import ContextDecoder
from redub_speech2vid.model import BATCH_NORM_EPS, Decoder, Identity

LEAST_VARIANCE = 1e-8
NAMES = ("conv8", "conv1_1", "conv1_2", "conv1_3", "conv2", "conv3_1", "conv3_2", "conv4", "conv5_1", "conv5_2")


class NormedDecoder(nn.Module):
    """Takes and paints what its plain decoder does.

    Args:
        plain: Its weights are learnt; upsampled bilinearly, since what a transposed convolution is padded with has no norm.
    """

    def __init__(self, plain: Decoder | ContextDecoder) -> None:
        super().__init__()
        self.plain = plain
        self.norms = nn.ModuleDict({name: nn.BatchNorm2d(len(getattr(plain, name).bias), eps=BATCH_NORM_EPS) for name in NAMES})
        for norm in self.norms.values():
            _do_nothing(norm)

    def shares(self, maps: dict[str, Tensor], source: int = 0) -> dict[str, Tensor]:
        return self.plain.shares(maps, source)

    def separate(self, stills: Tensor) -> Tensor | None:
        return self.plain.separate(stills) if isinstance(self.plain, ContextDecoder) else None

    def forward(self, speech: Tensor, identity: Identity) -> Tensor:
        pictures: Tensor = self.plain(speech, identity, self.norms)
        return pictures

    def calibrate(self, paint: Callable[[], object]) -> None:
        """Start from weights that have been learnt: let each norm take off and put back what it finds, so that nothing changes.

        Args:
            paint: Sends a few batches through this decoder.
        """
        seen: dict[nn.Module, list[Tensor]] = {norm: [] for norm in self.norms.values()}

        def watch(norm: nn.Module, given: tuple[Tensor, ...]) -> None:
            seen[norm].append(given[0].float().movedim(1, 0).flatten(1).detach())

        hooks = [norm.register_forward_pre_hook(watch) for norm in seen]
        was_training = self.training
        self.eval()
        with torch.no_grad():
            paint()
            for norm, found in seen.items():
                assert isinstance(norm, nn.BatchNorm2d)
                values = torch.cat(found, dim=1)
                mean, variance = values.mean(dim=1), values.var(dim=1)
                # A unit that is always the same is left alone: its norm would have to divide by nothing.
                variance = torch.where(variance > LEAST_VARIANCE, variance, torch.ones_like(variance))
                _set(norm.running_mean, mean)
                _set(norm.running_var, variance)
                norm.weight.copy_((variance + norm.eps).sqrt())
                norm.bias.copy_(mean)
        for hook in hooks:
            hook.remove()
        self.train(was_training)

    def fold(self) -> None:
        """Multiply the norms into the plain decoder; this one then paints as before, its norms doing nothing."""
        with torch.no_grad():
            for name, norm in self.norms.items():
                assert isinstance(norm, nn.BatchNorm2d)
                assert norm.running_mean is not None
                assert norm.running_var is not None
                layer = getattr(self.plain, name)
                scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
                layer.weight.mul_(scale[:, None, None, None])
                layer.bias.sub_(norm.running_mean).mul_(scale).add_(norm.bias)
                _do_nothing(norm)


def _set(buffer: Tensor | None, values: Tensor) -> None:
    assert buffer is not None
    buffer.copy_(values)


def _do_nothing(norm: nn.Module) -> None:
    """Make a batch norm return what it is given, once it keeps its statistics."""
    assert isinstance(norm, nn.BatchNorm2d)
    norm.reset_running_stats()
    with torch.no_grad():
        norm.weight.fill_((1.0 + norm.eps) ** 0.5)
        norm.bias.zero_()
