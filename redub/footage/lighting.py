"""lighting: lamps and triangles -> how much light each of them gets."""

from __future__ import annotations

import numpy as np

from redub.faces.cv import load_cv
from redub.footage.hair import Hair
from redub.footage.mesh import Smoother
from redub.footage.raster import runs
from redub.footage.scene import Light
from redub.types import Bools, Floats, Ints


def illuminate(light: Light, normal: Floats, lit: Floats, sky: Floats, soft: Floats) -> Floats:
    """Return the light (Q, 3) on triangles, and in a fourth column how strongly they mirror the lamps.

    Args:
        light: The lamps.
        normal: (Q, 3).
        lit: (Q,) how much of the key light reaches each.
        sky: (Q,) how open each is to what comes from all around.
        soft: (3,) how far light of each colour creeps around a bend.
    """
    facing = normal @ np.stack([light.key, light.fill], 1)
    glow = np.empty((len(normal), 4), np.float32)
    for channel, bend in enumerate(soft):
        crept = np.maximum((facing + bend) / (1 + bend), 0)
        glow[:, channel] = crept[:, 0] * (lit * (1 - 0.3 * bend) + 0.3 * bend) * light.key_colour[channel]
        glow[:, channel] += crept[:, 1] * light.fill_colour[channel] * (0.4 + 0.6 * sky)
        around = light.ambient[0, channel] + normal @ light.ambient[1:, channel]
        glow[:, channel] += np.maximum(around, 0.02) * sky * 0.55
    glow[:, 3] = power(normal @ between(light.key, 1), 5) * lit * float(light.key_colour.mean()) * 0.55
    glow[:, 3] += power(normal @ between(light.fill, 1), 4) * float(light.fill_colour.mean()) * 0.3
    return glow


def light_hair(light: Light, hair: Hair | None, places: Floats, curl: float) -> Floats:
    """Return the light (Q, 4) on hair: dark at the roots, with a shine across the strands.

    Args:
        light: From where it comes.
        hair: Whose triangles.
        places: (V, 3) of its vertices as the head is mostly held.
        curl: 0 to 1; curls shine less.
    """
    if hair is None:
        return np.zeros((0, 4), np.float32)
    normal = Smoother(hair.corners, len(places)).triangle_normals(places)
    all_of_it = np.ones(len(normal), np.float32)
    glow = illuminate(light, normal, all_of_it, all_of_it, np.full(3, 0.35, np.float32))[:, :3]
    up = np.array([0, 1, 0], np.float32)
    strand = up - (normal @ up)[:, None] * normal
    strand /= np.linalg.norm(strand, axis=1, keepdims=True) + 1e-6
    along = strand @ between(light.key, 1)
    shine = power(np.sqrt(np.clip(1 - along * along, 0, 1)), 5) * np.clip(normal @ light.key + 0.2, 0, 1)
    share = (0.45 + 0.75 * hair.layer) * 1.25 * (1 + (1.2 - 0.8 * curl) * shine)
    return np.concatenate([glow * share[:, None], np.zeros((len(glow), 1))], 1).astype(np.float32)


def cast(light: Light, places: Floats, corners: Ints, is_skin: Bools, smoother: Smoother) -> Floats:
    """Return how much of the key light reaches each triangle (Q,), 0 to 1, past the others.

    Args:
        light: From where it comes.
        places: (V, 3).
        corners: (3, Q).
        is_skin: (Q,) which triangles cast and take a shadow.
        smoother: Of the triangles.
    """
    side = 200
    right = np.cross([0, 1.0, 0], light.key)
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(light.key, right), light.key]).astype(np.float32)
    x, y, z = axes @ places.T
    scale = side / 34
    x, y = x * scale + side / 2, side / 2 - (y + 1) * scale
    cx, cy = x[corners], y[corners]
    chosen = np.flatnonzero(facing(cx, cy) & is_skin)
    depth = z[corners[:, chosen]].mean(0)
    order = np.argsort(depth, kind="stable")
    pixel, number = runs(cx[:, chosen[order]], cy[:, chosen[order]], (side, side))
    nearest = np.full(side * side, -40, np.float32)
    nearest[pixel] = depth[order][number]
    nearest = load_cv().GaussianBlur(nearest.reshape(side, side), (0, 0), 0.8).reshape(-1)
    mx, my, mz = cx.mean(0), cy.mean(0), z[corners].mean(0)
    at = np.clip(np.rint(my), 0, side - 1).astype(int) * side + np.clip(np.rint(mx), 0, side - 1).astype(int)
    lit = np.clip(1 - (nearest[at] - mz - 0.25) / 0.5, 0, 1)
    return smoother.spread(np.where(is_skin, lit, 1).astype(np.float32), 3)


def facing(cx: Floats, cy: Floats) -> Bools:
    """Say which triangles turn their front to the camera, by their corners (3, Q) in px."""
    return np.asarray((cx[1] - cx[0]) * (cy[2] - cy[0]) - (cy[1] - cy[0]) * (cx[2] - cx[0]) < 0)


def power(value: Floats, doublings: int) -> Floats:
    """Return a positive value to the power of two to so many, and 0 for a negative one."""
    value = np.maximum(value, 0)
    for _ in range(doublings):
        value = value * value
    return value


def between(lamp: Floats, towards: float) -> Floats:
    """Return the direction half way between a lamp's and the camera's."""
    half = lamp + np.array([0, 0, towards], np.float32)
    return np.asarray(half / np.linalg.norm(half), np.float32)
