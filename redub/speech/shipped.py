"""shipped: the weights that come with the engine itself."""

from redub.weights import WeightFile

SYNC = WeightFile(
    name="sync.safetensors",
    sha256="38436c60928907cc71f911acc7909b24b39c49956672d5b7ab4453127a0f4175",
    size_bytes=3183074,
    licence="CC-BY-4.0",
    source="redub's repository; trained on the GRID audiovisual sentence corpus (Cooke, Barker, Cunningham, Shao 2006)",
    package="redub.speech",
)
