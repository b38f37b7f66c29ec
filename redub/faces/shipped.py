"""shipped: the weights of redub's own landmark network, which come with the engine."""

from redub.weights import WeightFile

LANDMARKS = WeightFile(
    name="landmarks.safetensors",
    sha256="b13def838d39b4568ed98602e0d43c2cad117fbed616a3ca53dc8d7c0c47446a",
    size_bytes=738544,
    licence="CC0-1.0",
    source="redub's repository; trained on heads that redub rendered from the face kit ICT-FaceKit (MIT licence)",
    package="redub.faces",
)
