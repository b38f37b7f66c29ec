"""What Speech2Vid declares, and that it says honestly what it cannot do yet."""

import pytest

from redub.errors import PluginError
from redub.plugin import Blend, manager
from redub.testing import GeneratorConformance

pytest.importorskip("redub_speech2vid", reason="install it:  pip install ./plugins/speech2vid")


class TestSpeech2Vid(GeneratorConformance):
    name = "speech2vid"


def test_the_declaration_is_the_papers():
    info = manager.find("speech2vid").info
    mode = info.modes[Blend.POISSON]
    # The crop loses one px at the top and left, and two at the bottom and right.
    assert mode.input_px - mode.output_offset_px - mode.output_px == 2
    # A window of 35 columns at 100 a second.
    assert info.audio.before_s + info.audio.after_s == pytest.approx(35 / 100)
    assert info.references == 5
    assert not info.looks_at_mouth


@pytest.mark.parametrize("tiny", [False, True])
def test_asking_for_it_says_why_it_cannot_paint_yet(tiny):
    with pytest.raises(PluginError, match="no trained weights yet") as caught:
        manager.load("speech2vid", tiny=tiny)
    assert "redub plugins" in caught.value.hint
    assert manager.find("speech2vid").info.unavailable in caught.value.message
