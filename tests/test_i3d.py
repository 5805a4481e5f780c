"""I3D against an independent implementation, endpoint by endpoint."""

import zlib
from pathlib import Path

from models.backbones import BACKBONES
from models.flops import count_flops
from models.i3d import set_tensors
from models.layers import FusedBatchNormalization
from models.pretrained import i3d_weights as pretrained
from models.pretrained.download import WeightsError
from models.pretrained.i3d_weights import load_pretrained, masked_crc32c, published_tensors
from support.backends import once

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.models
REFERENCE = np.load(Path(__file__).with_name("i3d_reference.npz"))
MORE = [("rgb", 3, 64), ("flow", 2, 16), ("flow", 2, 64)]
PREFIXES = {"rgb": "RGB", "flow": "Flow"}


def rebuild_weight(name, shape):
    z = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype("float32")
    if name.endswith("/w"):
        return z * np.float32(np.sqrt(2 / np.prod(shape[:-1])))
    return 1 + 0.5 * np.abs(z) if name.endswith("moving_variance") else 0.1 * z


def build(stream="rgb", frames=64, frame_size=224, endpoint="Features"):
    return BACKBONES["i3d"].build(stream, frames, frame_size, endpoint)


def rebuild_tensors(stream):
    """Return the tensors of a checkpoint as the reference was computed with."""
    prefix = PREFIXES[stream]
    return {
        name: rebuild_weight(f"{prefix}/inception_i3d/{name}", shape)
        for name, (shape, _) in published_tensors(f"{stream}_scratch").items()
    }


def draw_clip(frames, channels):
    generator = np.random.default_rng(49403 + frames + channels)
    return generator.uniform(-1, 1, (1, frames, 224, 224, channels)).astype("float32")


@pytest.mark.parametrize(
    ("stream", "channels", "frames"),
    [("rgb", 3, 16), *(pytest.param(*row, marks=once) for row in MORE)],
)
def test_outputs_are_the_reference(stream, channels, frames):
    model = build(stream, frames, endpoint="Logits")
    set_tensors(model, rebuild_tensors(stream))
    ends = {"logits": model.output}
    if frames == 16:
        ends["features"] = model.get_layer("AvgPool3d").output
    both = keras.Model(model.input, ends)
    both.compile(jit_compile=False)
    for name, outputs in both.predict_on_batch(draw_clip(frames, channels)).items():
        expected = REFERENCE[f"{PREFIXES[stream]}_{frames}_{name}"]
        np.testing.assert_allclose(outputs, expected, atol=1e-4)


@once
def test_a_flow_checkpoint_of_the_official_format(tmp_path, monkeypatch):
    """No flow checkpoint can be had everywhere: one with other numbers goes the whole way."""
    tf = pytest.importorskip("tensorflow")
    tensors = rebuild_tensors("flow")
    table = {name: (a.shape, masked_crc32c(a)) for name, a in tensors.items()}
    monkeypatch.setattr(pretrained, "published_tensors", lambda name: table)
    names = [f"Flow/inception_i3d/{name}" for name in tensors]
    prefix = str(tmp_path / "model.ckpt")
    blank = [""] * len(names)
    tf.raw_ops.SaveV2(
        prefix=prefix, tensor_names=names, shape_and_slices=blank, tensors=[*tensors.values()]
    )
    model, expected = (build("flow", 16, endpoint="Logits") for _ in range(2))
    set_tensors(expected, tensors)
    for where in ("model.ckpt", "model.ckpt.index", ""):
        model.set_weights([np.zeros_like(array) for array in model.get_weights()])
        assert load_pretrained(model, str(tmp_path / where), "flow") == "flow_scratch"
        for array, other in zip(model.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_array_equal(array, other)

    tensors[next(iter(tensors))][...] += 1e-3
    tf.raw_ops.SaveV2(
        prefix=prefix, tensor_names=names, shape_and_slices=blank, tensors=[*tensors.values()]
    )
    with pytest.raises(WeightsError, match="differs from the published one"):
        load_pretrained(model, str(tmp_path / "model.ckpt"), "flow")


@once
def test_parameters_are_the_published_ones():
    model = build(frames=16, frame_size=112, endpoint="Predictions")
    assert model.count_params() == sum(
        np.prod(shape) for shape, _ in published_tensors("rgb_scratch").values()
    )
    assert build("flow", 16, 112).count_params() == 12272592


@once
@pytest.mark.parametrize(
    ("endpoint", "shape"),
    [
        ("Conv3d_1a_7x7", (None, 8, 112, 112, 64)),
        ("Mixed_4f", (None, 4, 14, 14, 832)),
        ("Mixed_5c", (None, 2, 7, 7, 1024)),
        ("AvgPool3d", (None, 1, 1024)),
        ("Features", (None, 1024)),
    ],
)
def test_endpoints(endpoint, shape):
    assert build(frames=16, endpoint=endpoint).output_shape == shape


@pytest.mark.parametrize(("frames", "size"), [(8, 112), (13, 150), (None, None)])
def test_any_length_and_size(frames, size, small_i3d):
    model = build(frames=frames, frame_size=size)
    clip = np.zeros((1, frames or 17, size or 131, size or 131, 3), "float32")
    assert np.isfinite(np.asarray(model(clip))).all()


@once
@pytest.mark.parametrize(
    "arguments",
    [{"stream": "depth"}, {"frames": 7}, {"frame_size": 111}, {"endpoint": "Mixed_6a"}],
)
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match=str(next(iter(arguments.values())))):
        build(**arguments)


@once
def test_flops_are_counted():
    first = 2 * (32 * 112 * 112) * (7 * 7 * 7 * 3) * 64
    assert count_flops(build(frames=64, endpoint="Conv3d_1a_7x7")) == first
    with pytest.raises(ValueError, match="unknown size"):
        count_flops(build(frames=None))


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_batchnorm_learns_as_keras_own(precision):
    """In bfloat16 Keras' copies everything to float32 and back; ours has one kernel."""
    x = np.random.default_rng(0).normal(1, 3, (2, 3, 4, 4, 5)).astype("float32")
    results = []
    for kind in (keras.layers.BatchNormalization, FusedBatchNormalization):
        layer = kind(momentum=0.9, epsilon=1e-3, scale=False, dtype=precision)
        model = keras.Sequential([keras.Input(x.shape[1:]), layer, keras.layers.Flatten()])
        model.compile(keras.optimizers.SGD(1.0), "mse")
        model.train_on_batch(x, np.ones((2, 240), "float32"))
        learned = np.concatenate([np.asarray(w) for w in layer.weights])
        results.append([learned, np.asarray(layer(x)).astype("float32")])
    tolerance = 1e-5 if precision == "float32" else 1e-2
    for expected, found in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, atol=tolerance, rtol=tolerance)
    assert np.abs(results[0][0][5:10]).min() > 0.01  # the moving mean has moved


@once
def test_batchnorm_copies_nothing_to_learn():
    import tensorflow as tf

    layer = FusedBatchNormalization(scale=False, dtype="mixed_bfloat16")
    call = tf.function(lambda x: layer(x, training=True), autograph=False)
    graph = call.get_concrete_function(tf.TensorSpec((2, 3, 4, 4, 5), "bfloat16")).graph
    casts = [op for op in graph.get_operations() if op.type == "Cast"]
    assert not [op for op in casts if op.inputs[0].shape.rank > 1]
