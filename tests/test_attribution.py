"""Explanations: rollout against whole matrices, Grad-CAM by hand, maps on what matters."""

from dataclasses import replace

from models import vivit
from models.backbones import BACKBONES
from models.choices import SCHEMES, Size
from models.cutting import as_network, backbones_of, cut_after
from models.design import Design
from models.explaining.attribution import (
    find_centers,
    list_pooled,
    map_attention,
    normalize_grid,
    roll_out,
    tap_attention,
    tap_spatial,
    weigh_channels,
    weigh_numbers,
    weigh_raising,
)
from models.explaining.choices import METHODS, choose_method
from models.explaining.methods import Question, integrate, map_windows
from models.i3d_stages import STAGES
from models.networks import build, build_on_features
from models.timesformer import build_timesformer
from models.token_windows import partition
from models.vivit import build_vivit
from support.backends import once
from utils.fitting.gradients import differentiate
from utils.pictures.heat_maps import resize_maps

import keras
import numpy as np
import pytest

COLORS = {1: (0.7, 0, -0.7), 2: (-0.7, 0, 0.7)}
POOLINGS = ["class", pytest.param("fused", marks=once)]


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(vivit.SIZES, "tiny", Size(32, 2, 1, 4, 64, 32, 0, 0.0))


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def randomize(model):
    """Random weights everywhere: a fresh network would ignore all windows but the last."""
    generator = np.random.default_rng(1)
    model.set_weights([generator.normal(0, 0.3, w.shape) for w in model.get_weights()])
    return model


def assemble(tap, layer, inputs):
    """Return the (tokens, tokens) matrix of a layer of windows, entry by entry."""
    scores = np.asarray(layer.attention_scores(inputs))[0].mean(1)
    classes, size = layer.class_tokens, inputs.shape[1]
    places = np.arange(classes, size, dtype="float32")[None, :, None]
    members = np.asarray(partition(places, layer.plan))[0, :, :, 0].astype(int)
    matrix, copies = np.zeros((size, size)), len(members) // classes
    if not layer.joined:
        matrix[:classes, :classes] = np.eye(classes)
    for window, tokens in enumerate(members):
        own = [window // copies, *tokens] if layer.joined else tokens
        for row, query in enumerate(own):
            share = 1 / copies if query < classes else 1
            matrix[query, own] += share * scores[window, row]
    return matrix


@pytest.mark.models
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_rollout_is_the_product_of_whole_matrices(scheme, pooling):
    design = Design(size="tiny", patch_size=2, attention=scheme, pooling=pooling)
    head = randomize(build_timesformer((1, 4, 8, 8, 3), 5, design))
    tap = tap_attention(head)
    inputs = tap.model(draw(1, 1, 4, 8, 8, 3), training=False)
    assert tap.grid == (4, 4, 4) and len(inputs) == 2 * len(SCHEMES[scheme].windows)
    tokens = inputs[0].shape[1]
    relevance = list_pooled(tokens, tokens - 64, pooling)
    expected = relevance[0]
    for layer, x in reversed(list(zip(tap.layers, inputs, strict=True))):
        matrix = assemble(tap, layer, x)
        np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-5)
        expected = (expected + expected @ matrix) / 2
    found = np.asarray(roll_out(keras.ops.convert_to_tensor(relevance), tap, inputs))[0]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.ptp(expected[-64:]) > 1e-3
    maps = np.asarray(normalize_grid(found[None], tap.grid))
    assert maps.shape == (1, 4, 4, 4) and maps.sum() == pytest.approx(1, abs=1e-5)
    for index, layer in enumerate(tap.layers):
        step = tap.read(index, inputs[index])
        seen = np.asarray(map_attention(step, tap.grid))
        own = np.asarray(step.scores)[..., 0, 0].mean() if layer.joined else 0
        keys = step.scores.shape[-1]
        assert seen.mean() == pytest.approx(keys * (1 - own) / layer.plan.tokens, rel=1e-4)


@pytest.mark.models
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("embedder, grid", [("flatten", (8, 1, 1)), ("tubelet", (4, 4, 4))])
def test_rollout_of_vivit(embedder, grid, pooling):
    design = Design(size="tiny", patch_size=4, embedder=embedder, pooling=pooling)
    head = randomize(build_vivit((2, 4, 16, 16, 3), 5, design))
    tap = tap_attention(head)
    assert tap.grid == grid
    inputs = tap.model(draw(1, 2, 4, 16, 16, 3), training=False)
    tokens = inputs[0].shape[1]
    classes = tokens - int(np.prod(grid))
    assert classes == (pooling == "class")
    relevance = list_pooled(tokens, classes, pooling)
    expected = relevance
    for layer, x in reversed(list(zip(tap.layers, inputs, strict=True))):
        _, scores = layer(x, x, return_attention_scores=True)
        expected = (expected + expected @ np.asarray(scores)[0].mean(0)) / 2
    found = roll_out(keras.ops.convert_to_tensor(relevance), tap, inputs)
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-6)


def multiply(layers, inputs, pooling):
    """Return the row of what is pooled in the product of (matrix + identity) / 2, grid only."""
    size = inputs[0].shape[1]
    chosen = np.eye(size)[0] if pooling == "class" else np.full(size, 1 / size)
    for layer, x in reversed(list(zip(layers, inputs, strict=True))):
        scores = np.asarray(layer(x, x, return_attention_scores=True)[1])[0].mean(0)
        chosen = chosen @ (scores + np.eye(size)) / 2
    return chosen[1:] if pooling == "class" else chosen


@pytest.mark.models
@pytest.mark.parametrize("pooling", ["class", "fused"])
def test_rollout_of_a_factorised_vivit_goes_through_time_to_space(pooling):
    design = {"size": "tiny", "patch_size": 4, "embedder": "tubelet", "encoder": "factorised"}
    network = randomize(build("vivit", 5, 2, 4, 16, design=Design(pooling=pooling, **design)))
    head, clip = network.get_layer("head"), draw(1, 2, 4, 16, 16, 3)
    maps = METHODS["rollout"].explain(Question(network, clip, 0, 1, None, pooling=pooling))
    assert maps.values.shape == (1, 4, 4, 4) and maps.centers[0].tolist() == [0.5, 2.5, 4.5, 6.5]
    time, (space, embed) = tap_attention(head), tap_spatial(head)
    assert time.grid == (4, 1, 1) and space.grid == (1, 4, 4)
    tokens = embed(clip)[0]
    expected = [
        share * multiply(space.layers, space.run(tokens[place : place + 1]), pooling)
        for place, share in enumerate(multiply(time.layers, time.run(clip), pooling))
    ]
    expected = np.reshape(expected, (1, 4, 4, 4)) / np.sum(expected)
    np.testing.assert_allclose(maps.values, expected, atol=1e-6)
    assert np.ptp(expected.sum((2, 3))) > 1e-3 and np.ptp(expected[0, 0]) > 1e-4

    windows = map_windows(Question(network, clip, 0, 1, None))
    assert {name: number for name, (number, _) in windows.items()} == {
        "space attention": 2,
        "time attention": 1,
    }
    assert [maps.values.shape for _, maps in windows.values()] == [(1, 4, 4, 4), (1, 4, 1, 1)]
    assert list(map_windows(Question(network, clip, 0, 1, None), 2)) == ["space attention"]
    with pytest.raises(ValueError, match="block is 3; the network has blocks 1 to 2"):
        map_windows(Question(network, clip, 0, 1, None), 3)


@pytest.mark.models
@pytest.mark.parametrize("length, axis", [(64, 0), (33, 0), (224, 1), (115, 2)])
def test_centers_of_i3ds_maps(length, axis):
    """A ramp stays a ramp of the centers under averages, but for the edges."""
    ramp, all_stages = np.arange(length, dtype="float32")[None, :, None], BACKBONES["i3d"].stages
    for place, (name, kind, arguments) in enumerate(STAGES):
        if kind != "mixed":
            size, stride = (n if isinstance(n, int) else n[axis] for n in arguments[-2:])
            ramp = np.asarray(keras.ops.average_pool(ramp, size, stride, "same"))
        centers = find_centers(length, all_stages[: place + 1], axis)
        assert len(centers) == ramp.shape[1]
        if name in ("Conv3d_1a_7x7", "Mixed_4f"):
            np.testing.assert_allclose(centers[2:-2], ramp[0, 2:-2, 0], atol=1e-4)
    assert find_centers(64, all_stages, 0).tolist() == [5, 13, 21, 29, 37, 45, 53, 61]


def test_grad_cam_by_hand(small_i3d):
    """The average head, normalized features: the gradient of a pooled map is the feature's."""
    keras.utils.set_random_seed(0)
    network, clip = build("i3d", 3, 2, 8, 112), draw(1, 2, 8, 112, 112, 3)
    question = Question(network, clip, 2, -1, differentiate, endpoint="Mixed_5c")
    cam = METHODS["grad_cam"].explain(question)
    assert cam.values.shape == (2, 1, 4, 4)
    maps = np.asarray(cut_after(network, BACKBONES["i3d"].stages[-1])[0](clip))[0].astype(float)
    features = maps.mean((1, 2, 3))
    weights = network.get_layer("head").get_layer("logits").get_weights()[0][:, 2]
    weights = -weights  # of the class that the output speaks against
    spread = np.sqrt(features.var(1, keepdims=True) + 1e-3)
    z = (features - features.mean(1, keepdims=True)) / spread
    gradient = (weights - weights.mean() - z * (weights * z).mean(1, keepdims=True)) / spread / 2
    expected = np.maximum(np.einsum("sthwc,sc->sthw", maps, gradient / 16), 0)
    np.testing.assert_allclose(cam.values, expected, atol=1e-5 * expected.max())
    assert (expected > 0).any()
    finer = METHODS["grad_cam"].explain(replace(question, endpoint=""))
    assert finer.values.shape == (2, 2, 7, 7)
    with pytest.raises(ValueError, match="Unknown endpoint 'Mixed_9z'; known: Conv3d_1a_7x7"):
        METHODS["grad_cam"].explain(replace(question, endpoint="Mixed_9z"))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_integrated_gradients_add_up(activation):
    design = Design(size="tiny", patch_size=4)
    network = randomize(build("timesformer", 3, 1, 4, 16, design=design))
    clip = draw(1, 1, 4, 16, 16, 3)
    question = Question(network, clip, 1, 1, differentiate, activation, patch_size=4, steps=100)
    logits = network.predict(np.concatenate([clip, 0 * clip]), verbose=0)
    others = np.log(np.exp(logits[:, [0, 2]]).sum(1)) if activation == "softmax" else 0
    odds = logits[:, 1] - others
    assert integrate(question).sum() == pytest.approx(odds[0] - odds[1], rel=0.02)
    assert abs(odds[0] - odds[1]) > 0.03
    maps = METHODS["integrated_gradients"].explain(question)
    assert maps.values.shape == (1, 4, 4, 4) and maps.values.min() == 0
    assert maps.centers[1].tolist() == [1.5, 5.5, 9.5, 13.5]


def draw_squares(count, frames, size, side, seed):
    """Noisy clips of a square that moves somewhere: none, red or blue, which is the label.

    Without a class for no square one color would be what is said unless there is the other, and
    nothing would speak for it.

    Returns:
        (clips (count, 1, frames, size, size, 3) in [-1, 1], one-hot labels, where it is (count,
        frames, size, size)).
    """
    generator = np.random.default_rng(seed)
    clips = generator.uniform(-0.2, 0.2, (count, 1, frames, size, size, 3)).astype("float32")
    labels, places = generator.integers(0, 3, count), np.zeros((count, frames, size, size), bool)
    for clip, label, place in zip(clips, labels, places, strict=True):
        if not label:
            continue
        starts, ends = generator.uniform(0, size - side, (2, 2))
        for frame in range(frames):
            top, left = np.round(starts + (ends - starts) * frame / (frames - 1)).astype(int)
            clip[0, frame, top : top + side, left : left + side] += COLORS[label]
            place[frame, top : top + side, left : left + side] = True
    return clips, np.eye(3, dtype="float32")[labels], places


def measure(network, method, clips, targets, places, grid):
    """Return each clip's share of the relevance in patches that the square touches."""
    count, frames, size = places.shape[:3]
    patch = size // grid
    touched = places.reshape(count, frames, grid, patch, grid, patch).any((3, 5))
    shares = []
    for clip, target, patches in zip(clips, targets, touched, strict=True):
        if target[0]:
            continue
        question = Question(
            network, clip[None], int(target.argmax()), 1, differentiate, patch_size=patch
        )
        maps = METHODS[method].explain(question).values[0]
        shares.append(maps[patches].sum() / maps.sum())
    return np.array(shares), touched[targets[:, 0] == 0].mean()


def teach(scheme, size=48):
    """Train a tiny TimeSformer to tell red squares, blue ones and none."""
    keras.utils.set_random_seed(0)
    design = Design(0.0, size="tiny", patch_size=8, attention=scheme)
    network = build("timesformer", 3, 1, 4, size, design=design)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"], jit_compile=False)
    clips, targets, _ = draw_squares(512, 4, size, 8, 0)
    network.fit(clips, targets, batch_size=16, epochs=2, verbose=0)
    return network


def test_maps_are_on_the_square():
    """The place is random and tells nothing; the network has to find the square."""
    network = teach("divided")
    clips, targets, places = draw_squares(12, 4, 48, 8, 1)
    assert (np.asarray(network(clips)).argmax(1) == targets.argmax(1)).all()
    shares, uniform = measure(network, "integrated_gradients", clips, targets, places, 6)
    assert uniform < 0.1
    assert shares.mean() > 0.5 and shares.min() > 3 * uniform
    rolled, _ = measure(network, "rollout", clips, targets, places, 6)
    assert uniform < rolled.mean() < shares.mean()  # rollout asks for no class, and sees less


def build_seer():
    """Return an I3D that by its weights says "red" or "blue" where it sees such a place.

    Of every stage the first two channels pass on, unmixed, what the first convolution's center
    sees of red and of blue above the noise; all others are zero.
    """
    network = build("i3d", 3, 1, 8, 224, design=Design(0.0))
    for layer in backbones_of(network)["rgb"].layers:
        weights = [np.zeros_like(w) for w in layer.get_weights()]
        if layer.name == "Conv3d_1a_7x7.conv_3d":
            weights[0][3, 3, 3, 0, 0] = weights[0][3, 3, 3, 2, 1] = 1
        elif layer.name.endswith("conv_3d") and "Branch_" not in layer.name:
            weights[0][tuple(n // 2 for n in weights[0].shape[:3])][[0, 1], [0, 1]] = 1
        elif layer.name.endswith("Branch_0.Conv3d_0a_1x1.conv_3d"):
            weights[0][0, 0, 0, [0, 1], [0, 1]] = 1
        elif layer.name.endswith("batch_norm"):
            weights[-1][:] = 1
            weights[0][:] = -0.3 if layer.name.startswith("Conv3d_1a") else 0
        layer.set_weights(weights)
    logits = network.get_layer("head").get_layer("logits")
    kernel, bias = (np.zeros_like(w) for w in logits.get_weights())
    kernel[0, 1] = kernel[1, 2] = 1
    logits.set_weights([kernel, bias])
    return network


def test_grad_cam_is_on_the_square(small_i3d):
    """The last map is centered on it to half a cell of 32 pixels, most of a finer one is on it."""
    network, shares, misses = build_seer(), [], []
    clips, targets, places = draw_squares(4, 8, 224, 56, 2)
    rows = np.arange(224)
    for clip, target, place in zip(clips, targets, places, strict=True):
        if target[0]:
            continue
        question = Question(network, clip[None], int(target.argmax()), 1, differentiate)
        coarse = METHODS["grad_cam"].explain(replace(question, endpoint="Mixed_5c"))
        coarse = resize_maps(*coarse, 8, 224)
        misses += [
            rows @ (coarse.sum(axes) / coarse.sum() - place.sum(axes) / place.sum())
            for axes in ((0, 1), (0, 2))
        ]
        finer = METHODS["grad_cam"].explain(replace(question, endpoint="MaxPool3d_3a_3x3"))
        large = resize_maps(*finer, 8, 224)
        shares.append(large[place].sum() / large.sum())
    assert places.mean() < 0.07 and len(shares) > 1 and min(shares) > 0.5
    assert np.abs(misses).max() < 16


@pytest.mark.parametrize("name, stream", [("i3d_transformer", "flow"), ("i3d_vivit", "both")])
def test_grad_cam_of_other_streams_and_heads(name, stream):
    keras.utils.set_random_seed(0)
    network = build(name, 2, 1, 8, 112, stream)
    clip = draw(1, 1, 8, 112, 112, 2 if stream == "flow" else 5)
    maps = METHODS["grad_cam"].explain(Question(network, clip, 1, 1, differentiate))
    other = METHODS["grad_cam"].explain(Question(network, clip, 1, -1, differentiate))
    assert maps.values.shape == (1, 2, 7, 7) and (maps.values >= 0).all()
    assert (maps.values > 0).any() or (other.values > 0).any()
    assert not ((maps.values > 0) & (other.values > 0)).any()  # what speaks for, against it


def test_occlusion_is_the_fall_of_the_log_odds():
    """The average of two rows: without one of them, what the other says alone."""
    network = build_on_features("i3d", 3, 2, 8)
    rows = draw(1, 2, 8)
    maps = METHODS["occlusion"].explain(Question(network, rows, 2, 1, None))
    kernel, bias = network.get_layer("head").get_layer("logits").get_weights()
    spread = np.sqrt(rows[0].var(1, keepdims=True) + 1e-3)
    z = (rows[0] - rows[0].mean(1, keepdims=True)) / spread

    def odds(x):
        logits = x @ kernel + bias
        return logits[2] - np.log(np.exp(logits[:2]).sum())

    falls = [odds(z.mean(0)) - odds(z[1]), odds(z.mean(0)) - odds(z[0])]
    np.testing.assert_allclose(maps.values.ravel(), np.maximum(falls, 0), atol=1e-5)
    assert max(falls) > 0.01
    alone = METHODS["occlusion"].explain(
        Question(build_on_features("i3d", 3, 1, 8), rows[:, :1], 0, 1, None)
    )
    assert alone.values.tolist() == [[[[1.0]]]]


def test_a_network_with_its_own_i3d_has_maps(small_i3d):
    network = build("vivit", 2, 1, 8, 112, design=Design(embedder="i3d"))
    assert choose_method("", network) == "grad_cam"
    question = Question(network, draw(1, 1, 8, 112, 112, 3), 0, 1, differentiate)
    for name in ("occlusion", "grad_cam", "hires_cam", "layer_cam"):
        assert METHODS[name].explain(question).values.shape == (1, 2, 7, 7)
    assert METHODS["rollout"].explain(question).values.shape == (1, 1, 4, 4)
    with pytest.raises(ValueError, match="occlusion: networks with a backbone, or on features"):
        choose_method("occlusion", build("vivit", 2, 1, 4, 32, design=Design(size="tiny")))


def test_a_head_that_does_not_normalize_is_explained_at_the_last_stage(small_i3d):
    network = as_network(BACKBONES["i3d"].build("rgb", 8, 112, "Logits"))
    question = Question(network, draw(1, 1, 8, 112, 112, 3), 0, 1, differentiate)
    assert METHODS["grad_cam"].explain(question).values.shape == (1, 1, 4, 4)


def test_what_normalized_features_leave_of_grad_cam(small_i3d):
    """At the last stage its sum, of both signs, is zero: it tells of no place that it counts."""
    keras.utils.set_random_seed(0)
    network, clip = build("i3d_lstm", 2, 2, 8, 112), draw(1, 2, 8, 112, 112, 3)
    for layer in backbones_of(network)["rgb"].layers:  # features as large as real ones
        if layer.name.startswith("Mixed_5c") and layer.name.endswith("conv_3d"):
            layer.kernel.assign(30 * layer.kernel)
    for_it, against = (
        METHODS["grad_cam"]
        .explain(Question(network, clip, 1, sign, differentiate, endpoint="Mixed_5c"))
        .values
        for sign in (1, -1)
    )
    assert for_it.sum() == pytest.approx(against.sum(), rel=1e-2) and for_it.any()


def test_class_activation_maps_by_hand():
    maps, gradients = draw(1, 2, 1, 3, 3, 4), draw(1, 2, 1, 3, 3, 4)[..., ::-1]
    weights = gradients.mean((2, 3, 4), keepdims=True)
    expected = {
        weigh_channels: (maps * weights).sum(-1),
        weigh_numbers: (maps * gradients).sum(-1),
        weigh_raising: (maps * np.maximum(gradients, 0)).sum(-1),
    }
    for weigh, values in expected.items():
        np.testing.assert_allclose(weigh(maps, gradients), np.maximum(values, 0), atol=1e-6)


def test_occlusion_by_hand(small_i3d):
    """The mean fall of the log-odds over the windows that hide a place, each in one segment."""
    keras.utils.set_random_seed(0)
    network, clip = build("i3d", 2, 2, 8, 112), draw(1, 2, 8, 112, 112, 3)
    question = Question(network, clip, 1, 1, differentiate, endpoint="Mixed_5c")
    found = METHODS["occlusion"].explain(question).values
    first, rest = cut_after(network, BACKBONES["i3d"].stages[-1])
    maps = np.asarray(first(clip))[0]

    def odds(changed):
        logits = np.asarray(rest(changed[None]))[0]
        return logits[1] - logits[0]

    falls, windows = np.zeros((2, 4, 4)), np.zeros((4, 4))
    for row in range(3):
        for column in range(3):
            window = slice(row, row + 2), slice(column, column + 2)
            windows[window] += 1
            for segment in range(2):
                hidden = maps.copy()
                hidden[(segment, 0, *window)] = maps[segment].mean((0, 1, 2))
                falls[(segment, *window)] += odds(maps) - odds(hidden)
    assert found.shape == (2, 1, 4, 4) and found.any()
    np.testing.assert_allclose(found[:, 0], np.maximum(falls / windows, 0), atol=1e-5)
    assert METHODS["occlusion"].explain(replace(question, endpoint="")).values.shape == (
        2,
        2,
        7,
        7,
    )
