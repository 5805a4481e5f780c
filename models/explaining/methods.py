"""Ways to explain a network's decision by maps over space and time.

`models.explaining.choices` has a row for each.

Integrated gradients: Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017;
occlusion: Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014;
attention rollout and class activation maps as in `models.explaining.attribution`.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from models.backbones import BACKBONES
from models.cutting import backbones_of, cut_after, name_backbone
from models.explaining.attribution import (
    find_centers,
    has_grid,
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

import keras
import numpy as np
from keras import ops

_NUMBERS = 2**21  # of the clips that a gradient is taken of at a time


@dataclass(frozen=True)
class Question:
    """What is to be explained.

    Attributes:
        network: of the run.
        clip: (1, segments, frames, height, width, channels), or features (1, segments, channels).
        column: of the logits, the class's, or the only one.
        sign: -1 where the class is the one that the only output speaks against, else 1.
        differentiate: function (model, inputs, score) -> gradient of score(model(inputs)) with
            respect to the inputs.
        activation: of the logits, "softmax" or "sigmoid".
        pooling, patch_size: of the `Design`.
        endpoint: a stage of the backbone, for class activation maps and occlusion; "": the one
            that the backbone's row names where the head normalizes features, else the last.
        steps: of integrated gradients.
    """

    network: keras.Model
    clip: np.ndarray
    column: int
    sign: int
    differentiate: Callable
    activation: str = "softmax"
    pooling: str = "class"
    patch_size: int = 16
    endpoint: str = ""
    steps: int = 16

    def logit(self, logits):
        """Return the class's logit, summed over the clips of (batch, outputs)."""
        return self.sign * ops.sum(logits[:, self.column])

    def list_log_odds(self, logits):
        """Return the logarithm of the class's odds in each clip, (batch,), by the activation."""
        logit = self.sign * logits[:, self.column]
        if self.activation == "sigmoid":
            return logit
        others = [i for i in range(logits.shape[1]) if i != self.column]
        rest = ops.take(logits, others, axis=1) if others else ops.zeros_like(logits)
        return logit - ops.logsumexp(rest, axis=1)

    def log_odds(self, logits):
        """Return the sum of `list_log_odds`."""
        return ops.sum(self.list_log_odds(logits))

    def score(self, clips):
        """Return the class's log-odds in clips, one after the other: float array (clips,).

        Args:
            clips: like `clip`, without the batch; generators too.
        """
        logits = [self.network(clip[None], training=False)[0] for clip in clips]
        return np.asarray(self.list_log_odds(ops.stack(logits)))


class Maps(NamedTuple):
    """Relevance (segments, time, rows, columns), and where the places of a segment's axes lie."""

    values: np.ndarray
    centers: list


def _divide(length, count):
    """Return the centers of `count` equal parts."""
    return (np.arange(count) + 0.5) * length / count - 0.5


def integrate(question):
    """Integrate gradients on the way from a gray clip to this one.

    Returns:
        Float array like the clip without batch and channels, (segments, frames, height, width);
        its sum is the class's log-odds, less those of the gray clip, up to the size of the steps.
    """
    clip, steps = question.clip, question.steps
    shares = ((np.arange(steps) + 0.5) / steps).reshape(-1, 1, 1, 1, 1, 1)
    total, together = 0, max(_NUMBERS // clip.size, 1)
    for start in range(0, steps, together):
        parts = (clip * shares[start : start + together]).astype(np.float32)
        gradients = question.differentiate(question.network, parts, question.log_odds)
        total += np.asarray(gradients).sum(0)
    return (clip[0] * total / steps).sum(-1)


def integrate_patches(question):
    """Sum integrated gradients within each patch and frame; what speaks for the class."""
    values = integrate(question)
    segments, frames, side = values.shape[:3]
    patch = math.gcd(side, question.patch_size)
    parts = (segments, frames, side // patch, patch, side // patch, patch)
    centers = [np.arange(frames), *[_divide(side, side // patch)] * 2]
    return Maps(np.maximum(values.reshape(parts).sum((3, 5)), 0), centers)


def _read_attention(question):
    """Return {name: (`Tap`, its layers' inputs)} of the head's encoders, and the tokens' centers.

    Of a factorised ViViT, space comes before time, as in the network.
    """
    network, clip = question.network, question.clip
    head, (segments, *lengths) = network.get_layer("head"), clip.shape[1:5]
    tap, (spatial, embed) = tap_attention(head), tap_spatial(head)
    if not backbones_of(network):
        lengths[0] *= segments
        grid = (tap.grid[0], *spatial.grid[1:]) if spatial else tap.grid
        centers = [_divide(*axis) for axis in zip(lengths, grid, strict=True)]
    else:
        clip = network.get_layer("backbone")(clip, training=False)
        stages = BACKBONES[name_backbone(network)].stages
        centers = [find_centers(length, stages, axis) for axis, length in enumerate(lengths)]
    encoders = {"time" if spatial else "": (tap, tap.run(clip))}
    if spatial:
        tokens = embed(clip, training=False)[0]  # (times, places, dim)
        encoders = {"space": (spatial, spatial.run(tokens))} | encoders
    return encoders, centers


def roll_out_attention(question):
    """Roll attention out from what is classified to the tokens.

    Through a factorised ViViT the relevance of a time, of the temporal encoder, goes on to the
    places of that time.
    """
    encoders, centers = _read_attention(question)
    relevance = ops.ones((1, 1))
    for tap, inputs in reversed(encoders.values()):
        tokens, places = inputs[0].shape[1], math.prod(tap.grid)
        pooled = list_pooled(tokens, tokens - places, question.pooling)
        relevance = ops.reshape(relevance, (-1, 1)) * pooled
        relevance = roll_out(ops.cast(relevance, inputs[0].dtype), tap, inputs)[:, -places:]
    count = math.prod(relevance.shape)
    values = normalize_grid(ops.reshape(relevance, (1, count)), (count, 1, 1))
    return Maps(np.asarray(values).reshape(-1, *map(len, centers)), centers)


def map_windows(question, block=0):
    """Return the raw attention of each window of a block.

    Args:
        question: a `Question` whose network attends over a grid of tokens.
        block: counted from 1; 0: the last, of each encoder where there are two.

    Returns:
        {name: (number of its block, Maps)}; as in `models.explaining.attribution.map_attention`.

    Raises:
        ValueError: there is no such block.
    """
    encoders, (times, *sides) = _read_attention(question)
    found, highest = {}, 0
    for encoder, (tap, inputs) in encoders.items():
        named = [layer.name.removeprefix("temporal_").split("_", 2) for layer in tap.layers]
        last = max(int(number) for _, number, _ in named)
        highest = max(highest, last)
        # The temporal encoder's tokens are whole frames.
        centers = [
            places if count > 1 else places.mean(keepdims=True)
            for places, count in zip(sides, tap.grid[1:], strict=True)
        ]
        for index, (_, number, window) in enumerate(named):
            if int(number) == (block or last):
                maps = np.asarray(map_attention(tap.read(index, inputs[index]), tap.grid))
                maps = maps.reshape(-1, len(times), *map(len, centers))
                name = f"{encoder} {window}".strip().replace("_", " ")
                found[name] = int(number), Maps(maps, [times, *centers])
    if not found:
        raise ValueError(
            f"block is {block}; the network has blocks 1 to {highest} (0 means the last)."
        )
    return found


def _normalizes(head):
    """Return whether a head, or one of two streams' heads, normalizes the features it takes."""
    parts = [layer for layer in head.layers if isinstance(layer, keras.Model)]
    return any(layer.name == "normalize" for layer in head.layers) or any(map(_normalizes, parts))


def _cut_at_endpoint(question):
    """Return the backbone, the models of `cut_after`, and the centers of its maps' places."""
    backbone = BACKBONES[name_backbone(question.network)]
    explained = backbone.explained if _normalizes(question.network.get_layer("head")) else ""
    stage = backbone.get_stage(question.endpoint or explained or backbone.stages[-1].name)
    stages = backbone.stages[: backbone.stages.index(stage) + 1]
    lengths = question.clip.shape[2:5]
    centers = [find_centers(n, stages, axis) for axis, n in enumerate(lengths)]
    return backbone, cut_after(question.network, stage), centers


def _map_activations(question, weigh):
    """Weigh a backbone's maps by the gradients of the class's logit."""
    backbone, (first, rest), centers = _cut_at_endpoint(question)
    outputs, lengths = first(question.clip, training=False), question.clip.shape[2:5]
    gradients = question.differentiate(rest, outputs, question.logit)
    maps, gradients = (backbone.lay_out(x[0], lengths)[None] for x in (outputs, gradients))
    return Maps(np.asarray(weigh(maps, gradients))[0], centers)


def grad_cam(question):
    """Weigh the channels of a backbone's maps by their mean gradient."""
    return _map_activations(question, weigh_channels)


def hires_cam(question):
    """Weigh each number of a backbone's maps by its own gradient."""
    return _map_activations(question, weigh_numbers)


def layer_cam(question):
    """Weigh each number of a backbone's maps by its own gradient, where that is positive."""
    return _map_activations(question, weigh_raising)


def occlude(question):
    """Hide parts of a video, one at a time: how far the class's log-odds fall by that."""
    hide = _occlude_rows if takes_features(question.network) else _occlude_places
    return hide(question)


def _occlude_rows(question):
    """Leave out a segment's features at a time.

    Gradients would tell little: heads normalize each segment, so its scale counts for nothing.
    """
    segments = question.clip.shape[1]
    if segments == 1:  # a head has no answer to nothing at all
        return Maps(np.ones((1, 1, 1, 1)), [np.zeros(1)] * 3)
    left = question.clip * (1 - np.eye(segments, dtype=question.clip.dtype))[..., None]
    odds = question.score([*question.clip, *left])
    falls = np.maximum(odds[0] - odds[1:], 0)
    return Maps(falls.reshape(-1, 1, 1, 1), [np.zeros(1)] * 3)


def _occlude_places(question):
    """Hide windows of a backbone's maps, in a segment at a time, behind the mean of its map.

    A window has 3/7 of a side, and a quarter of a segment's time. A place's relevance is the mean
    fall of the log-odds over the windows that hide it.
    """
    backbone, (first, rest), centers = _cut_at_endpoint(question)
    maps = np.asarray(ops.cast(first(question.clip, training=False), "float32"))
    numbers = np.arange(maps[0, 0, ..., 0].size).reshape(1, *maps.shape[2:-1], 1)
    index = np.asarray(backbone.lay_out(numbers, question.clip.shape[2:5]))[0, ..., 0]
    places = maps.reshape(maps.shape[1], index.size, -1)
    finish, head = _split_rest(question.network, rest)
    kept = finish(maps)
    one = np.eye(len(places), dtype=bool).reshape(-1, len(places), *[1] * (kept.ndim - 2))

    def score(features):
        return np.asarray(question.list_log_odds(head(features, training=False)))

    whole = score(kept)
    falls, windows = np.zeros((len(places), *index.shape)), np.zeros(index.shape)
    for window in _list_windows(index.shape):
        hidden = places.copy()
        hidden[:, index[window].ravel()] = places.mean(1, keepdims=True)
        odds = score(np.where(one, finish(hidden.reshape(maps.shape)), kept))
        falls[(slice(None), *window)] += (whole - odds).reshape(-1, 1, 1, 1)
        windows[window] += 1
    return Maps(np.maximum(falls / windows, 0), centers)


def _split_rest(network, rest):
    """Return what follows a cut: function (maps) -> what the head takes, and the head."""
    names = [layer.name for layer in rest.layers]
    if "trained_backbone" not in names:  # the cut lies before the head
        return np.asarray, rest
    backbone = rest.get_layer("trained_backbone")

    def finish(maps):
        return np.asarray(ops.cast(backbone(maps, training=False), "float32"))

    return finish, network.get_layer("head")


def _list_windows(lengths):
    """Return slices of (time, rows, columns), a seventh of a side or a quarter of time apart."""
    axes = []
    for length, share, steps in zip(lengths, (1 / 4, 3 / 7, 3 / 7), (4, 7, 7), strict=True):
        size, step = max(round(length * share), 1), max(round(length / steps), 1)
        starts = dict.fromkeys([*range(0, length - size, step), length - size])
        axes.append([slice(start, start + size) for start in starts])
    return list(itertools.product(*axes))


def has_backbone(network):
    """Return whether a network has a backbone."""
    return bool(backbones_of(network))


def takes_clips(network):
    """Return whether a network takes clips."""
    return not takes_features(network)


def hides(network):
    """Return whether parts of what a network takes can be hidden."""
    return has_backbone(network) or takes_features(network)


def attends(network):
    """Return whether a network attends over a grid of tokens."""
    return has_grid(network.get_layer("head"))


def takes_features(network):
    """Return whether a network takes features instead of clips."""
    return len(network.input_shape) == 3
