"""drawing: a person in a scene, their expressions and poses -> pictures, and where the 68 points are in each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from redub.faces.cv import load_cv
from redub.footage import atlas
from redub.footage.chart import draw_chart
from redub.footage.clothes import Clothes
from redub.footage.hair import grow, grows
from redub.footage.kit import BEHIND, EYE, GUMS, LOWER_TEETH, SKIN, THROAT, UPPER_TEETH, Kit
from redub.footage.lighting import between, cast, facing, illuminate, light_hair
from redub.footage.mesh import Smoother, openness
from redub.footage.outline import draw_outline
from redub.footage.person import Person
from redub.footage.raster import Whole, runs
from redub.footage.scene import Camera, Light, tone_curve
from redub.footage.skin import paint_atlas
from redub.types import RGB, Doubles, Floats, Ints

FINER = 2
"""Pictures are drawn this much larger and averaged down."""
CHUNK = 32
SOFT = np.array([0.30, 0.14, 0.09], np.float32)
"""How far light creeps around a bend of skin: red goes farthest."""
PIVOT = np.array([0.0, -6.0, -1.5], np.float32)
"""About which a head turns."""
_THROAT_COLOUR = np.array([0.5, 0.22, 0.2], np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Poses:
    """How a head is held, frame by frame: (T,) each."""

    yaw: Doubles
    """rad; positive turns the nose to the right of the picture."""
    pitch: Doubles
    """rad; positive nods down."""
    roll: Doubles
    across: Doubles
    """In the kit's units."""
    up: Doubles
    sway: Doubles
    """(T, 2) px, of the whole picture."""


@cache
def _prepare(kit_sha256: str) -> tuple[Smoother, Floats]:
    kit = _KITS[kit_sha256]
    smoother = Smoother(kit.corners, len(kit.neutral))
    return smoother, openness(kit.neutral, smoother)


_KITS: dict[str, Kit] = {}


class Artist:
    """Draws one person in one scene.

    Args:
        kit: Shapes.
        person: Who.
        light: From where it comes.
        camera: From where one looks.
        wall: (S, S, 3) what stands behind, linear RGB.
        clothes: What is worn.
        held: (yaw, pitch) rad: how the head is held most of the time, for shadows.
    """

    def __init__(  # noqa: PLR0913  each of them is the caller's to say
        self, kit: Kit, person: Person, light: Light, camera: Camera, wall: Floats, clothes: Clothes, held: tuple[float, float]
    ) -> None:
        _KITS[kit.sha256] = kit
        self.kit, self.person, self.light, self.camera = kit, person, light, camera
        self.size = len(wall)
        whole, sky = _prepare(kit.sha256)
        self.shape = _shape(kit, person)
        self.share = _turning(kit.neutral)
        self.growth = grows(kit, person)
        self.hair = grow(kit, person, self.shape, self.growth, whole.vertex_normals(self.shape))
        chosen = self._choose(whole, held)
        self.corners, self.part, self.chart = kit.corners[:, chosen], kit.part[chosen], np.ascontiguousarray(kit.places[:, :, chosen])
        self.smoother = Smoother(self.corners, len(kit.neutral))
        self.sky = sky[self.corners].mean(0)
        self.behind = BEHIND[self.part]
        self.paint = paint_atlas(person, draw_chart(kit)).view(np.uint32).reshape(-1)
        self.tones = tone_curve(camera, light, person.skin)
        self.linear = ((np.arange(256) / 255) ** 2).astype(np.float32)
        grain = np.random.default_rng(person.paint_seed + 3).standard_normal((2 * self.size, 2 * self.size, 3), np.float32)
        self.grain = np.rint(grain * np.float32(camera.noise)).astype(np.int16)
        self.lids = kit.landmarks[[43, 44, 37, 38, 47, 46, 41, 40]]
        self.eye_tri = self.part == EYE
        self.is_mouth = np.isin(self.part, (THROAT, UPPER_TEETH, LOWER_TEETH, GUMS))
        self.filter = self._filter()
        self.outline = draw_outline(kit)
        self.eye_side = (kit.neutral[self.corners[0], 0] < 0).astype(np.intp)
        self.eyes = [np.unique(self.corners[:, self.eye_tri & (self.eye_side == number)]) for number in range(2)]
        places = self._hold(self.shape, rotation(*held, 0), np.zeros(3, np.float32), self.share)
        self.shadow = cast(light, places, self.corners, self.part == SKIN, self.smoother)
        hair = self._hold(self.hair.places, rotation(*held, 0), np.zeros(3, np.float32), None) if self.hair is not None else places
        self.hair_light = light_hair(light, self.hair, hair, person.curl)
        side = FINER * self.size
        down, across = np.mgrid[0:side, 0:side].astype(np.float32).reshape(2, -1)
        self.across, self.down = across, down
        self.still, self.still_depth = self._draw_still(clothes, wall)

    def draw(self, weights: Floats, poses: Poses, seed: int) -> Iterator[tuple[RGB, Floats, Floats]]:
        """Yield the picture (S, S, 3), the points (68, 2) px and the edge of the face as it is seen (17, 2) px, of each frame.

        Args:
            weights: (T, E) of the expressions.
            poses: T of them.
            seed: Of the sensor's noise.
        """
        chance = np.random.default_rng(seed)
        for begin in range(0, len(weights), CHUNK):
            some = weights[begin : begin + CHUNK]
            shapes = (self.shape.reshape(-1) + some @ self.kit.expressions).reshape(len(some), -1, 3)
            for index, shape in enumerate(shapes, begin):
                yield self._frame(shape, poses, index, chance)

    def _frame(self, shape: Floats, poses: Poses, index: int, chance: np.random.Generator) -> tuple[RGB, Floats, Floats]:
        turn = rotation(poses.yaw[index], poses.pitch[index], poses.roll[index])
        shift = np.array([poses.across[index], poses.up[index], 0], np.float32)
        gaps = self._mouth_gap(shape)
        places = self._hold(shape, turn, shift, self.share)
        canvas, depth = self.still.copy(), self.still_depth.copy()
        self._draw_head(canvas, depth, places, gaps)
        if self.hair is not None:
            self._draw_hair(canvas, depth, self._hold(self.hair.places, turn, shift, None))
        picture, sway = self._develop(canvas, poses.sway[index], chance), poses.sway[index]
        points = self._to_picture(places[self.kit.landmarks]) + sway
        edge = self.outline.points(self._to_picture(self.outline.places(places)), turn) + sway
        return picture, points.astype(np.float32), edge.astype(np.float32)

    def _hold(self, places: Floats, turn: Floats, shift: Floats, share: Floats | None) -> Floats:
        """Turn the head about the top of the neck; lower down the turn fades, so the shoulders stay where they are."""
        turned = (places - PIVOT) @ turn.T + (PIVOT + shift)
        return turned if share is None else np.asarray(places + (turned - places) * share, np.float32)

    def _project(self, places: Floats) -> tuple[Floats, Floats, Floats]:
        """Return x and y (V,) in px of the finer picture, and the depth (V,), which grows towards the camera."""
        up, away = float(np.cos(self.camera.tilt)), float(np.sin(self.camera.tilt))
        y = places[:, 1] * up - places[:, 2] * away
        z = places[:, 1] * away + places[:, 2] * up
        scale = (FINER * self.camera.zoom * self.camera.distance) / (self.camera.distance - z)
        x = scale * places[:, 0] + np.float32(FINER * self.size * self.camera.middle[0] - 0.5)
        y = np.float32(FINER * self.size * self.camera.middle[1] - 0.5) - scale * (y - np.float32(1.2))
        return x.astype(np.float32), y.astype(np.float32), z.astype(np.float32)

    def _to_picture(self, places: Floats) -> Floats:
        x, y, _ = self._project(places)
        return np.asarray((np.stack([x, y], -1) - (FINER - 1) / 2) / FINER, np.float32)

    def _draw_head(self, canvas: Floats, far: Floats, places: Floats, gap: float) -> None:
        side, corners = FINER * self.size, self.corners
        x, y, z = self._project(places)
        cx, cy = x[corners], y[corners]
        front = facing(cx, cy)
        # Of the mouth's inside only what lies between the lips can be seen, and nothing where they meet.
        lips = self.kit.landmarks[48:60]
        low, high, margin = y[lips].min(), y[lips].max(), FINER * self.camera.zoom * 0.3
        between_lips = (cy[0] > low - margin) & (cy[0] < high + margin) & (cx[0] > x[lips].min()) & (cx[0] < x[lips].max())
        front &= ~self.is_mouth | (between_lips & (gap >= 0.02))
        chosen = np.flatnonzero(front)
        a, b, c = corners[:, chosen]
        depth = (z[a] + z[b] + z[c]) / 3
        order = np.argsort(depth - self.behind[chosen], kind="stable")
        chosen, depth = chosen[order], depth[order]
        cx, cy = cx[:, chosen], cy[:, chosen]
        pixel, number = runs(cx, cy, (side, side))
        seen = np.full(side * side, -1, np.int32)
        seen[pixel] = number
        drawn = np.flatnonzero(seen >= 0)
        number = seen[drawn].astype(np.intp)
        depth = depth[number]
        kept = np.flatnonzero(depth > far[drawn])
        drawn, number = drawn[kept], number[kept]
        far[drawn] = depth[kept]
        light = self._shade(places, chosen, gap).take(number, axis=0)
        rgba = self._look_up(cx, cy, self.chart[:, :, chosen], drawn, number)
        light *= load_cv().LUT(rgba, self.linear)
        light += light[:, 3:]
        _put(canvas, drawn, light)
        self._glint(canvas, places, seen, chosen)

    def _look_up(self, cx: Floats, cy: Floats, chart: Floats, drawn: Ints, number: Ints, *, repeats: bool = False) -> RGB:
        """Return the atlas' colours and gloss (N, 4) at pixels, each of which lies in one of the triangles."""
        ax, ay, bx, by = cx[1] - cx[0], cy[1] - cy[0], cx[2] - cx[0], cy[2] - cy[0]
        area = ax * by - ay * bx
        inverse = np.where(np.abs(area) > 1e-6, 1 / np.where(area == 0, 1, area), 0)
        x, y = self.across.take(drawn), self.down.take(drawn)
        result = []
        for value in chart:
            p, q = value[1] - value[0], value[2] - value[0]
            along, over = (p * by - q * ay) * inverse, (q * ax - p * bx) * inverse
            found = along.take(number) * x
            found += over.take(number) * y
            found += (value[0] - along * cx[0] - over * cy[0]).take(number)
            result.append(found.astype(np.int32))
        across, down = result
        if repeats:
            left, top, side = atlas.STRANDS
            across, down = across % side + left, down % side + top
        down *= np.int32(atlas.WIDTH)
        down += across
        colours: RGB = self.paint.take(down, mode="clip").view(np.uint8).reshape(-1, 4)
        return colours

    def _shade(self, places: Floats, chosen: Ints, gap: float) -> Floats:
        """Return the light (Q, 3) that falls on each chosen triangle, and in a fourth column how strongly it mirrors the lamps."""
        normal = self.smoother.triangle_normals(places).take(chosen, axis=0)
        light = illuminate(self.light, normal, self.shadow.take(chosen), self.sky.take(chosen), SOFT)
        inside = np.flatnonzero(self.is_mouth.take(chosen))
        light[inside, :3] = light[inside, :3] * 0.6 + 0.35
        light[inside] *= min(0.14 + 0.55 * gap, 0.85)
        light *= self.filter.take(chosen, axis=0)
        self._shade_eyes(light, places, chosen)
        return light

    def _filter(self) -> Floats:
        """Return what share of the light each triangle (Q, 4) gets whatever happens: little in the mouth, and beneath hair."""
        scalp = (self.growth[self.corners].mean(0) * (self.part == SKIN))[:, None]
        roots = np.minimum(np.sqrt(self.person.hair / self.person.skin), 1)
        share = np.ones((len(self.part), 4), np.float32)
        share[:, :3] = 1 + (roots - 1) * np.clip(scalp * 1.6 - 0.2, 0, 0.85)
        share[:, 3] = 1 - 0.8 * scalp[:, 0]
        rest = self.kit.neutral[self.corners].mean(0)
        deep = np.clip((rest[:, 2] - 7.2) / 3.2, 0.02, 1) * np.clip((2.7 - np.abs(rest[:, 0])) / 1.6, 0.05, 1)
        deep *= np.select([self.part == THROAT, self.part == GUMS], [0.25, 0.55], 1.0)
        share = np.where(self.is_mouth[:, None], deep[:, None] * [1, 1, 1, 0.4], share)
        share[self.part == THROAT, :3] *= _THROAT_COLOUR
        return np.asarray(share, np.float32)

    def _shade_eyes(self, light: Floats, places: Floats, chosen: Ints) -> None:
        """Let the upper lid's shadow fall on the eye, and light it as the wet ball that it is."""
        is_eye = np.flatnonzero(self.eye_tri[chosen])
        at = chosen[is_eye]
        if not len(at):
            return
        y = places[self.corners[:, at], 1].mean(0)
        lids = places[self.lids, 1].reshape(4, 2).mean(1)
        side = self.eye_side[at]
        top, low = lids[side], lids[side + 2]
        cover = np.clip((top - y + 0.05) / 0.55, 0, 1) * np.clip((y - low + 0.25) / 0.35, 0, 1)
        glow = light[is_eye, :3]
        light[is_eye, :3] = (glow * 0.55 + 0.25 * glow.mean(0)) * (0.35 + 0.65 * cover)[:, None]
        light[is_eye, 3] = 0

    def _glint(self, canvas: Floats, places: Floats, seen: Whole, chosen: Ints) -> None:
        """Put the lamp's reflection on each cornea, where that is not covered."""
        side = FINER * self.size
        half = between(self.light.key, 1.3)
        for number in range(2):
            middle = places[self.eyes[number]].mean(0) - np.array([0, 0, 0.6], np.float32)
            x, y, _ = self._project((middle + 1.15 * half)[None])
            radius = max(1.0, 0.11 * FINER * self.camera.zoom)
            left, top, reach = round(float(x[0])), round(float(y[0])), int(radius) + 1
            if not (reach < left < side - reach - 1 and reach < top < side - reach - 1):
                continue
            across, down = np.meshgrid(np.arange(left - reach, left + reach + 1), np.arange(top - reach, top + reach + 1))
            flat = (down * side + across).reshape(-1)
            strong = np.clip(radius + 0.5 - np.hypot(across - x[0], down - y[0]).reshape(-1), 0, 1)
            owner = seen[flat]
            is_eye = (owner >= 0) & self.eye_tri[chosen[np.maximum(owner, 0)]]
            canvas[flat[is_eye], :3] += strong[is_eye, None] * (0.35 * self.light.key_colour + 0.1)

    def _draw_hair(self, canvas: Floats, far: Floats, places: Floats) -> None:
        hair, side = self.hair, FINER * self.size
        if hair is None:
            return
        x, y, z = self._project(places)
        cx, cy = x[hair.corners], y[hair.corners]
        chosen = np.flatnonzero(facing(cx, cy))
        a, b, c = hair.corners[:, chosen]
        depth = (z[a] + z[b] + z[c]) / 3
        order = np.argsort(depth, kind="stable")
        chosen, depth = chosen[order], depth[order]
        cx, cy = cx[:, chosen], cy[:, chosen]
        pixel, number = runs(cx, cy, (side, side))
        kept = np.flatnonzero(depth[number] > far[pixel] - 0.15)
        pixel, number = pixel[kept], number[kept]
        rgba = self._look_up(cx, cy, hair.chart[:, :, chosen], pixel, number, repeats=True)
        layer, density = hair.layer[chosen], hair.density[chosen]
        least = (layer + 0.15 * (density < 0.3)) / np.minimum(density * 1.5 + 1e-6, 1) * 255
        # At the skin thick hair has no holes.
        least[(layer < 0.1) & (density > 0.5)] = 0
        kept = np.flatnonzero(rgba[:, 3] >= least[number])
        pixel, number = pixel[kept], number[kept]
        # The nearest strand is the last in the order of painting.
        light = self.hair_light.take(chosen, axis=0).take(number, axis=0)
        light *= load_cv().LUT(rgba.take(kept, axis=0), self.linear)
        _put(canvas, pixel, light)
        far[pixel] = depth[number]

    def _draw_still(self, clothes: Clothes, wall: Floats) -> tuple[Floats, Floats]:
        """Return wall and clothes (S S, 4) and their depth (S S,) on the finer picture: they are drawn once."""
        side = FINER * self.size
        x, y, z = self._project(clothes.places)
        cx, cy = x[clothes.corners], y[clothes.corners]
        chosen = np.flatnonzero(facing(cx, cy))
        depth = z[clothes.corners[:, chosen]].mean(0)
        order = np.argsort(depth, kind="stable")
        chosen, depth = chosen[order], depth[order]
        pixel, number = runs(cx[:, chosen], cy[:, chosen], (side, side))
        normal = Smoother(clothes.corners, len(clothes.places)).triangle_normals(clothes.places)[chosen]
        glow = illuminate(self.light, normal, np.ones(len(chosen), np.float32), clothes.shade[chosen], np.full(3, 0.12, np.float32))[:, :3]
        still = np.zeros((side * side, 4), np.float32)
        still[:, :3] = np.repeat(np.repeat(wall, FINER, 0), FINER, 1).reshape(-1, 3)
        far = np.full(side * side, -1e9, np.float32)
        still[pixel, :3] = (clothes.colour[chosen] * glow * clothes.shade[chosen, None])[number]
        far[pixel] = depth[number]
        return still, far

    def _choose(self, whole: Smoother, held: tuple[float, float]) -> Ints:
        """Return the triangles that may be seen: not the far side, nor what clothes or thick hair cover."""
        kit = self.kit
        places = self._hold(self.shape, rotation(*held, 0), np.zeros(3, np.float32), self.share)
        normal = whole.triangle_normals(places)
        rest = kit.neutral[kit.corners].mean(0)
        towards = np.array([0, 0, self.camera.distance], np.float32) - places[kit.corners].mean(0)
        towards /= np.linalg.norm(towards, axis=1, keepdims=True)
        seen = (normal * towards).sum(1) > np.select([kit.part == SKIN, kit.part == EYE], [-0.3, -0.6], -0.15)
        front = np.clip((rest[:, 2] + 1) / 5, 0, 1)
        seen &= (rest[:, 1] > -13.2 - 3.4 * front * front * (3 - 2 * front)) & ((np.abs(rest[:, 0]) < 6.8) | (rest[:, 1] > -9.0))
        if self.hair is not None:
            seen &= (self.growth[kit.corners].min(0) < 0.95) | (kit.part != SKIN)
        return np.flatnonzero(seen)

    def _mouth_gap(self, shape: Floats) -> float:
        """Return how far the inner lips stand apart, in the kit's units."""
        inner = shape[self.kit.landmarks[[61, 62, 63, 67, 66, 65]]]
        return float(np.linalg.norm(inner[:3] - inner[3:], axis=1).mean())

    def _develop(self, canvas: Floats, sway: Doubles, chance: np.random.Generator) -> RGB:
        cv, size, camera = load_cv(), self.size, self.camera
        side = FINER * size
        light = cv.resize(canvas.reshape(side, side, 4), (size, size), interpolation=cv.INTER_AREA)
        light = cv.cvtColor(light, cv.COLOR_RGBA2RGB)
        if sway.any():
            move = np.array([[1, 0, sway[0]], [0, 1, sway[1]]])
            light = cv.warpAffine(light, move, (size, size), flags=cv.INTER_LINEAR, borderMode=cv.BORDER_REFLECT)
        if camera.blur_px:
            light = cv.GaussianBlur(light, (0, 0), camera.blur_px)
        light *= np.float32(1023.75)
        # Each channel has a table of its own, and the three take turns.
        steps = np.minimum(light, 4095, out=light).reshape(-1, 3).astype(np.intp)
        steps *= 3
        steps += np.arange(3)
        shown = self.tones.take(steps.reshape(-1), mode="clip").reshape(size, size, 3)
        top, left = chance.integers(0, size, 2)
        return cv.add(shown, self.grain[top : top + size, left : left + size], dtype=cv.CV_8U)  # type: ignore[no-any-return]


def _put(canvas: Floats, pixels: Ints, colours: Floats) -> None:
    """Write colours (N, 4) into a canvas (P, 4): as one number of sixteen bytes each, which is three times as fast."""
    canvas.view(np.complex128).reshape(-1)[pixels] = np.ascontiguousarray(colours).view(np.complex128).reshape(-1)


def rotation(yaw: float, pitch: float, roll: float) -> Floats:
    """Return the matrix (3, 3) that turns by yaw, then pitch, then roll, all in radians."""
    (cy, sy), (cx, sx), (cz, sz) = ((np.cos(a), np.sin(a)) for a in (yaw, pitch, roll))
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(about_z @ [[1, 0, 0], [0, cx, -sx], [0, sx, cx]] @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]), np.float32)


def _shape(kit: Kit, person: Person) -> Floats:
    """Return the resting head (V, 3); teeth and gums stand a little farther back than the shapes put them."""
    shape = kit.neutral + np.tensordot(person.shape, kit.identities, 1)
    for part, push in ((UPPER_TEETH, (0, -0.24, -0.15)), (LOWER_TEETH, (0, -0.12, -0.35)), (GUMS, (0, -0.15, -0.45))):
        shape[np.unique(kit.corners[:, kit.part == part])] += np.array(push, np.float32)
    return np.asarray(shape, np.float32)


def _turning(rest: Floats) -> Floats:
    share = np.clip((rest[:, 1:2] + 16) / 7.5, 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)
