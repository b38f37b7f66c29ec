"""shipped: the weights that come with the engine itself."""

from redub.weights import WeightFile

SYNC = WeightFile(
    name="sync.safetensors",
    sha256="bd57935f50c89bbaeeb07e5627652e53347fbc3d46df27a92de89f07e7d7efbb",
    size_bytes=4944348,
    licence="CC-BY-4.0",
    source="redub's repository; trained on the GRID audiovisual sentence corpus (Cooke, Barker, Cunningham, Shao 2006)",
    package="redub.speech",
)
