"""I3D against an independent implementation, endpoint by endpoint."""

import zlib
from pathlib import Path

from models.flops import count_flops
from models.i3d import build_i3d
from models.pretrained import published_tensors, set_tensors

import numpy as np
import pytest

pytestmark = pytest.mark.models
REFERENCE = np.load(Path(__file__).with_name("i3d_reference.npz"))


def rebuild_weight(name, shape):
    z = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype("float32")
    if name.endswith("/w"):
        return z * np.float32(np.sqrt(2 / np.prod(shape[:-1])))
    return 1 + 0.5 * np.abs(z) if name.endswith("moving_variance") else 0.1 * z


@pytest.mark.parametrize("frames", [16, 64])
@pytest.mark.parametrize(("stream", "channels"), [("rgb", 3), ("flow", 2)])
def test_outputs_are_the_reference(stream, channels, frames):
    prefix = {"rgb": "RGB", "flow": "Flow"}[stream]
    tensors = {
        name: rebuild_weight(f"{prefix}/inception_i3d/{name}", shape)
        for name, (shape, _) in published_tensors(f"{stream}_scratch").items()
    }
    generator = np.random.default_rng(49403 + frames + channels)
    clip = generator.uniform(-1, 1, (1, frames, 224, 224, channels)).astype("float32")
    ends = ["AvgPool3d", "Logits"] if frames == 16 else ["Logits"]
    for endpoint in ends:
        model = build_i3d(stream, frames, endpoint=endpoint)
        set_tensors(model, tensors)
        model.compile(jit_compile=False)
        expected = REFERENCE[
            f"{prefix}_{frames}_{'logits' if endpoint == 'Logits' else 'features'}"
        ]
        np.testing.assert_allclose(model.predict_on_batch(clip), expected, atol=1e-4)


def test_parameters_are_the_published_ones():
    model = build_i3d(frames=16, frame_size=112, endpoint="Predictions")
    assert model.count_params() == sum(
        np.prod(shape) for shape, _ in published_tensors("rgb_scratch").values()
    )
    assert build_i3d("flow", 16, 112).count_params() == 12272592


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
    assert build_i3d(frames=16, endpoint=endpoint).output_shape == shape


@pytest.mark.parametrize(("frames", "size"), [(8, 112), (13, 150), (None, None)])
def test_any_length_and_size(frames, size):
    model = build_i3d(frames=frames, frame_size=size)
    clip = np.zeros((1, frames or 17, size or 131, size or 131, 3), "float32")
    assert np.isfinite(np.asarray(model(clip))).all()


@pytest.mark.parametrize(
    "arguments",
    [{"stream": "depth"}, {"frames": 7}, {"frame_size": 111}, {"endpoint": "Mixed_6a"}],
)
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match=str(next(iter(arguments.values())))):
        build_i3d(**arguments)


def test_flops_are_counted():
    first = 2 * (32 * 112 * 112) * (7 * 7 * 7 * 3) * 64
    assert count_flops(build_i3d(frames=64, endpoint="Conv3d_1a_7x7")) == first
    with pytest.raises(ValueError, match="unknown size"):
        count_flops(build_i3d(frames=None))
