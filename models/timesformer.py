"""TimeSformer: a Transformer over the patches of a video's frames, with five attention schemes.

Bertasius et al., Is Space-Time Attention All You Need for Video Understanding?, ICML 2021. Where
the paper is silent (the class token of local-global and axial attention) all schemes follow the
authors' divided attention: the last window of a block has the class token, those before do not.
"""

import math

from models.attention import WindowAttention
from models.choices import POSITIONS, SCHEMES, SIZES
from models.design import Design, choose
from models.heads import end_head
from models.layers import LearnedTokens
from models.transformer import add_branch, feed_forward, normalize
from models.vivit import cut_patches

import keras
import numpy as np
from keras import layers, ops


def add_space(classes, patches):
    """Add a place's embedding to the patches (batch, time, places, dim), and one to the classes."""
    places, dim = patches.shape[2:]
    positions = LearnedTokens(1 + places, dim, POSITION_STDDEV, name="space_positions")(patches)
    return classes + positions[:, :1], patches + positions[:, None, 1:]


def add_time(classes, patches):
    """Add a time's embedding to the patches (batch, time, places, dim)."""
    frames, dim = patches.shape[1], patches.shape[3]
    positions = LearnedTokens(frames, dim, POSITION_STDDEV, name="time_positions")(patches)
    return classes, patches + positions[:, :, None]


# What position embeddings begin with. With ViT's 0.02 a network trained from scratch on a few
# hundred videos did not find the order of the frames; with 0.3, about half a patch token, it did.
POSITION_STDDEV = 0.3
# Which of (class tokens, patches) are averaged at the end.
_POOLED = {"class": 0, "fused": 1}


def resize_time(positions, frames):
    """Interpolate position embeddings (times, dim) linearly to (frames, dim)."""
    old, new = ((np.arange(n) + 0.5) / n for n in (len(positions), frames))
    return np.stack([np.interp(new, old, column) for column in np.asarray(positions).T], axis=1)


def resize_space(positions, count):
    """Interpolate position embeddings of a class token and a square grid of patches, bicubically.

    Args:
        positions: array (1 + patches, dim).
        count: rows wanted, 1 + patches of a square grid.

    Returns:
        Array (count, dim).

    Raises:
        ValueError: one of the grids is not square.
    """
    positions = np.asarray(positions)
    sides = [math.isqrt(n - 1) for n in (len(positions), count)]
    if any(side**2 != n - 1 for side, n in zip(sides, (len(positions), count), strict=True)):
        raise ValueError(f"{len(positions)} or {count} positions are no square grid and a class.")
    grid = positions[1:].reshape(1, sides[0], sides[0], -1)
    resized = ops.image.resize(grid, (sides[1], sides[1]), interpolation="bicubic")
    resized = np.asarray(ops.convert_to_numpy(resized)).reshape(count - 1, -1)
    return np.concatenate([positions[:1], resized])


# Layer with position embeddings: how they are fitted to another number of frames or patches.
RESIZERS = {"space_positions": resize_space, "time_positions": resize_time}


def build_timesformer(input_shape, num_outputs, design=Design()):
    """Build TimeSformer.

    Args:
        input_shape: (segments, frames, height, width, channels) of the clips; the segments'
            frames are one sequence.
        num_outputs: number of logits.
        design: a `Design`.

    Returns:
        A `keras.Model` "head" from clips to float32 logits (batch, num_outputs).

    Raises:
        ValueError: unknown attention, positions, size or pooling; frames that do not cut into
            whole patches; or too few frames or patches for a window.
    """
    scheme = choose(SCHEMES, "attention", design.attention)
    positions = choose(POSITIONS, "positions", design.positions)
    size = choose(SIZES, "size", design.size)
    pooled = choose(_POOLED, "pooling", design.pooling)
    inputs = keras.Input(input_shape, name="clips")
    frames = layers.Reshape((-1, *input_shape[2:]), name="frames")(inputs)
    patches = cut_patches(frames, size, design.patch_size, 1)
    grid, dim = patches.shape[1:4], size.dim
    class_tokens = grid[0] if scheme.frame_classes else 1
    patches = layers.Reshape((grid[0], -1, dim), name="patches")(patches)
    classes = LearnedTokens(1, dim, name="class_token")(patches)
    for add in positions[: 1 if scheme.frame_classes else 2]:
        classes, patches = add(classes, patches)
    classes = ops.repeat(classes, class_tokens, axis=1)
    x = layers.Reshape((math.prod(grid), dim), name="tokens")(patches)
    x = layers.Concatenate(axis=1, name="sequence")([classes, x])
    last = [*scheme.windows][-1]
    for block in range(size.depth):
        drop = design.stochastic_depth * block / max(size.depth - 1, 1)
        for name, window in scheme.windows.items():
            part = f"block_{block + 1}_{name}"
            attention = WindowAttention(
                grid, window, size.heads, class_tokens, name == last, name=part
            )
            x = add_branch(x, attention(normalize(x, f"{part}_norm")), drop, part)
        x = feed_forward(x, size.width, size.dropout, drop, f"block_{block + 1}_mlp")
    x = normalize(x, "norm")
    parts = x[:, :class_tokens], x[:, class_tokens:]
    return end_head(inputs, ops.mean(parts[pooled], axis=1), num_outputs, design.dropout)
