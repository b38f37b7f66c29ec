"""shipped: the weights of redub's own landmark network, which come with the engine."""

from redub.weights import WeightFile

LANDMARKS = WeightFile(
    name="landmarks.safetensors",
    sha256="617cb5565ca89b21940389c188ecd07b64a3378eb8344f8a4951de6eaca021cc",
    size_bytes=737912,
    licence="CC0-1.0",
    source="redub's repository; trained on heads that redub rendered from the face kit ICT-FaceKit (MIT licence)",
    package="redub.faces",
)
