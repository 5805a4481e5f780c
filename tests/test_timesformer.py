"""TimeSformer: published sizes, every scheme against NumPy, chunks, positions, bad input."""

import itertools

from models import attention, timesformer, vivit
from models.attention import WindowAttention
from models.choices import POSITIONS, SCHEMES, Size, Window
from models.design import Design
from models.flops import count_flops
from models.networks import build
from models.timesformer import RESIZERS, build_timesformer
from models.token_windows import merge, partition, plan_partition
from support.backends import once

import keras
import numpy as np
import pytest

# Scheme: parameters with 400 classes; millions in the paper's table 1 (SSv2's 174 classes).
PARAMETERS = {
    "space": (86_106_256, 85.9),
    "joint": (86_112_400, 85.9),
    "divided": (121_566_352, 121.4),
    "local_global": (121_566_352, 121.4),
    "axial": (157_020_304, 156.8),
}
# Frames, frame size: 10^12 multiply-adds of three views (tables 4 and 5).
WORK = {(8, 224): 0.59, (16, 448): 5.11, (96, 224): 7.14}
# Who shares a window, from the differences of two tokens' places and the places themselves.
TOGETHER = {
    "all": lambda a, b, n: True,
    "each": lambda a, b, n: a == b,
    "half": lambda a, b, n: (a < n // 2) == (b < n // 2),
    "second": lambda a, b, n: (a - b) % 2 == 0,
}
BASE = vivit.SIZES["base"]
TINY = Size(16, 2, 0, 2, 24, 0, 0, 0.0)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(vivit.SIZES, "tiny", TINY)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def build_tiny(frames=4, side=8, **choices):
    """A network with random weights everywhere: fresh, it would ignore all windows but the last."""
    design = Design(size="tiny", patch_size=2, dropout=0, **choices)
    model = build_timesformer((1, frames, side, side, 3), 5, design)
    generator = np.random.default_rng(1)
    model.set_weights([generator.normal(0, 0.3, w.shape) for w in model.get_weights()])
    return model


def _count_base(monkeypatch, frames, size, scheme="divided"):
    """Return (parameters, multiply-adds) of ViT-B's 12 blocks, from networks of one and of two."""
    counts = []
    for depth in (1, 2):
        monkeypatch.setitem(vivit.SIZES, "base", BASE._replace(depth=depth))
        design = Design(size="base", attention=scheme)
        network = build("timesformer", 400, 1, frames, size, design=design)
        counts.append(np.array([network.count_params(), count_flops(network) // 2]))
    return counts[0] + 11 * (counts[1] - counts[0])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_published_size(scheme, monkeypatch):
    """The paper counts the networks with SSv2's 174 outputs; 400 have (400 - 174) x 769 more."""
    exact, millions = PARAMETERS[scheme]
    assert BASE.depth == 12
    assert _count_base(monkeypatch, 8, 224, scheme)[0] == exact
    assert (exact - (400 - 174) * 769) / 1e6 == pytest.approx(millions, abs=0.06)


@pytest.mark.parametrize(("frames", "size"), WORK)
def test_published_work(frames, size, monkeypatch):
    work = 3 * _count_base(monkeypatch, frames, size)[1] / 1e12
    assert work == pytest.approx(WORK[frames, size], rel=0.01)


def test_partition_brings_together_what_the_rules_say():
    grid = (4, 6, 2)
    places = np.array(list(itertools.product(*map(range, grid))))
    for window in (Window("all", "half", "each"), Window("second", "second", "all")):
        plan = plan_partition(grid, window)
        windows = np.asarray(partition(places[None].astype("float32"), plan))[0].astype(int)
        assert windows.shape == (plan.windows, plan.tokens, 3)
        for members in windows:
            found = {tuple(place) for place in members}
            assert found == {tuple(p) for p in places if _share(members[0], p, grid, window)}
        tokens = draw(2, len(places), 3)
        np.testing.assert_array_equal(merge(partition(tokens, plan), plan), tokens)


def _share(a, b, grid, window):
    return all(TOGETHER[rule](i, j, n) for i, j, n, rule in zip(a, b, grid, window, strict=True))


def _softmax(scores):
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    return scores / scores.sum(-1, keepdims=True)


def _attend_in_numpy(layer, x):
    """Attention of a layer with full, masked matrices: (tokens, dim) to the same."""
    count, grid = layer.class_tokens, layer.grid
    places = list(itertools.product(*map(range, grid)))
    mask = np.array([[_share(a, b, grid, layer.window) for b in places] for a in places])
    weights = [np.asarray(w, "float64") for w in layer.get_weights()]
    q, k, v = np.split(x @ weights[0] + weights[1], 3, axis=1)
    out = np.zeros_like(x)
    # A class token stands in several windows, or each in its own: a copy for each kind of row.
    rows, owner = np.unique(mask, axis=0, return_inverse=True)
    first = [int(np.argmax(row)) for row in rows]
    of_window = {w: rank * count // len(rows) for rank, w in enumerate(np.argsort(first))}
    for head in range(layer.heads):
        d = slice(head * q.shape[1] // layer.heads, (head + 1) * q.shape[1] // layer.heads)
        scores = q[:, d] @ k[:, d].T / np.sqrt(d.stop - d.start)
        for window, row in enumerate(rows):
            seen = np.zeros(len(x), bool)
            seen[count:] = row
            if layer.joined:
                seen[of_window[window]] = True
            asking = [count + i for i in np.flatnonzero(owner.ravel() == window)]
            weighed = _softmax(np.where(seen, scores, -np.inf)) @ v[:, d]
            out[asking, d] = weighed[asking]
            if layer.joined:
                out[of_window[window], d] += weighed[of_window[window]] / (len(rows) // count)
    out = out @ weights[2] + weights[3]
    if not layer.joined:
        out = out @ weights[4] + weights[5]
        out[:count] = 0
    return out


@pytest.mark.models
@pytest.mark.parametrize("scheme", SCHEMES)
def test_schemes_against_masked_full_attention(scheme):
    model = build_tiny(attention=scheme)
    for layer in (layer for layer in model.layers if isinstance(layer, WindowAttention)):
        x = draw(2, layer.class_tokens + int(np.prod(layer.grid)), 16)
        expected = np.stack([_attend_in_numpy(layer, example) for example in x])
        np.testing.assert_allclose(layer(x), expected, atol=2e-5)
        scores = np.asarray(layer.attention_scores(x))
        assert scores.shape[:3] == (2, layer.plan.windows, 2)
        np.testing.assert_allclose(scores.sum(-1), 1, atol=1e-5)


def _gelu(x):
    """GELU with an erf of numpy's own making (Abramowitz and Stegun 7.1.26, 1.5e-7)."""
    z = np.abs(x) / np.sqrt(2)
    t = 1 / (1 + 0.3275911 * z)
    p = ((((1.061405429 * t - 1.453152027) * t) + 1.421413741) * t - 0.284496736) * t + 0.254829592
    return x * (1 + np.sign(x) * (1 - p * t * np.exp(-z * z))) / 2


def _forward_in_numpy(model, clip):
    """Logits of one clip (frames, height, width, 3)."""
    weights = {
        layer.name: [np.asarray(w, "float64") for w in layer.get_weights()]
        for layer in model.layers
    }

    def norm(x, name):
        scale, shift = weights[name]
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(
            x.var(-1, keepdims=True) + 1e-6
        ) * scale + shift

    kernel, bias = weights["projection"]
    _, patch, _, _, dim = kernel.shape
    t, h, w, _ = clip.shape
    cut = clip.reshape(t, h // patch, patch, w // patch, patch, 3)
    x = np.einsum("thpwqc,pqcd->thwd", cut, kernel[0]) + bias
    attentions = [layer for layer in model.layers if isinstance(layer, WindowAttention)]
    count = attentions[0].class_tokens
    space = weights["space_positions"][0][0]
    time = weights.get("time_positions", [np.zeros((1, t, dim))])[0][0]  # space has none
    x = x.reshape(t, -1, dim) + space[1:] + time[:, None]
    x = np.concatenate(
        [np.repeat(weights["class_token"][0][0] + space[:1], count, 0), x.reshape(-1, dim)]
    )
    for layer in attentions:
        x = x + _attend_in_numpy(layer, norm(x, f"{layer.name}_norm"))
        if layer.joined:
            part = layer.name.rsplit("_", 1)[0].replace("_space", "") + "_mlp"
            (w1, b1), (w2, b2) = weights[f"{part}_1"], weights[f"{part}_2"]
            x = x + _gelu(norm(x, f"{part}_norm") @ w1 + b1) @ w2 + b2
    kernel, bias = weights["logits"]
    return norm(x, "norm")[:count].mean(0) @ kernel + bias


@pytest.mark.models
@pytest.mark.parametrize("scheme", SCHEMES)
def test_networks_against_numpy(scheme):
    model = build_tiny(attention=scheme)
    clips = draw(2, 1, 4, 8, 8, 3)
    expected = [_forward_in_numpy(model, clip[0].astype("float64")) for clip in clips]
    np.testing.assert_allclose(model(clips), expected, atol=1e-4)


def _trained(scheme, limit, monkeypatch):
    monkeypatch.setattr(attention, "SCORES", 4 * limit)
    monkeypatch.setattr(attention, "TOGETHER", {"cpu": limit, "gpu": limit})
    monkeypatch.setitem(vivit.SIZES, "tiny", TINY._replace(depth=1))
    model = build_tiny(attention=scheme)
    model.compile("sgd", "mse")
    model.train_on_batch(draw(3, 1, 4, 8, 8, 3), draw(3, 5))
    return model.get_weights()


@pytest.mark.models
@pytest.mark.parametrize(("scheme", "limit"), [("joint", 300), ("divided", 60)])
def test_chunks_change_nothing(scheme, limit, monkeypatch):
    """One step of training: outputs and all gradients are those of the whole matrices."""
    whole = _trained(scheme, 2**40, monkeypatch)
    for expected, found in zip(whole, _trained(scheme, limit, monkeypatch), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("matrices", "tokens", "limit", "planned"),
    [
        (12, 1569, 2**22, (1, 1)),
        (12, 18817, 2**22, (1, 22)),
        (96, 197, 2**22, (96, 1)),
        (96, 197, 2**20, (24, 1)),
        (7, 10, 150, (1, 1)),
    ],
)
def test_plan_of_chunks(matrices, tokens, limit, planned):
    assert attention.plan_chunks(matrices, tokens, limit, 4 * limit) == planned


@once
@pytest.mark.models
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("positions", POSITIONS)
def test_who_sees_the_order_of_frames(scheme, positions):
    """Without time embeddings no scheme that treats all frames alike can tell their order."""
    model = build_tiny(attention=scheme, positions=positions)
    clip = draw(1, 1, 4, 8, 8, 3)
    difference = np.abs(np.asarray(model(clip)) - np.asarray(model(clip[:, :, [2, 0, 3, 1]]))).max()
    timed = positions == "space_time" and scheme != "space"
    sees = timed or scheme == "local_global"  # whose windows skip frames
    assert difference > 3e-4 if sees else difference < 1e-4


@pytest.mark.models
def test_fused_pooling_and_saving(tmp_path):
    model = build_tiny(attention="axial", pooling="fused", stochastic_depth=0.5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    clips = draw(2, 1, 4, 8, 8, 3)
    np.testing.assert_allclose(loaded(clips), model(clips), atol=1e-6)
    assert (
        np.abs(np.asarray(model(clips)) - np.asarray(build_tiny(attention="axial")(clips))).max()
        > 1e-3
    )


def test_resized_positions():
    space, time = draw(1 + 16, 3), np.arange(4.0)[:, None] * [1, -2]
    np.testing.assert_allclose(RESIZERS["space_positions"](space, 17), space, atol=1e-6)
    larger = RESIZERS["space_positions"](space, 1 + 64)
    np.testing.assert_array_equal(larger[0], space[0])
    assert larger.shape == (65, 3) and abs(larger[1:].mean() - space[1:].mean()) < 0.05
    doubled = RESIZERS["time_positions"](time, 8)
    np.testing.assert_allclose(doubled[1:-1, 0], np.arange(0.25, 3, 0.5))
    with pytest.raises(ValueError, match="no square grid"):
        RESIZERS["space_positions"](draw(13, 3), 17)


@pytest.mark.parametrize(
    ("shape", "choices", "message"),
    [
        ((4, 8, 8), {"attention": "time"}, "Unknown attention 'time'; known: space, joint, divid"),
        ((4, 8, 8), {"positions": "learned"}, "Unknown positions 'learned'; known: none, space"),
        ((4, 8, 8), {"pooling": "max"}, "Unknown pooling 'max'; known: class, fused"),
        ((4, 9, 9), {}, "4 frames of 9 x 9 pixels cannot be cut into pieces of 1 x 2 x 2"),
        ((1, 8, 8), {}, "Attention over time needs several tokens there, but the grid is 1 x 4"),
        ((4, 2, 2), {"attention": "axial"}, "Attention over width needs several tokens there"),
        ((4, 2, 2), {"attention": "space"}, "Attention over height and width needs several tok"),
        ((3, 8, 8), {"attention": "local_global"}, "cuts the time in two, but it has an odd"),
        ((4, 6, 6), {"attention": "local_global"}, "cuts the height in two, but it has an odd"),
    ],
)
def test_bad_designs(shape, choices, message):
    with pytest.raises(ValueError, match=message):
        build_timesformer((1, *shape, 3), 5, Design(size="tiny", patch_size=2, **choices))


def test_attention_needs_a_whole_grid():
    layer = WindowAttention((2, 2, 2), Window("all", "all", "all"), 2)
    with pytest.raises(ValueError, match="10 tokens; expected 1 class tokens and a grid of"):
        layer.build((None, 10, 16))
    assert timesformer.SCHEMES["axial"].windows["width"] == Window("each", "each", "all")
