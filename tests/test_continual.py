"""Continual I3D: the maps of the whole stream, an eighth of the work, and a classifier on them."""

import threading
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain

from models.backbones import BACKBONES
from models.continual import Stream, build_step
from models.cutting import backbones_of, cut_after
from models.flops import count_flops
from models.networks import build
from models.streams import CHANNELS
from scripts import predict as command
from scripts.benchmarks import continual as benchmark
from scripts.predict import Options, predict
from support.backbones import shrunk_i3d
from support.backends import once, untraced_steps
from support.runs import save_run
from support.videos import moving_square
from tasks.answers import Judge
from tasks.classification.continual import ContinualClassifier, check_continual
from tasks.classification.predicting import Classifier
from tasks.classification.questions import Inquiry
from tasks.features.runtimes import Asked
from tasks.predictors import open_predictor
from utils.clips.augmentation import UNCHANGED, apply_rgb
from utils.clips.inputs import ClipSource
from utils.clips.reading import ClipFormat
from utils.clips.windows import fill_up
from utils.params import Params
from utils.scores.labelings import to_probabilities
from utils.system.figures import read_figures
from utils.video.live import play_video
from utils.video.reading import probe
from utils.video.writing import write_video

import keras
import numpy as np
import pytest
from keras import layers

STEP = 8
SIZE = 112


def shift_zeros(model):
    """Give BatchNorm layers an offset, so that a map of padding is not zero; return the model."""
    for weight in model.weights:
        if weight.path.endswith("beta"):
            weight.assign(keras.random.uniform(weight.shape, -0.5, 0.5))
    return model


def build_i3d(stream):
    """Build a small I3D up to its last map."""
    with shrunk_i3d():
        return shift_zeros(BACKBONES["i3d"].build(stream, None, SIZE, "Mixed_5c"))


def build_odd(stream):
    """Build maps of kernels that I3D has not, with negative values, an early branch and a bias."""
    inputs = keras.Input((None, 9, 7, CHANNELS[stream]))
    x = layers.MaxPooling3D((2, 3, 2), (1, 2, 2), "same")(inputs)
    x = layers.Conv3D(4, (4, 2, 3), 2, "same", activation="tanh", bias_initializer="normal")(x)
    x = layers.Add()([layers.Conv3D(4, (5, 1, 1), padding="same")(x), x])
    x = layers.MaxPooling3D((5, 2, 2), 2, "same")(x)
    x = layers.Concatenate()([x, layers.MaxPooling3D((3, 3, 3), 1, "same")(x)])
    return keras.Model(inputs, layers.Conv3D(5, (1, 3, 3), (2, 1, 1), "same")(x))


@pytest.mark.models
@pytest.mark.parametrize(
    ("build_model", "streams", "lag", "run"),
    [
        (build_odd, ("rgb", "flow"), 2, nullcontext),
        pytest.param(build_i3d, ("rgb",), 2, untraced_steps, marks=once),
    ],
)
def test_maps_are_those_of_the_whole_stream(build_model, streams, lag, run):
    keras.utils.set_random_seed(1)
    models = {name: build_model(name) for name in streams}
    stream, steps = Stream(models, STEP), 4
    assert stream.lag == lag
    clip = np.random.default_rng(2).uniform(-1, 1, (STEP * steps, *stream.shape[1:]))
    clip, shares = clip.astype("float32"), {"rgb": slice(3), "flow": slice(3, 5)}
    with run():
        whole = np.concatenate(
            [
                model.predict_on_batch(clip[None, ..., shares[name]])[0]
                for name, model in models.items()
            ],
            axis=-1,
        )
        stream.push(clip[:STEP])
        stream.reset()
        came = [stream.push(part) for part in np.split(clip, steps)]
        maps = np.stack([*chain(*came, stream.finish())])
    assert list(map(len, came)) == [0] * lag + [1] * (steps - lag)
    assert np.abs(np.diff(whole, axis=0)).max() > 0.1
    np.testing.assert_allclose(maps, whole, atol=1e-5)


@pytest.mark.models
@once
def test_a_step_is_an_eighth_of_a_window_with_its_own_weights():
    with shrunk_i3d():
        window = BACKBONES["i3d"].build("rgb", 64, SIZE, "Mixed_5c")
    step, _ = build_step(window, STEP)
    assert {id(weight) for weight in step.weights} == {id(weight) for weight in window.weights}
    assert count_flops(window) == 8 * count_flops(keras.models.clone_model(step))


FORM = ClipFormat(1, 32, short_side=SIZE, frame_size=SIZE)
STEPS = 7


def open_small(segments, length):
    """Return a `Classifier` of a small I3D."""
    keras.utils.set_random_seed(3)
    network = shift_zeros(build("i3d", 3, segments, length, SIZE))
    form = replace(FORM, segments=segments, frames=length)
    inquiry = Inquiry(network, Judge(["a", "b", "c"]), Params())
    return Classifier(inquiry, ClipSource(form))


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A `ContinualClassifier` by a segment of 32 frames, and a video of 6 steps and a half."""
    path = tmp_path_factory.mktemp("continual") / "a.mp4"
    write_video(path, moving_square(STEP * STEPS - 4, (SIZE, SIZE)), 25)
    with shrunk_i3d():
        yield ContinualClassifier(open_small(1, 32)), path


def read_clip(path, count):
    """Return the frames of a video as a clip, the last one again up to a number of them."""
    frames = [picture.rgb for _, picture in play_video(probe(path), FORM)]
    return apply_rgb(np.stack(frames + frames[-1:] * (count - len(frames))), UNCHANGED)


def test_windows_see_the_maps_of_the_whole_video(opened):
    predictor, path = opened
    backbone, network = BACKBONES["i3d"], predictor.network
    whole = backbone.build("rgb", None, SIZE, "Mixed_5c")
    whole.set_weights(backbones_of(network)["rgb"].get_weights())
    maps = whole.predict_on_batch(read_clip(path, STEP * STEPS)[None])[0]
    assert len(maps) == STEPS
    windows = np.stack([maps[begin : begin + 4] for begin in range(4)])
    rest = cut_after(network, backbone.stages[-1])[1]
    expected = to_probabilities("single", rest.predict_on_batch(windows[:, None]))
    assert expected.std(axis=0).max() > 1e-3
    prediction = predictor.predict_video(path)
    np.testing.assert_allclose(prediction.whole, expected.mean(0), atol=1e-5)
    np.testing.assert_allclose(prediction.times, [*np.arange(7) * 0.32, 2.08], atol=1e-6)
    np.testing.assert_allclose(prediction.probabilities[[0, -1]], expected[[0, -1]], atol=1e-5)


def test_several_segments_are_seen_alone_and_once(opened):
    path = opened[1]
    with untraced_steps():
        predictor = ContinualClassifier(open_small(2, 16))
        clip = read_clip(path, 64).reshape(4, 16, SIZE, SIZE, 3)
        clips = np.stack([clip[begin : begin + 2] for begin in range(3)])
        expected = to_probabilities("single", predictor.network.predict_on_batch(clips))
        assert (predictor.stream.lag, predictor.plan_windows()) == (0, (2, 1))
        prediction = predictor.predict_video(path)
    np.testing.assert_allclose(prediction.times, [0, 0.64, 1.28, 1.92, 2.08], atol=1e-6)
    np.testing.assert_allclose(prediction.whole, expected.mean(0), atol=1e-5)


def test_windows_and_steps_in_seconds(opened):
    predictor = opened[0]
    assert predictor.plan_windows() == (4, 1)
    longer = Classifier(predictor.inquiry, predictor.source, seconds=(2.0, 0.7))
    assert ContinualClassifier(longer).plan_windows() == (6, 2)


def play_camera(predictor, path, waits, monkeypatch):
    """Let the command see a video as a camera, which waits for the network or never does."""
    seen, push = threading.Semaphore(0), predictor.stream.push
    begun, ended = threading.Event(), threading.Event()

    def film(number, clip_format):
        begun.set()
        for count, frame in enumerate(play_video(probe(path), clip_format)):
            if waits and count > STEP and count % STEP == STEP - 1:
                assert seen.acquire(timeout=20)  # the step before is seen
            yield frame
        assert not waits or seen.acquire(timeout=20)
        ended.set()

    def see(frames):
        if begun.is_set() and not waits:
            ended.wait(20)
        maps = push(frames)
        if begun.is_set():
            seen.release()
        return maps

    monkeypatch.setattr(predictor.stream, "push", see)
    monkeypatch.setattr(command, "play_camera", film)


def test_a_camera_gives_the_same_and_tells_how_late(opened, monkeypatch, capsys):
    predictor, path = opened
    expected = predictor.predict_video(path)
    asked = []
    monkeypatch.setattr(command, "open_predictor", lambda *all_: asked.append(all_) or predictor)
    play_camera(predictor, path, True, monkeypatch)
    live = []
    monkeypatch.setattr(command.Findings, "add", lambda _, prediction: live.append(prediction))
    predict(Options(("webcam",), continual=True))
    assert [each[:4] for each in asked] == [(None, 0.0, 0.0, True)]
    np.testing.assert_array_equal(live[0].probabilities, expected.probabilities)
    np.testing.assert_allclose(live[0].times[:-1], expected.times[:-1], atol=1e-6)
    said = capsys.readouterr().out
    assert "An answer every 0.32 s, which lags 0.64 s behind the camera." in said
    assert "     1.3 s  " in said and "left out" not in said


def test_frames_that_a_slow_network_leaves_out_are_told(opened, monkeypatch, capsys):
    predictor, path = opened
    play_camera(predictor, path, False, monkeypatch)
    predictor.watch(command.play_camera(0, FORM), lambda step: None)
    said = capsys.readouterr().out
    assert said.count("slower than the camera: frames are left out") == 1


def test_both_ways_are_compared_where_they_are_of_the_same_time(opened, monkeypatch, tmp_path):
    predictor, path = opened
    monkeypatch.setattr(benchmark, "open_predictor", lambda *_, **how: how and predictor)
    rows = benchmark.compare(benchmark.Options((str(path),), repeats=1, output=tmp_path / "c.json"))
    figures = read_figures(tmp_path / "c.json")
    assert figures["rows"] == rows
    assert rows[0]["windows"] == len(figures["each"][0]["differences"]) == 4
    assert 0 < rows[0]["difference"] <= rows[0]["largest"] < 1
    assert (rows[0]["step"], rows[0]["lag"]) == (0.32, 0.64)
    assert rows[0]["multiply_adds_ratio"] == pytest.approx(4, rel=0.01)  # windows of 32 frames
    assert rows[0]["seconds_ratio"] > 0 < rows[0]["processor_seconds_ratio"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sampling": "uniform"}, "its sampling, uniform, leaves out frames"),
        ({"network": "timesformer"}, "its network, timesformer, sees each clip as a whole"),
        ({"network": "vivit"}, "its network, vivit, sees each clip as a whole"),
        ({"features": "F"}, "it is on features"),
        ({"task": "recognition", "network": "bilstm", "features": "F"}, "it is of recognition"),
    ],
)
def test_what_cannot_is_refused_before_it_is_loaded(tmp_path, changes, words):
    run = save_run(tmp_path / "run", replace(Params(network="i3d"), **changes))
    (run / "best.keras").write_bytes(b"junk")
    with pytest.raises(ValueError, match=f"run cannot predict continually: {words}. Leave out"):
        open_predictor(run, continual=True)


@pytest.mark.parametrize("asked", [Asked("openvino"), Asked("keras", "bfloat16")])
def test_other_runtimes_are_refused(asked):
    with pytest.raises(ValueError, match="continual answers are computed by Keras"):
        open_predictor(continual=True, asked=asked)


def test_vivit_on_the_maps_of_i3d_can(tmp_path):
    check_continual(tmp_path, Params(network="vivit", embedder="i3d"))


def test_items_are_filled_up():
    assert list(fill_up("abcd", 3)) == list("abcddd")
    assert list(fill_up("abc", 3)) == list("abc") and list(fill_up("", 3)) == []
