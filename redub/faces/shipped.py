"""shipped: the weights of redub's own landmark network, which come with the engine."""

from redub.weights import WeightFile

LANDMARKS = WeightFile(
    name="landmarks.safetensors",
    sha256="12169dbda469726d3a998561b5f8a1bf0bc5a291c45e2791a2435af555ea0b34",
    size_bytes=738544,
    licence="CC0-1.0",
    source="redub's repository; trained on heads that redub rendered from the face kit ICT-FaceKit (MIT licence)",
    package="redub.faces",
)
