"""membrane: what differs along a mask's edge -> a smooth correction for everything within it.

Gradient-domain ("Poisson") cloning of a patch g into a picture f is g + h, where h is harmonic within the mask and
f - g on its edge.  A mask that is fixed in the canonical crop makes this one small matrix, factored once.  Three
things are done otherwise than in the textbook, because the edge of a face is noisy and not all of it is face:

- f - g is averaged over the mask's soft edge and along it, so that noise and beard are not dragged inwards;
- a plane (itself harmonic) is fitted first, robustly: samples far from it are hair, a hand, or the wall behind, and
  lose their say; the membrane carries what is left;
- a stretch of the edge without a trusted sample takes the values of its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redub.faces.cv import load_cv
from redub.types import RGB, Doubles, Floats, Ints

GRID = 48
"""Side of the grid on which the correction is solved: it is smooth, and is enlarged to the crop afterwards."""
SECTIONS = 48
"""Pieces into which the edge is cut."""
MAX_SAMPLES = 3000
"""More px than this at the edge are thinned out; each section keeps dozens."""
MEDIAN_SAMPLES = 700
"""Where a fit begins, and how wide its errors are, needs no more than this."""
OUTLIER_MAD = 2.0
"""A sample off the plane by this many median deviations has a quarter of its weight left."""
MIN_OUTLIER = 6.0
"""... but at least this many levels of 255: clean pictures have next to no deviation."""
MAX_TONE = 40.0
"""A sample this many levels off the plane is another thing and no matter of tone: it counts for nothing."""
HOLD = 0.002
"""Ridge on the plane's slopes, as a share of all weight."""
ROUNDS = 3
"""How often the weights of outliers are found again."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EdgeSamples:
    """How picture and patch differ along the edge in one frame, in levels of 255."""

    plane: Doubles
    """(3, 3) rows for 1, x and y (of the unit square, from the edge's middle); columns RGB."""
    rest: Doubles
    """(K, 3) sums of weight times what the plane leaves, for each section of the edge."""
    weight: Doubles
    """(K,) sums of weight; zero where nothing can be trusted."""
    difference: Floats
    """(3, N) the samples themselves."""
    trusted: Floats
    """(N,) their weights before outliers lost theirs."""

    def flat(self) -> EdgeSamples:
        """Return the mean difference alone: one number a channel."""
        plane = np.concatenate([self.plane[:1], np.zeros((2, 3))])
        return replace(self, plane=plane, rest=np.zeros_like(self.rest), weight=np.zeros_like(self.weight))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Membrane:
    """A mask's edge and the matrix from it to the inside; made by `make_membrane`."""

    size_px: int
    pixels: Ints
    """(N,) flat indices of the samples in the crop."""
    places: Doubles
    """(N, 2) their x, y in px of the crop."""
    shares: Floats
    """(N,) how much each says: 1 in the middle of the soft edge, 0 at its two sides."""
    basis: Floats
    """(3, N) 1, x, y of the unit square, from the edge's middle."""
    sections: Ints
    """(N,) which section of the edge each belongs to."""
    along: Doubles
    """(K, K) kernel that averages along the edge; never zero, so that a stretch without samples takes after the nearest."""
    inwards: Doubles
    """(GRID * GRID, K) from the edge's sections to the grid: harmonic within the mask, constant outwards."""
    grid_basis: Doubles
    """(GRID * GRID, 3) 1, x, y of the grid's cells."""

    def measure(self, picture: RGB, patch: RGB, trust: Floats | None = None) -> EdgeSamples:
        """Compare picture and patch along the edge.

        Args:
            picture: (S, S, 3) what the frame shows.
            patch: (S, S, 3) what is to lie over it.
            trust: (N,) 0 to 1, how far each sample is to be believed; 0 for px that lie outside the frame.
        """
        # Channels first: N long rows are several times faster than N short ones, in memory too.
        shown, painted = (crop.reshape(-1, 3).take(self.pixels, axis=0).T for crop in (picture, patch))
        difference = np.subtract(shown, painted, dtype=np.float32, order="C")
        trusted = self.shares if trust is None else self.shares * trust
        count = len(self.along)
        plane, weights = _fit(self.basis, difference, trusted)
        rest = (difference - plane.T.astype(np.float32) @ self.basis) * weights
        sums = [np.bincount(self.sections, channel, count) for channel in rest]
        return EdgeSamples(
            plane=plane,
            rest=np.stack(sums, 1).astype(np.float64),
            weight=np.bincount(self.sections, weights, count).astype(np.float64),
            difference=difference,
            trusted=trusted,
        )

    def step(self, before: EdgeSamples, now: EdgeSamples) -> Doubles:
        """Return by how much (3,) the mean difference changed from one frame to the next.

        What moves along the edge moves few samples by much; a change of brightness moves all by the same.  Seen from
        sample to sample it is told apart from that far better than two means are.
        """
        change, _ = _fit(self.basis[:1], now.difference - before.difference, np.minimum(before.trusted, now.trusted))
        mean: Doubles = change[0]
        return mean

    def correct(self, samples: EdgeSamples, max_correction: float) -> Floats:
        """Return the correction for the whole crop, (S, S, 3), to be added to the patch.

        Args:
            samples: From `measure`, or a weighted sum of several.
            max_correction: No channel is changed by more; the three are scaled together, so that the hue stays.
        """
        surface: Doubles = self.grid_basis @ samples.plane
        weight = self.along @ samples.weight
        if weight.min() > 0:
            surface += self.inwards @ ((self.along @ samples.rest) / weight[:, None])
        if np.abs(surface).max() > max_correction:
            surface *= np.minimum(1, max_correction / np.maximum(_largest(surface.T), 1e-9))[:, None]
        grid = surface.astype(np.float32).reshape(GRID, GRID, 3)
        cv = load_cv()
        enlarged: Floats = cv.resize(grid, (self.size_px, self.size_px), interpolation=cv.INTER_LINEAR)
        return enlarged


def make_membrane(mask: Floats) -> Membrane:
    """Prepare the correction for one mask.

    Args:
        mask: (S, S) 0 to 1 with a soft edge, in one piece; its edge is where it passes a half.
    """
    cv, size = load_cv(), mask.shape[0]
    outline = _outline(mask)
    # A hard edge gets a band as well.
    soft = cv.GaussianBlur(mask, (0, 0), size / 150)
    rows, columns = np.nonzero((soft > 0.02) & (soft < 0.98))
    step = max(1, -(-len(rows) // MAX_SAMPLES))
    # Thinned by chance, because a stride would follow the crop's columns.
    chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[: len(rows) // step])
    rows, columns = rows[chosen], columns[chosen]
    soft = soft[rows, columns].astype(np.float64)
    places = np.stack([columns, rows], 1).astype(np.float64)
    unit = (places + 0.5) / size
    cells = (np.stack(np.meshgrid(np.arange(GRID), np.arange(GRID)), -1).reshape(-1, 2) + 0.5) / GRID
    shares = 4 * soft * (1 - soft)
    # Counted from the edge's own middle, slopes leave the mean alone.
    middle = (unit * shares[:, None]).sum(axis=0) / max(float(shares.sum()), 1e-9)
    inside = cv.resize(mask, (GRID, GRID), interpolation=cv.INTER_AREA) > 0.5
    return Membrane(
        size_px=size,
        pixels=rows * size + columns,
        places=places,
        shares=shares.astype(np.float32),
        basis=np.ascontiguousarray(_basis(unit - middle).T, np.float32),
        sections=(_nearest(outline, unit) * SECTIONS).astype(np.int64) % SECTIONS,
        along=_along_kernel(),
        inwards=_inwards(inside, _between_sections(_nearest(outline, cells))),
        grid_basis=_basis(cells - middle),
    )


def _basis(offsets: Doubles) -> Doubles:
    return np.column_stack([np.ones(len(offsets)), offsets])


def _fit(basis: Floats, values: Floats, weights: Floats) -> tuple[Doubles, Floats]:
    """Fit values (3, N) by a basis (M, N) whose first row is 1; return (M, 3) and the weights that outliers have lost."""
    found = np.zeros((len(basis), 3))
    is_used = weights > 0
    if not is_used.any():
        return found, weights
    found[0] = _median(values if is_used.all() else values[:, is_used])
    # Where only a corner of the edge can be seen its slope says nothing about the far side: hold it back.
    hold = np.diag([0.0, *[HOLD] * (len(basis) - 1)])
    robust = weights
    for _ in range(ROUNDS):
        off = _largest(values - found.T.astype(np.float32) @ basis)
        scale = max(OUTLIER_MAD * float(_median(off if is_used.all() else off[is_used])), MIN_OUTLIER)
        off *= off
        robust = np.maximum(1 - off * (1 / MAX_TONE**2), 0) / (1 + off * (1 / scale**2))
        robust *= robust
        robust *= weights
        if not robust.any():
            return np.zeros_like(found), robust
        weighted = basis * robust
        normal = (weighted @ basis.T).astype(np.float64) + hold * float(robust.sum())
        found = np.linalg.solve(normal, (weighted @ values.T).astype(np.float64))
    return found, robust


def _largest(rows: Any) -> Any:
    """Return the largest size in each column of three rows, (3, N) -> (N,); written out, for ``max`` goes down each column."""
    red, green, blue = np.abs(rows)
    return np.maximum(np.maximum(red, green), blue)


def _median(values: Any) -> Any:
    """Return the median of the last axis, from an even choice of `MEDIAN_SAMPLES` to twice as many, for it costs more than the fit."""
    chosen = values[..., :: max(1, values.shape[-1] // MEDIAN_SAMPLES)]
    low, high = (chosen.shape[-1] - 1) // 2, chosen.shape[-1] // 2
    # The same as numpy.median, which takes its time to look for NaN.
    ordered = np.partition(chosen, (low, high), axis=-1)
    return (ordered[..., low] + ordered[..., high]) / 2


def _outline(mask: Floats) -> Doubles:
    """Return the closed line (n, 2) where the mask passes a half, in the unit square."""
    cv = load_cv()
    # Enlarged first, because contours run along whole px.
    large = cv.resize(mask, (512, 512), interpolation=cv.INTER_LINEAR)
    padded = np.pad((large > 0.5).astype(np.uint8), 1)
    lines, _ = cv.findContours(padded, cv.RETR_EXTERNAL, cv.CHAIN_APPROX_NONE)
    longest: NDArray[Any] = max(lines, key=len)
    return (longest[:, 0].astype(np.float64) - 0.5) / 512


def _nearest(outline: Doubles, unit: Doubles) -> Doubles:
    """Return how far along the outline, 0 to 1, the nearest place to each point lies."""
    from scipy.spatial import cKDTree

    lengths = np.hypot(*(np.roll(outline, -1, axis=0) - outline).T)
    reached = np.concatenate([[0.0], np.cumsum(lengths)[:-1]]) / lengths.sum()
    _, index = cKDTree(outline).query(unit)
    return np.asarray(reached[index], np.float64)


def _along_kernel() -> Doubles:
    steps = np.abs(np.subtract.outer(np.arange(SECTIONS), np.arange(SECTIONS)))
    steps = np.minimum(steps, SECTIONS - steps)
    # A sigma of one section; at the far side of the edge 1e-125 is left, which is enough to divide by.
    return np.asarray(np.exp(-(steps**2) / 2), np.float64)


def _between_sections(reached: Doubles) -> Doubles:
    """Return weights (M, K) that interpolate from the middles of the sections to places along the edge."""
    position = reached * SECTIONS - 0.5
    low = np.floor(position).astype(np.int64)
    share = position - low
    weights = np.zeros((len(reached), SECTIONS))
    row = np.arange(len(reached))
    np.add.at(weights, (row, low % SECTIONS), 1 - share)
    np.add.at(weights, (row, (low + 1) % SECTIONS), share)
    return weights


def _inwards(inside: NDArray[np.bool_], edge: Doubles) -> Doubles:
    """Solve Laplace's equation within the mask for each section of the edge.

    Args:
        inside: (GRID, GRID) which cells lie within.
        edge: (GRID * GRID, K) what a cell takes if it lies without.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import splu

    padded = np.pad(inside, 1).ravel()
    width = GRID + 2
    cells = np.flatnonzero(padded)
    number = np.full(padded.size, -1)
    number[cells] = np.arange(len(cells))
    outer = np.pad(edge.reshape(GRID, GRID, -1), ((1, 1), (1, 1), (0, 0)), mode="edge").reshape(padded.size, -1)
    known = np.zeros((len(cells), edge.shape[1]))
    rows, columns = [np.arange(len(cells))], [np.arange(len(cells))]
    for step in (-1, 1, -width, width):
        beside = number[cells + step]
        rows.append(np.flatnonzero(beside >= 0))
        columns.append(beside[beside >= 0])
        known[beside < 0] += outer[(cells + step)[beside < 0]]
    values = np.concatenate([np.full(len(cells), 4.0), np.full(sum(map(len, rows)) - len(cells), -1.0)])
    laplace = coo_array((values, (np.concatenate(rows), np.concatenate(columns)))).tocsc()
    solved = edge.copy()
    solved[inside.ravel()] = splu(laplace).solve(known)
    return solved
