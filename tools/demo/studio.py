"""studio: a head, its expression and its pose -> a picture, and where the 68 points are in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import moderngl
import numpy as np
from head import EYES, SHELLS, Head, clothes
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from redub.footage.kit import LANDMARKS

F = NDArray[np.float32]
D = NDArray[np.float64]
HEIGHT, WIDTH = 720, 1280
LARGER = 2  # pictures are drawn this much larger and averaged down
SHADOW_PX = 1024
DISTANCE, TALL = 100.0, 41.0  # of the camera, and of what it sees at the head
KINDS = ("skin", "teeth", "gums", "eye", "cloth", "hair", "collar")
KEY = np.array([0.62, 0.52, 0.72]) / np.linalg.norm([0.62, 0.52, 0.72])

VERTEX = """#version 330
in vec3 place; in vec3 normal; in vec3 rest; in float open; in float growth;
uniform mat4 clip; uniform bool is_hair; uniform float layer_in;
out vec3 vp; out vec3 vn; out vec3 r; out float shade; out float layer; out float grown;
void main() {
  vp = place; vn = normal; r = rest; shade = open; layer = layer_in; grown = growth;
  if (is_hair) {  // a shell of hair: out of the skin, and bent the way it is combed
    shade = growth; float top = clamp((r.y - 7.) / 5., 0., 1.), tall = (.45 + 1.25 * top) * clamp(growth * 1.4, 0., 1.);
    vec3 comb = vec3(.75 * top * sign(r.x + 2.4) + .15 * sign(r.x), -.55 + .35 * top, -.55 - .1 * top);
    vp += tall * ((layer + .01) * normal + layer * layer * (comb - dot(comb, normal) * normal));
  }
  gl_Position = clip * vec4(vp, 1);
}"""
SHADOW_VERTEX = """#version 330
in vec3 place; uniform mat4 clip; void main() { gl_Position = clip * vec4(place, 1); }"""
SHADOW_FRAGMENT = """#version 330
void main() { }"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """How the head is held: angles in radians, shift in the kit's units."""

    yaw: float
    pitch: float
    roll: float
    shift: tuple[float, float]


class Studio:
    """Draws one person before one wall."""

    def __init__(self, head: Head, place: tuple[float, float], seed: int) -> None:
        self.head = head
        self.place = np.array([*place, 0.0])
        self.wall = backdrop(seed)
        self.gl: Any = moderngl.create_context(standalone=True, backend="egl")  # type: ignore[call-arg]
        size = (WIDTH * LARGER, HEIGHT * LARGER)
        self.canvas = self.gl.simple_framebuffer(size, components=4)
        self.depth = self.gl.depth_texture((SHADOW_PX, SHADOW_PX))
        self.from_key = self.gl.framebuffer(depth_attachment=self.depth)
        paint = (Path(__file__).parent / "paint.glsl").read_text(encoding="utf-8")
        self.program = self.gl.program(vertex_shader=VERTEX, fragment_shader=paint)
        self.shadows = self.gl.program(vertex_shader=SHADOW_VERTEX, fragment_shader=SHADOW_FRAGMENT)
        self.lens = _perspective()
        self.key_clip = _sunlight(self.place)
        self._load()
        rest = head.rest[list(LANDMARKS)]
        self._tell("lips", rest[48:60, :2])
        self._tell("brows", np.concatenate([rest[17:22, :2], rest[22:27, :2]]))
        self._tell("rims", rest[[36, 37, 38, 39, 40, 41, 36, 42, 43, 44, 45, 46, 47, 42], :2])
        self._tell("eyes", np.stack([_middle(head.rest[slice(*eye)]) for eye in EYES]))
        self._tell("key", KEY)
        self._tell("camera", np.array([0, 0, DISTANCE]))
        self._tell("key_clip", self.key_clip.T)
        self.program["shadow"].value = 0

    def draw(self, weights: F, pose: Pose) -> tuple[NDArray[np.uint8], F]:
        """Return the picture (H, W, 3) RGB and the points (68, 2) px, whose origin is the middle of the first pixel."""
        places = self._hold(self.head.express(weights), pose)
        head = self.head
        columns = [places, head.normals(places), head.rest, head.shade[:, None], head.growth[:, None]]
        self.vertices.write(np.concatenate(columns, 1).astype("f4").tobytes())
        self._cast()
        self.canvas.use()
        self.gl.enable(self.gl.DEPTH_TEST)
        self.canvas.clear(0, 0, 0, 0)
        self.depth.use(0)
        self._tell("clip", self.lens.T)
        self._tell("lids", places[np.array(LANDMARKS)[[43, 44, 37, 38, 47, 46, 41, 40]], 1].reshape(4, 2).mean(1))
        for name, array in self.arrays.items():
            self.program["kind"].value = KINDS.index(name)
            self.program["is_hair"].value = name == "hair"
            for layer in np.linspace(0, 1, SHELLS) if name == "hair" else (0.0,):
                self.program["layer_in"].value = float(layer)
                array.render()
        return self._develop(), self._project(places[list(LANDMARKS)])

    def _hold(self, places: F, pose: Pose) -> F:
        """Turn the head about the top of the neck; lower down the turn fades, so the shoulders stay where they are."""
        (cy, sy), (cx, sx), (cz, sz) = ((np.cos(a), np.sin(a)) for a in (pose.yaw, pose.pitch, pose.roll))
        roll = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
        turn = roll @ np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]]) @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        share = np.clip((self.head.rest[:, 1] + 16) / 7.5, 0, 1)[:, None]
        share = share * share * (3 - 2 * share)
        pivot = np.array([0.0, -6.0, -1.5])
        turned = (places - pivot) @ turn.T + pivot + [*pose.shift, 0]
        return np.asarray(places * (1 - share) + turned * share + self.place, np.float32)

    def _load(self) -> None:
        """Hand the triangles over: clothes for good, the head's vertices to be written anew for each picture."""
        form, names = "3f 3f 3f 1f 1f", ("place", "normal", "rest", "open", "growth")
        self.vertices = self.gl.buffer(reserve=len(self.head.rest) * 44)
        self.arrays: dict[str, Any] = {}
        self.casting: list[Any] = []
        parts = {name: (self.vertices, corners) for name, corners in self.head.parts.items()}
        for name, mesh in clothes().items():
            places = mesh.places + np.float32(self.place)
            columns = [places, _normals(places, mesh.corners), mesh.rest, mesh.shade[:, None], 0 * mesh.shade[:, None]]
            parts[name] = (self.gl.buffer(np.concatenate(columns, 1).astype("f4").tobytes()), mesh.corners)
        parts["hair"] = (self.vertices, self.head.scalp)
        for name, (vertices, corners) in parts.items():
            order = self.gl.buffer(corners.astype("i4").tobytes())
            self.arrays[name] = self.gl.vertex_array(self.program, [(vertices, form, *names)], order)
            if name not in ("eye", "hair"):
                self.casting.append(self.gl.vertex_array(self.shadows, [(vertices, "3f 32x", "place")], order))

    def _cast(self) -> None:
        self.from_key.use()
        self.from_key.clear()
        self.gl.enable(self.gl.DEPTH_TEST)
        self.shadows["clip"].write(self.key_clip.T.astype("f4").tobytes())
        for array in self.casting:
            array.render()

    def _develop(self) -> NDArray[np.uint8]:
        raw = np.frombuffer(self.canvas.read(components=4), np.uint8).reshape(HEIGHT, LARGER, WIDTH, LARGER, 4)
        small = (raw[..., :3].astype(np.float32) * (raw[..., 3:] > 0)).mean((1, 3))[::-1]
        solid = (raw[..., 3:] > 0).mean((1, 3), dtype=np.float32)[::-1]
        return np.asarray(np.clip(small + self.wall * (1 - solid) + 0.5, 0, 255), np.uint8)

    def _project(self, places: F) -> F:
        seen = np.concatenate([places, np.ones((len(places), 1))], 1) @ self.lens.T
        unit = seen[:, :2] / seen[:, 3:]
        return np.asarray((unit * [1, -1] + 1) / 2 * [WIDTH, HEIGHT] - 0.5, np.float32)

    def _tell(self, name: str, value: NDArray[Any]) -> None:
        self.program[name].write(np.ascontiguousarray(value, "f4").tobytes())


def _middle(ball: F) -> F:
    """Return the middle of an eyeball; its cornea stands out in front, so the other five sides say where it is."""
    low, high = ball.min(0), ball.max(0)
    return np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2] + (high[0] - low[0]) / 2], np.float32)


def _normals(places: F, corners: NDArray[np.int32]) -> F:
    a, b, c = (places[corners[:, i]] for i in range(3))
    each, n = np.cross(b - a, c - a), np.zeros_like(places)
    for i in range(3):
        np.add.at(n, corners[:, i], each)
    return np.asarray(n / (np.linalg.norm(n, axis=1, keepdims=True) + 1e-9), np.float32)


def _perspective() -> D:
    near, far, f = 20.0, 300.0, 2 * DISTANCE / TALL
    back = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, -DISTANCE], [0, 0, 0, 1.0]])
    lens = np.array(
        [[f * HEIGHT / WIDTH, 0, 0, 0], [0, f, 0, 0], [0, 0, (near + far) / (near - far), 2 * near * far / (near - far)], [0, 0, -1, 0.0]]
    )
    return np.asarray(lens @ back)


def _sunlight(at: D) -> D:
    """Return the key light's view: parallel, wide enough for head and shoulders."""
    right = np.cross([0, 1.0, 0], KEY)
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(KEY, right), -KEY])
    half = np.array([34.0, 34.0, 60.0])
    out = np.eye(4)
    out[:3, :3] = axes / half[:, None]
    out[:3, 3] = -out[:3, :3] @ (at + np.array([0, -6, 0]))
    return out


def backdrop(seed: int) -> F:
    """Return a wall (H, W, 3), out of focus: warm paint, light from one side, a picture, and a shelf with a few books."""
    chance = np.random.default_rng(seed)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / np.array([HEIGHT, WIDTH])[:, None, None]
    light = 0.74 + 0.30 * np.exp(-(((x - 0.95) / 0.75) ** 2) - ((y - 0.15) / 0.95) ** 2) - 0.10 * y
    wall = np.array([206, 200, 188]) * light[..., None]
    picture = Image.fromarray(np.asarray(np.clip(wall, 0, 255), np.uint8))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((96, 84, 396, 300), fill=(92, 74, 58))
    pen.rectangle((108, 96, 384, 288), fill=(226, 220, 206))
    pen.rectangle((134, 122, 358, 262), fill=(118, 158, 176))
    pen.polygon([(134, 220), (196, 168), (248, 214), (302, 178), (358, 224), (358, 262), (134, 262)], fill=(74, 104, 98))
    pen.ellipse((300, 134, 330, 164), fill=(238, 208, 148))
    pen.rectangle((40, 560, 452, 576), fill=(110, 84, 60))
    left = 70.0
    while left < 330:
        wide, tall = chance.uniform(16, 34), chance.uniform(92, 150)
        shade = np.array([(150, 70, 58), (60, 92, 116), (196, 160, 90), (84, 112, 84), (120, 96, 128), (206, 200, 186)][chance.integers(6)])
        pen.rectangle((left, 560 - tall, left + wide - 2, 560), fill=tuple(int(v) for v in shade * chance.uniform(0.75, 1.0)))
        left += wide
    pen.ellipse((366, 494, 424, 560), fill=(168, 120, 92))
    for _ in range(26):
        a, far = chance.uniform(-2.6, -0.5), chance.uniform(50, 110)
        tip = (395 + far * np.cos(a), 505 + far * np.sin(a))
        pen.line((395, 505, *tip), fill=(70, int(chance.uniform(105, 140)), 72), width=9)
    soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(7)), np.float32) * np.clip(light, 0.7, 1.15)[..., None] ** 0.35
    # A trace of grain keeps the gradient from showing its steps.
    return np.asarray(soft + chance.normal(0, 1.0, (HEIGHT, WIDTH, 1)), np.float32)
