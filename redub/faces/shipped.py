"""shipped: the weights of redub's own landmark network, which come with the engine."""

from redub.weights import WeightFile

LANDMARKS = WeightFile(
    name="landmarks.safetensors",
    sha256="0" * 64,
    size_bytes=1,
    licence="CC0-1.0",
    source="redub's repository; trained on heads that redub rendered from the face kit ICT-FaceKit (MIT licence)",
    package="redub.faces",
)
