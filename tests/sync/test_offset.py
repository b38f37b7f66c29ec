"""What is learnt from stands at its true offset, as far as that is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from redub.config import Config, SpeakerConfig
from redub.faces.landmarks import mouth_openness
from redub.hearing import listen
from redub.media import open_speech
from redub.offset import track_offset
from redub.pieces import take_piece
from redub.speech.lips import loudness
from redub.types import Speaking

SURE = SpeakerConfig(min_confidence=0.4, chance=0.0, min_frame_confidence=0.35, window_s=1.0)


def offsets_of(plan, *rows):
    """Give a plan's tracks readings of (offset, confidence)."""
    readings = [
        replace(reading, offset_s=offset_s, confidence=confidence)
        for reading, (offset_s, confidence) in zip(plan.readings, rows, strict=True)
    ]
    return replace(plan, readings=tuple(readings), settings=replace(Config(), speakers=SURE).analysis_settings())


def test_a_track_that_is_not_sure_takes_the_offset_of_those_that_are(make_talk, face, network):
    talk = make_talk([face(), face(), face(), face()], 1)
    plan = listen(talk.plan, talk.video, SURE, model=network)
    plan = offsets_of(plan, (0.10, 0.9), (0.50, 0.1), (0.12, 0.8), (float("nan"), 0.0))
    assert [track_offset(plan, number) for number in (1, 2, 3, 4)] == pytest.approx([0.10, 0.11, 0.12, 0.11])
    unsure = offsets_of(plan, *[(0.3, 0.1)] * 4)
    assert [track_offset(unsure, number) for number in (1, 2, 3, 4)] == [0, 0, 0, 0]
    assert track_offset(replace(plan, readings=()), 1) == 0


def test_the_sound_of_a_piece_is_found_where_its_offset_says(make_talk, face, network):
    talk = make_talk([face(speaks=[(0, 9)])], 5, offset_s=0.2)
    plan = replace(listen(talk.plan, talk.video, SURE, model=network), settings=replace(Config(), speakers=SURE).analysis_settings())
    with open_speech(talk.video, 16_000) as sound:
        piece = take_piece(plan, talk.video, sound, Speaking(track=1, start=20, stop=100), 32)
    assert piece.offset_s == pytest.approx(0.2, abs=0.012)
    openness = mouth_openness(piece.points)

    def suits(times_s):
        return np.corrcoef(openness, loudness(piece.speech, 16_000, times_s))[0, 1]

    # Early by so much: what the lips say now was heard that long ago.
    assert suits(piece.times_s - piece.offset_s) > 0.9
    assert suits(piece.times_s - piece.offset_s) > suits(piece.times_s) + 0.3
    assert suits(piece.times_s - piece.offset_s) > suits(piece.times_s + piece.offset_s) + 0.3
