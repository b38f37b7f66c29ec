"""What LumiereNet declares, and that it says honestly what it cannot do yet."""

import pytest

from redub.errors import PluginError
from redub.plugin import Region, manager
from redub.testing import GeneratorConformance

pytest.importorskip("redub_lumierenet", reason="install it:  pip install ./plugins/lumierenet")


class TestLumiereNet(GeneratorConformance):
    name = "lumierenet"


def test_it_paints_frames_and_looks_back_over_fifteen_steps():
    info = manager.find("lumierenet").info
    assert info.region is Region.FRAME
    # From the start of the oldest step's spectrum to the end of the newest one's.
    reach_s = info.audio.before_s + info.audio.after_s
    assert reach_s == pytest.approx(14 / 30 + 0.0444)
    assert info.audio.before_s > info.audio.after_s


@pytest.mark.parametrize("tiny", [False, True])
def test_asking_for_it_says_why_it_cannot_paint_yet(tiny):
    with pytest.raises(PluginError, match="no trained weights yet") as caught:
        manager.load("lumierenet", tiny=tiny)
    assert "redub plugins" in caught.value.hint
    assert manager.find("lumierenet").info.unavailable in caught.value.message
