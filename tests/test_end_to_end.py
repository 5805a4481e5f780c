"""Steps in chunks, computed again for gradients; I3D in front of a recognizer."""

from models.end_to_end import (
    END_TO_END,
    build_end_to_end,
    list_backbone,
    list_units,
    trained_part,
)
from models.layers import InChunks
from models.recognizer import build_recognizer
from utils.fitting.optimization import Optimization, make_optimizer

import keras
import numpy as np
import pytest
from keras import layers

SIZE, WINDOW = 6, 4


def build_inner(shape):
    inputs = keras.Input(shape)
    x = layers.Rescaling(0.01, dtype="float32")(inputs)
    x = layers.Flatten()(x)
    x = layers.BatchNormalization(trainable=False)(x)
    return keras.Model(inputs, layers.Dense(3, activation="tanh", name="dense")(x))


def to_array(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.models
@pytest.mark.parametrize("size", [1, 2, 5])
def test_chunks_change_nothing(size):
    keras.utils.set_random_seed(0)
    steps = np.random.default_rng(0).normal(size=(2, 5, 4, 2)).astype("float32")
    inner = build_inner((4, 2))
    inputs = keras.Input((None, 4, 2))
    model = keras.Model(inputs, InChunks(inner, size)(inputs))
    assert model.output_shape == (None, None, 3)
    expected = to_array(inner(steps.reshape(10, 4, 2))).reshape(2, 5, 3)
    np.testing.assert_allclose(model.predict_on_batch(steps), expected, atol=1e-6)


@pytest.mark.models
def test_windows_are_cut_from_frames(tmp_path):
    keras.utils.set_random_seed(0)
    frames = np.random.default_rng(0).integers(0, 256, (2, 12, 3), np.uint8)
    inner = build_inner((WINDOW, 3))
    inputs = keras.Input((None, 3), dtype="uint8")
    model = keras.Model(inputs, InChunks(inner, 2, window=WINDOW, stride=3)(inputs))
    windows = np.stack([frames[:, start : start + WINDOW] for start in (0, 3, 6)], 1)
    expected = to_array(inner(windows.reshape(6, WINDOW, 3))).reshape(2, 3, 3)
    np.testing.assert_allclose(model.predict_on_batch(frames), expected, atol=1e-6)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict_on_batch(frames), expected, atol=1e-6)


def train_step(again):
    """Return the weights of a model after two steps, and what it says of the inputs then."""
    keras.utils.set_random_seed(0)
    steps = np.random.default_rng(0).integers(0, 256, (2, 10, 3), np.uint8)
    inputs = keras.Input((None, 3), dtype="uint8")
    chunks = InChunks(build_inner((WINDOW, 3)), 2, again, window=WINDOW, stride=2)
    outputs = layers.Dense(1)(InChunks(build_inner((3,)), 3, again)(chunks(inputs)))
    model = keras.Model(inputs, outputs)
    before = [to_array(v) for v in model.trainable_variables]
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    for _ in range(2):
        model.train_on_batch(steps, np.ones((2, 4, 1)))
    after = [to_array(v) for v in model.trainable_variables]
    assert all(np.abs(a - b).max() > 1e-5 for a, b in zip(after, before, strict=True))
    return after


@pytest.mark.models
def test_gradients_are_the_same_computed_again():
    for held, again in zip(train_step(False), train_step(True), strict=True):
        np.testing.assert_allclose(again, held, atol=1e-6)


@pytest.fixture(scope="module")
def tiny():
    """Three units in the place of I3D's, with the names that its stages have."""

    def build(window):
        clips = keras.Input((window, SIZE, SIZE, 3))
        x = layers.Conv3D(4, 3, padding="same", name="Conv3d_1a_7x7.conv_3d")(clips)
        x = layers.BatchNormalization(name="Conv3d_1a_7x7.batch_norm")(x)
        x = layers.Activation("relu", name="Conv3d_1a_7x7.relu")(x)
        x = layers.MaxPooling3D(2, name="MaxPool3d_2a_3x3")(x)
        x = layers.Conv3D(5, 1, name="Conv3d_2b_1x1.conv_3d")(x)
        x = layers.Activation("relu", name="Conv3d_2b_1x1.relu")(x)
        return keras.Model(clips, keras.ops.mean(x, axis=(1, 2, 3)), name="i3d")

    return build


@pytest.mark.models
@pytest.mark.parametrize("finetune", ["all", "Conv3d_2b_1x1"])
def test_rows_of_frames_reach_the_recognizer(tiny, finetune, tmp_path):
    keras.utils.set_random_seed(0)
    i3d, recognizer = tiny(WINDOW), build_recognizer(5, 3, "K5-K5", width=16)
    network = build_end_to_end(i3d, recognizer, finetune, stride=2, size=3)
    frames = np.random.default_rng(0).integers(0, 256, (2, 12, SIZE, SIZE, 3), np.uint8)
    lengths = np.array([5, 3], np.int32)
    windows = np.stack([frames[:, start : start + WINDOW] for start in range(0, 9, 2)], 1)
    scaled = (windows.reshape(-1, *windows.shape[2:]) / 127.5 - 1).astype("float32")
    rows = to_array(i3d(scaled)).reshape(2, 5, 5)
    expected = to_array(recognizer({"features": rows, "lengths": lengths}))
    found = network.predict_on_batch({"frames": frames, "lengths": lengths})
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    np.testing.assert_allclose(found[1, :, :3], expected[1, :, :3], atol=1e-5)

    trained = {v.path.split("/")[-2] for v in network.trainable_variables}
    assert "Conv3d_2b_1x1.conv_3d" in trained and "Conv3d_1a_7x7.batch_norm" not in trained
    assert ("Conv3d_1a_7x7.conv_3d" in trained) == (finetune == "all")
    assert set(list_units(network)) >= {"Conv3d_1a_7x7.conv_3d", "Conv3d_2b_1x1.conv_3d"}
    network.save(tmp_path / "best.keras")
    again = keras.saving.load_model(tmp_path / "best.keras")
    assert again.name == END_TO_END
    other = again.predict_on_batch({"frames": frames, "lengths": lengths})
    np.testing.assert_allclose(other, found, atol=1e-5)
    if finetune != "all":
        maps = again.get_layer("frozen")(frames)
        assert maps.shape[1:] == (5, 2 * 3 * 3 * 4)
        part = trained_part(again)
        same = part.predict_on_batch({"features": to_array(maps), "lengths": lengths})
        np.testing.assert_allclose(same, found, atol=1e-5)


def take_step(tiny, finetune, name, backbone_rate):
    """Return how far each trained variable moves in a step, {path: array}, and what is said first.

    The paths of the backbone's are a set besides.
    """
    keras.utils.set_random_seed(0)
    network = build_end_to_end(tiny(WINDOW), build_recognizer(5, 3, "K5-K5", width=16), finetune, 2)
    rng, part, inputs = np.random.default_rng(0), network, {"lengths": np.array([3], np.int32)}
    inputs["frames"] = rng.integers(0, 256, (1, 8, SIZE, SIZE, 3), np.uint8)
    if finetune != "all":
        inputs["features"] = to_array(network.get_layer("frozen")(inputs.pop("frames")))
        part = trained_part(network)
    variables = {v.path: v for v in part.trainable_variables}
    before = {path: to_array(v).copy() for path, v in variables.items()}
    said = to_array(part(inputs))
    settings = Optimization(name, backbone_rate=backbone_rate, weight_decay=0.1)
    part.compile(make_optimizer(settings, 1, list_backbone(network)), "mse", jit_compile=False)
    part.optimizer.build(part.trainable_variables)
    part.train_on_batch(inputs, np.ones(said.shape))
    moved = {path: to_array(v) - before[path] for path, v in variables.items()}
    own = [*map(id, list_backbone(network))]
    return moved, said, {path for path, v in variables.items() if id(v) in own}


@pytest.mark.models
@pytest.mark.parametrize(
    ("finetune", "name", "rate"), [("all", "sgd", 0.1), ("Conv3d_2b_1x1", "adamw", 0.0)]
)
def test_the_backbone_takes_smaller_steps(tiny, finetune, name, rate):
    """Before its first step the network says the same."""
    (whole, said, own), (less, same, _) = (
        take_step(tiny, finetune, name, each) for each in (1.0, rate)
    )
    np.testing.assert_array_equal(said, same)
    assert len(own) == (4 if finetune == "all" else 2)
    for path, moved in whole.items():
        factor = rate if path in own else 1
        assert np.abs(moved).max() > 1e-6
        np.testing.assert_allclose(less[path], factor * moved, rtol=1e-2, atol=1e-6)
        assert less[path].any() == (factor > 0)
