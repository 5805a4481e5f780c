"""What a decision rests on: attention rolled out to the tokens, and class activation maps.

Abnar and Zuidema, Quantifying Attention Flow in Transformers, ACL 2020; Selvaraju et al.,
Grad-CAM, ICCV 2017; Draelos and Carin, Use HiResCAM instead of Grad-CAM, 2020; Jiang et al.,
LayerCAM, IEEE TIP 2021. Gradients are taken by the caller, Keras has none.
"""

import math
from typing import NamedTuple

from models.attention import SelfAttention, WindowAttention
from models.choices import Window
from models.token_windows import Partition, merge, partition, plan_partition

import keras
import numpy as np
from keras import layers, ops


class Attention(NamedTuple):
    """An attention layer on one input.

    Attributes:
        plan: a `Partition` of the grid of tokens.
        class_tokens: how many stand before the grid's.
        joined: whether those take part; then one begins each window.
        scores: (batch, windows, queries, keys), the mean over the heads.
    """

    plan: Partition
    class_tokens: int
    joined: bool
    scores: object

    @property
    def copies(self):
        """How many windows a class token stands in."""
        return self.plan.windows // max(self.class_tokens, 1)


def _read_windows(layer, grid, inputs):
    scores = ops.mean(layer.attention_scores(inputs), axis=2)
    return Attention(layer.plan, layer.class_tokens, layer.joined, scores)


def _read_all(layer, grid, inputs):
    plan = plan_partition(grid, Window("all", "all", "all"))
    class_tokens = inputs.shape[1] - plan.tokens
    _, scores = layer(inputs, inputs, return_attention_scores=True)
    return Attention(plan, class_tokens, class_tokens > 0, ops.mean(scores, axis=1)[:, None])


# Networks of earlier versions have Keras' own attention.
_READERS = {
    WindowAttention: _read_windows,
    SelfAttention: _read_all,
    layers.MultiHeadAttention: _read_all,
}


class Tap(NamedTuple):
    """An encoder's attention layers, laid open.

    Attributes:
        model: from the encoder's input to every attention layer's input, (batch, tokens, dim) each.
        layers: the attention layers, in order.
        grid: tokens along (time, height, width).
    """

    model: keras.Model
    layers: list
    grid: tuple[int, int, int]

    def run(self, inputs):
        """Return the list of every attention layer's input, from the encoder's."""
        return keras.tree.flatten(self.model(inputs, training=False))

    def read(self, index, inputs):
        """Return the `Attention` of a layer, from the index and the input of it."""
        layer = self.layers[index]
        return _READERS[type(layer)](layer, self.grid, inputs)


def has_grid(head):
    """Return whether a head attends over a grid of tokens: TimeSformer, or ViViT."""
    return any(layer.name in ("sequence", "spatial") for layer in head.layers)


def _tap(model, grid):
    found = [layer for layer in model.layers if type(layer) in _READERS]
    inputs = [keras.tree.flatten(layer.input)[0] for layer in found]
    return Tap(keras.Model(model.input, inputs), found, grid)


def tap_attention(head):
    """Return the `Tap` of a head for which `has_grid`.

    Of a factorised ViViT it is the temporal encoder's, whose tokens are the times; see
    `tap_spatial`.
    """
    names = [layer.name for layer in head.layers]
    shape = head.get_layer("patches" if "patches" in names else "tokens").input.shape[1:-1]
    return _tap(head, (shape[0], 1, 1) if "spatial" in names else (*shape, 1)[:3])


def tap_spatial(head):
    """Return the `Tap` of a factorised ViViT's spatial encoder, and the model of what it takes.

    The latter leads from the head's input to (batch, times, places, dim), of which each time is an
    example of the `Tap`'s model. (None, None) for other heads.
    """
    if "spatial" not in [layer.name for layer in head.layers]:
        return None, None
    tokens = head.get_layer("tokens")
    tap = _tap(head.get_layer("spatial").layer, (1, *tokens.input.shape[2:-1]))
    return tap, keras.Model(head.input, tokens.output)


def pass_back(relevance, step):
    """Multiply a row of relevances (batch, tokens) with a layer's attention, token by token.

    A class token's row is the mean of its copies' rows; one that takes no part keeps its relevance.
    """
    classes, grid = relevance[:, : step.class_tokens], relevance[:, step.class_tokens :]
    rows = partition(grid[..., None], step.plan)[..., 0]
    if step.joined:
        copies = ops.repeat(classes / step.copies, step.copies, axis=1)
        rows = ops.concatenate([copies[..., None], rows], axis=2)
    columns = ops.einsum("bwq,bwqk->bwk", rows, step.scores)
    if step.joined:
        copies = ops.reshape(columns[:, :, 0], (-1, step.class_tokens, step.copies))
        classes, columns = ops.sum(copies, axis=2), columns[:, :, 1:]
    return ops.concatenate([classes, merge(columns[..., None], step.plan)[..., 0]], axis=1)


def roll_out(relevance, tap, inputs):
    """Follow a decision back through all attention to the tokens that went in.

    A row vector goes back through the layers, one layer's scores being held at a time; no matrix
    of all tokens by all is formed but where a window holds them all. Each window of a block is a
    layer of its own, and counts half as attention, half as the residual connection around it,
    whatever their sizes: MLPs, values and projections are left out, also an entry projection that
    is still zero, and so is the class that is asked for.

    Args:
        relevance: (batch, tokens) of the last tokens, such as from `list_pooled`.
        tap: a `Tap`.
        inputs: of its layers.

    Returns:
        (batch, tokens), class tokens first, of the same sum.
    """
    for index in reversed(range(len(tap.layers))):
        attended = pass_back(relevance, tap.read(index, inputs[index]))
        relevance = (relevance + attended) / 2
    return relevance


def list_pooled(tokens, class_tokens, pooling):
    """Return the share (1, tokens) that each last token has in what is classified.

    Args:
        tokens: how many, class tokens first.
        class_tokens: how many of them; with none, the mean of all tokens is classified.
        pooling: of the `Design`.
    """
    chosen = np.arange(tokens) < class_tokens
    if pooling == "fused" or not class_tokens:
        chosen = ~chosen
    return (chosen / chosen.sum()).astype("float32")[None]


def normalize_grid(relevance, grid):
    """Leave class tokens out of (batch, tokens) and scale the rest to a sum of one.

    Returns:
        (batch, time, height, width).
    """
    x = ops.cast(relevance, "float32")[:, -math.prod(grid) :]
    return ops.reshape(x / ops.sum(x, axis=1, keepdims=True), (-1, *grid))


def map_attention(step, grid):
    """Return a layer's attention as a map, 1 being attention to all keys alike.

    Where class tokens take part it is what they pay to the places of their windows; else what
    each place receives from its window, on average.

    Args:
        step: a `Attention`.
        grid: tokens along (time, height, width).

    Returns:
        (batch, time, height, width).
    """
    seen = step.scores[:, :, 0, 1:] if step.joined else ops.mean(step.scores, axis=2)
    seen = ops.cast(step.scores.shape[-1] * seen[..., None], "float32")
    return ops.reshape(merge(seen, step.plan), (-1, *grid))


def weigh_channels(maps, gradients):
    """Return Grad-CAM: channels weighed by their mean gradient, summed, what is positive.

    Args:
        maps: (batch, segments, time, height, width, channels).
        gradients: of an output with respect to the maps.

    Returns:
        (batch, segments, time, height, width).
    """
    return weigh_numbers(maps, ops.mean(gradients, axis=(2, 3, 4), keepdims=True))


def weigh_numbers(maps, gradients):
    """Return HiResCAM: numbers times their own gradients, as in `weigh_channels`."""
    maps, gradients = ops.cast(maps, "float32"), ops.cast(gradients, "float32")
    return ops.relu(ops.sum(gradients * maps, axis=-1))


def weigh_raising(maps, gradients):
    """Return LayerCAM: numbers times their own positive gradients, as in `weigh_channels`."""
    return weigh_numbers(maps, ops.relu(gradients))


def find_centers(length, stages, axis):
    """Return where the places of the last of some stages' maps are centered in their input.

    Padding is considered.

    Args:
        length: of the clip along the axis, in frames or pixels.
        stages: list of `models.backbones.Stage`, from the backbone's first on.
        axis: 0 for time, 1 for height, 2 for width.

    Returns:
        Float array of the centers' indices.
    """
    centers = np.arange(length, dtype=float)
    for stage in stages:
        size, stride = stage.size[axis], stage.stride[axis]
        count = -(-len(centers) // stride)
        left = max((count - 1) * stride + size - len(centers), 0) // 2
        places = stride * np.arange(count) - left + (size - 1) / 2
        gap = centers[-1] - centers[-2] if len(centers) > 1 else 1
        centers = centers[0] + gap * places
    return centers
