"""Loading: weights, factories, and whose fault it is."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from redub.errors import PluginError, ShapeError, WeightError
from redub.plugin import Blend, WeightFile, check_clip, choose_device, manager
from redub.plugin.echo import INFO
from redub.testing import make_clip


def clip_for(entry, frames=3):
    info = entry.info
    return make_clip(info, next(iter(info.modes.values())), frames)


def test_echo_paints_what_it_is_given_for_every_blending():
    entry = manager.find("echo")
    clip = clip_for(entry)
    assert set(entry.info.modes) == set(Blend)
    for blend in Blend:
        with manager.load(entry, blend, device="cpu") as generator:
            painted = generator.generate(clip)
        assert np.array_equal(painted.frames, clip.frames)
        assert painted.alpha is None


def test_a_blending_that_is_not_offered_is_told_with_those_that_are(shelf):
    shelf.put_generator("redub-mouthbar", "mouthbar")
    with pytest.raises(PluginError, match="poisson") as caught:
        manager.load("mouthbar", Blend.POISSON)
    assert "feather" in caught.value.hint


@pytest.mark.parametrize(("where", "what"), [("body", "failed while it painted"), ("loading", "could not be loaded")])
def test_a_plugins_exception_names_the_plugin_and_keeps_its_cause(shelf, where, what):
    shelf.put_generator("redub-sick", "sick", version="3.1", **{where: "raise ZeroDivisionError('by my own fault')"})
    with pytest.raises(PluginError, match=r"sick \(redub-sick 3\.1\)") as caught:
        manager.load("sick").generate(clip_for(manager.find("sick")))
    assert what in caught.value.message
    assert "ZeroDivisionError: by my own fault" in caught.value.message
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_what_a_plugin_says_to_the_user_is_passed_on_as_it_is(shelf):
    shelf.put_generator("redub-frank", "frank", body="from redub.errors import PluginError; raise PluginError('Too dark.', 'Add light.')")
    with pytest.raises(PluginError) as caught:
        manager.load("frank").generate(clip_for(manager.find("frank")))
    assert (caught.value.message, caught.value.hint) == ("Too dark.", "Add light.")


def test_ctrl_c_while_painting_is_no_fault_of_the_plugin(shelf):
    shelf.put_generator("redub-slow", "slow", body="raise KeyboardInterrupt")
    generator = manager.load("slow")
    with pytest.raises(KeyboardInterrupt):
        generator.generate(clip_for(manager.find("slow")))


def test_a_factory_must_return_a_generator(shelf):
    shelf.put_generator("redub-wrong", "wrong", loading="return 'a generator'")
    with pytest.raises(PluginError, match="returned a str, not a Generator"):
        manager.load("wrong")


def test_a_factory_that_is_not_there_is_the_plugins_fault(shelf):
    module = shelf.put_generator("redub-lost", "lost")
    path = shelf.folder / f"{module}.py"
    path.write_text(path.read_text().replace(":load", ":lost"))
    with pytest.raises(PluginError, match="lost"):
        manager.load("lost")


def put_with_weights(shelf, content):
    """Install a generator whose factory raises what it was given."""
    digest = hashlib.sha256(content).hexdigest()
    shelf.put_generator("redub-heavy", "heavy", loading="raise LookupError(dict(context.weights or {}), context.seed, context.device)")
    entry = manager.find("heavy")
    file = WeightFile(
        name="heavy.safetensors", sha256=digest, size_bytes=len(content), licence="CC0-1.0", source="https://example.org/heavy"
    )
    mode = replace(entry.info.modes[Blend.FEATHER], weights=(file,))
    return replace(entry, info=replace(entry.info, modes={Blend.FEATHER: mode}))


def test_a_factory_is_given_the_verified_files_the_seed_and_the_device(shelf, tmp_path, monkeypatch):
    entry = put_with_weights(shelf, b"numbers")
    monkeypatch.setenv("REDUB_WEIGHTS", str(tmp_path))
    (tmp_path / "heavy.safetensors").write_bytes(b"numbers")
    with pytest.raises(PluginError) as caught:
        manager.load(entry, seed=5, device="cpu")
    given = caught.value.__cause__.args
    assert given == ({"heavy.safetensors": tmp_path / "heavy.safetensors"}, 5, "cpu")


def test_weights_of_a_person_are_named_or_refused(shelf, tmp_path, monkeypatch):
    entry = put_with_weights(shelf, b"numbers")
    entry = replace(entry, info=replace(entry.info, names_weights=True))
    monkeypatch.setenv("REDUB_WEIGHTS", str(tmp_path))
    shipped, own = tmp_path / "heavy.safetensors", tmp_path / "ann"
    shipped.write_bytes(b"numbers")
    own.mkdir()
    with pytest.raises(PluginError, match="nobody's weights are named") as caught:
        manager.find_weights(entry)
    # None is taken unasked, but it is told which come with it.
    assert "heavy" in caught.value.hint
    assert manager.find_weights(entry, named="heavy") == {"heavy.safetensors": shipped}
    with pytest.raises(WeightError, match="There are no weights"):
        manager.find_weights(entry, named=str(own))
    (own / "weights.safetensors").write_bytes(b"others")
    assert manager.find_weights(entry, named=str(own)) == {"weights.safetensors": own / "weights.safetensors"}
    assert list(manager.find_weights(entry, named=str(own / "weights.safetensors")).values()) == [own / "weights.safetensors"]
    shipped.write_bytes(b"changed")
    with pytest.raises(WeightError, match="not the file that was declared"):
        manager.find_weights(entry, named="heavy")


def test_weights_of_the_users_own_take_the_place_of_one_file(shelf, tmp_path, monkeypatch):
    entry = put_with_weights(shelf, b"numbers")
    monkeypatch.setenv("REDUB_WEIGHTS", str(tmp_path))
    shipped, own = tmp_path / "heavy.safetensors", tmp_path / "mine.safetensors"
    shipped.write_bytes(b"numbers")
    own.write_bytes(b"others")
    assert manager.find_weights(entry) == {"heavy.safetensors": shipped}
    assert manager.find_weights(entry, named=str(own)) == {"heavy.safetensors": own}
    assert manager.find_weights(entry, named="heavy") == {"heavy.safetensors": shipped}
    with pytest.raises(WeightError, match="There are no weights"):
        manager.find_weights(entry, named=str(tmp_path / "none"))
    mode = entry.info.modes[Blend.FEATHER]
    for files in ((), (*mode.weights, replace(mode.weights[0], name="more.safetensors"))):
        other = replace(entry, info=replace(entry.info, modes={Blend.FEATHER: replace(mode, weights=files)}))
        with pytest.raises(PluginError, match="one file cannot take"):
            manager.find_weights(other, named=str(own))


def test_missing_weights_stop_the_load_unless_a_tiny_model_is_asked_for(shelf, tmp_path, monkeypatch):
    entry = put_with_weights(shelf, b"numbers")
    monkeypatch.setenv("REDUB_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(WeightError, match=r"heavy\.safetensors"):
        manager.load(entry)
    with pytest.raises(PluginError, match="LookupError") as caught:
        manager.load(entry, tiny=True)
    assert caught.value.__cause__.args[0] == {}


def test_what_will_not_load_is_known_before_a_video_is_analysed(shelf, tmp_path, monkeypatch):
    monkeypatch.setenv("REDUB_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shelf.put_generator("redub-fine", "fine")
    shelf.put_generator("redub-later", "later", extra="unavailable='The paint is still wet.'", loading="raise SystemError('loaded')")
    file = "WeightFile(name='x.safetensors', sha256='0' * 64, size_bytes=1, licence='MIT', source='nowhere')"
    module = shelf.put_generator("redub-bare", "bare", loading="raise SystemError('loaded')")
    path = shelf.folder / f"{module}.py"
    weighty = path.read_text().replace("output_px=32)", f"output_px=32, weights=({file},))").replace("import ", "import WeightFile, ", 1)
    path.write_text(weighty)
    assert manager.check_ready("fine").info.name == "fine"
    with pytest.raises(PluginError, match="The paint is still wet"):
        manager.check_ready("later")
    with pytest.raises(WeightError, match=r"x\.safetensors"):
        manager.check_ready("bare")
    with pytest.raises(PluginError, match="poisson"):
        manager.check_ready("fine", Blend.POISSON)


def test_a_generator_is_closed_at_the_end_of_its_with_statement(shelf):
    module = shelf.put_generator("redub-tidy", "tidy")
    path = shelf.folder / f"{module}.py"
    path.write_text(path.read_text() + "\nclosed = []\nInverted.close = lambda self: closed.append(True)\n")
    with manager.load("tidy") as generator:
        generator.generate(clip_for(manager.find("tidy")))
    assert len(__import__(module).closed) == 1


@pytest.mark.parametrize("asked", ["cuda:99", "cuda:", "cpu:1", "gpu", "cpu:x", ""])
def test_a_device_that_is_not_there_is_told_with_those_that_are(asked):
    with pytest.raises(PluginError) as caught:
        choose_device(asked)
    assert "cpu" in caught.value.hint


def test_a_device_that_is_there_is_chosen():
    assert choose_device("cpu") == "cpu"
    assert choose_device(choose_device("auto")) == choose_device("auto")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"frames": np.zeros((3, 255, 255, 3), np.uint8)}, "frames"),
        ({"frames": np.zeros((3, 256, 256, 3), np.float32)}, "float32"),
        ({"frames": np.zeros((0, 256, 256, 3), np.uint8), "points": np.zeros((0, 68, 2), np.float32), "times_s": np.zeros(0)}, "0 frames"),
        ({"points": np.zeros((2, 68, 2), np.float32)}, "points"),
        ({"times_s": np.zeros(3, np.float32)}, "times_s"),
        ({"speech": np.zeros((1, 900), np.float32)}, "speech"),
        ({"references": np.zeros((1, 256, 256, 3), np.uint8)}, "references"),
    ],
)
def test_a_clip_that_is_not_as_declared_is_refused_with_both_shapes(changes, told):
    mode = INFO.modes[Blend.POISSON]
    clip = make_clip(INFO, mode, 3)
    check_clip(clip, INFO, mode)
    with pytest.raises(ShapeError, match=told):
        check_clip(replace(clip, **changes), INFO, mode)


def test_a_hidden_generator_is_not_said_to_be_missing(monkeypatch):
    monkeypatch.setenv("REDUB_PLUGINS", "")
    with pytest.raises(PluginError) as caught:
        manager.find("speech2vid")
    assert "REDUB_PLUGINS" in caught.value.hint
    assert "pip install" not in caught.value.hint
