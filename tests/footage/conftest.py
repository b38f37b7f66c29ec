"""What tests of the footage maker stand on: the face kit and espeak-ng, neither of which is part of the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from redub.errors import RedubError

KIT = Path(__file__).resolve().parents[3] / "shared" / "facekit"


@pytest.fixture(scope="session")
def facekit() -> Path:
    if not (KIT / "ict_facekit_light.npz").is_file():
        pytest.skip("no face kit: ../shared/facekit is not there")
    return KIT


@pytest.fixture(scope="session")
def espeak() -> None:
    from redub.footage.espeak import load_espeak

    try:
        load_espeak()
    except RedubError as error:
        pytest.skip(f"no voices: {error.message}")
