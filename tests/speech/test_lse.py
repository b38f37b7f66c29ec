"""LSE-D and LSE-C by the published protocol, against its arithmetic written out."""

import numpy as np
import pytest
import torch

from redub.speech.lse import lse_of, measure_lse, published_squares, take_square
from redub.speech.sync_layers import SyncNet
from redub.speech.syncnet import PublishedSync


def spelled_out(faces, sounds):
    """The protocol, pair by pair."""
    padded = np.concatenate([np.zeros((15, sounds.shape[1])), sounds, np.zeros((15, sounds.shape[1]))])
    pairs = np.array([[np.sqrt((((face - padded[i + k]) + 1e-6) ** 2).sum()) for k in range(31)] for i, face in enumerate(faces)])
    mean = pairs.mean(axis=0)
    best = int(mean.argmin())
    return mean[best], np.median(mean) - mean[best], 15 - best, np.median(mean) - pairs[:, best]


@pytest.mark.parametrize(("offset", "count"), [(0, 60), (4, 60), (-9, 40), (3, 12)])
def test_distance_confidence_and_offset(offset, count):
    from scipy.signal import medfilt

    line = 3 * np.random.default_rng(offset + 20).normal(size=(count + 40, 32))
    faces, sounds = line[20 : 20 + count], line[20 + offset : 20 + offset + count]
    found = lse_of(faces, sounds)
    distance, confidence, wanted, each = spelled_out(faces, sounds)
    assert found.distance == pytest.approx(distance, rel=1e-5)
    assert found.confidence == pytest.approx(confidence, rel=1e-5)
    assert found.offset_frames == wanted == offset
    np.testing.assert_allclose(found.frame_confidence, medfilt(each, 9), rtol=1e-5)


def test_a_video_is_read_from_its_first_picture_and_sample_on():
    class Marks(SyncNet):
        """Embeds a picture as its middle one's brightness, and a sound as its loudness."""

        def embed_face(self, windows):
            return windows[:, :, 2].mean((1, 2, 3))[:, None]

        def embed_sound(self, windows):
            return windows[:, 0].amax(1)[:, None]

    pictures = np.zeros((20, 224, 224, 3), np.uint8)
    pictures[:] = (10 * np.arange(20))[:, None, None, None]
    speech = (0.1 * np.random.default_rng(0).normal(size=20 * 640)).astype(np.float32)
    found = measure_lse(PublishedSync(Marks()), pictures, speech)
    # One window less than there is, as published.
    assert found.frame_confidence.shape == (15,)
    model = PublishedSync(Marks())
    sounds = model.embed_sound(speech, (np.arange(15) + 2.5) / 25)
    wanted = lse_of(10 * np.arange(2.0, 17.0)[:, None], sounds)
    assert found.distance == pytest.approx(wanted.distance, rel=1e-5)
    # The sound is the shorter one.
    assert measure_lse(model, pictures, speech[: 10 * 640 + 639]).frame_confidence.shape == (5,)
    assert measure_lse(model, pictures[:5], speech) is None


def test_squares_are_smoothed_boxes():
    from scipy.signal import medfilt

    boxes = np.random.default_rng(0).uniform(0, 100, (40, 2)).repeat(2, axis=1)[:, [0, 2, 1, 3]]
    boxes[:, 2:] += np.random.default_rng(1).uniform(50, 90, (40, 2))
    left, top, right, bottom = boxes.T
    squares = published_squares(boxes.astype(np.float64))
    np.testing.assert_allclose(squares[:, 0], medfilt(np.maximum(bottom - top, right - left) / 2, 13))
    np.testing.assert_allclose(squares[:, 1], medfilt((left + right) / 2, 13))
    np.testing.assert_allclose(squares[:, 2], medfilt((top + bottom) / 2, 13))


def test_the_square_begins_at_the_boxs_top_and_reaches_below_the_chin():
    frame = np.zeros((300, 400, 3), np.uint8)
    # A box of 100 px around (200, 150); the square is 140 px, from 130 to 270 across and 100 to 240 down.
    frame[100:240, 130:270] = 255
    frame[100:200, 150:250] = 100
    crop = take_square(frame, np.array([50.0, 200.0, 150.0]))
    assert crop.shape == (224, 224, 3)
    assert (crop[0] > 90).all()
    assert (crop[:, [0, -1]] == 255).all()
    assert (crop[-1] == 255).all()
    # The box takes the upper, middle 71 %.
    assert (crop[2:155, 40:180] < 120).all()
    # Beyond the frame there is grey.
    assert (take_square(frame, np.array([50.0, 0.0, 150.0]))[:, :100] == 110).all()


def test_sizes_are_sampled_as_opencv_does():
    import cv2

    from redub.speech.lse import _sized

    picture = np.random.default_rng(0).integers(0, 256, (140, 140, 3), np.uint8)
    found = _sized(picture).astype(int)
    assert np.abs(found - cv2.resize(picture, (224, 224)).astype(int)).max() <= 1


def test_the_published_network_runs_the_protocol():
    torch.manual_seed(0)
    pictures = np.random.default_rng(0).integers(0, 256, (8, 224, 224, 3), np.uint8)
    speech = (0.1 * np.random.default_rng(1).normal(size=8 * 640)).astype(np.float32)
    found = measure_lse(PublishedSync(SyncNet()), pictures, speech)
    assert found.frame_confidence.shape == (3,)
    assert found.distance > 0
