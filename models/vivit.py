"""ViViT: a Transformer over the tokens of a video's frames.

Arnab et al., ViViT: A Video Vision Transformer, ICCV 2021: uniform frames and tubelets (3.2),
joint space-time attention (model 1), factorised encoder (model 2), central-frame initialization
(3.4). The embedder `flatten`, one token a frame, is not theirs.
"""

from models.choices import EMBEDDERS, ENCODERS, SIZES
from models.design import Design, choose
from models.heads import end_head
from models.layers import PatchProjection, TimeDistributed
from models.transformer import encode, summarize

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("video")
class CentralFrame(keras.initializers.Initializer):
    """Initialize a (time, height, width, in, out) kernel as a 2-D one in its central frame.

    The other frames begin at zero: at first each tubelet sees its central frame alone, time // 2.

    Args:
        kernel: initializer of the 2-D kernel, or an array (height, width, in, out), such as the
            patch embedding of an image network.
    """

    def __init__(self, kernel="glorot_uniform"):
        self.kernel = kernel

    def __call__(self, shape, dtype=None):
        kernel = self.kernel
        if not hasattr(kernel, "shape"):
            kernel = keras.initializers.get(kernel)(shape[1:], dtype)
        if tuple(kernel.shape) != tuple(shape[1:]):
            raise ValueError(f"The 2-D kernel is {kernel.shape}, not {tuple(shape[1:])}.")
        before = shape[0] // 2
        padding = [(before, shape[0] - 1 - before), *[(0, 0)] * 4]
        return ops.pad(ops.expand_dims(ops.cast(kernel, dtype), 0), padding)

    def get_config(self):
        return {"kernel": self.kernel if isinstance(self.kernel, str) else "glorot_uniform"}


def flatten(frames, size, patch):
    """Make a token of each frame: all its pixels, a hidden layer, a projection.

    The video's mean frame is subtracted first: dense layers share nothing between places, and
    would learn the walls and the clothes rather than what moves.
    """
    x = layers.Subtract(name="motion")([frames, ops.mean(frames, axis=1, keepdims=True)])
    x = layers.Reshape((frames.shape[1], 1, -1), name="pixels")(x)
    x = layers.Dense(size.hidden, activation="gelu", name="hidden")(x)
    return layers.Dense(size.dim, name="projection")(x)


def cut_patches(frames, size, patch, depth):
    """Cut frames into patches or tubelets and project each to a token.

    Args:
        frames: (batch, frames, height, width, channels).
        size: a `Size`.
        patch: height and width of a piece, in pixels.
        depth: frames of a piece.

    Returns:
        (batch, time, rows, columns, size.dim).

    Raises:
        ValueError: frames that do not cut into whole pieces.
    """
    if any(side % patch for side in frames.shape[2:4]) or frames.shape[1] % depth:
        raise ValueError(
            f"{frames.shape[1]} frames of {frames.shape[2]} x {frames.shape[3]} pixels "
            f"cannot be cut into pieces of {depth} x {patch} x {patch}. Change the frames "
            "or patch_size."
        )
    window = (depth, patch, patch)
    initial = CentralFrame() if depth > 1 else "glorot_uniform"
    return PatchProjection(
        size.dim, window, strides=window, kernel_initializer=initial, name="projection"
    )(frames)


def _project_maps(maps, size):
    """Make a token of each place of (batch, segments, time, height, width, channels)."""
    x = layers.LayerNormalization(name="normalize")(maps)
    x = layers.Dense(size.dim, name="projection")(x)
    return layers.Reshape((-1, *x.shape[3:]), name="grid")(x)


def encode_jointly(tokens, encoders, pooling):
    """Attend over all tokens of the video (model 1)."""
    x = layers.Reshape((-1, tokens.shape[-1]), name="sequence")(tokens)
    return summarize(x, encoders[0], pooling, name="encoder")


def encode_factorised(tokens, encoders, pooling):
    """Attend within each time, then over the times (model 2)."""
    if tokens.shape[2] == 1:
        raise ValueError(
            "The factorised encoder needs several tokens a frame. Give --encoder joint."
        )
    places = keras.Input(tokens.shape[2:], name="places")
    spatial = keras.Model(places, summarize(places, encoders[0], pooling, name="spatial"))
    x = TimeDistributed(spatial, name="spatial")(tokens)
    return summarize(x, encoders[1], pooling, name="temporal")


def build_vivit(input_shape, num_outputs, design=Design()):
    """Build ViViT.

    Args:
        input_shape: (segments, frames, height, width, channels) of the clips; the segments'
            frames are one sequence.
        num_outputs: number of logits.
        design: a `Design`.

    Returns:
        A `keras.Model` "head" from clips to float32 logits (batch, num_outputs).

    Raises:
        ValueError: unknown embedder, encoder, size or pooling, or frames that do not cut into
            whole patches.
    """
    embedder = choose(EMBEDDERS, "embedder", design.embedder)
    size = choose(SIZES, "size", design.size)
    inputs = keras.Input(input_shape, name="clips")
    x = layers.Reshape((-1, *input_shape[2:]), name="frames")(inputs)
    return _classify(inputs, embedder(x, size, design.patch_size), num_outputs, design)


def build_vivit_on_maps(input_shape, num_outputs, design=Design()):
    """Build ViViT on the tokens that the maps of a backbone are.

    Args:
        input_shape: (segments, time, height, width, channels) of the maps.
        num_outputs, design: as in `build_vivit`, whose result it is like.
    """
    inputs = keras.Input(input_shape, name="clips")
    tokens = _project_maps(inputs, choose(SIZES, "size", design.size))
    return _classify(inputs, tokens, num_outputs, design)


def _classify(inputs, tokens, num_outputs, design):
    """Return the model "head" that encodes tokens (batch, time, [places,] dim) of its inputs."""
    encoder, size = choose(ENCODERS, "encoder", design.encoder), SIZES[design.size]
    tokens = layers.Reshape((tokens.shape[1], -1, size.dim), name="tokens")(tokens)
    encoders = [
        lambda x, mask, depth=depth, name=name: encode(
            x, depth, size.heads, size.width, (size.dropout, design.stochastic_depth), mask, name
        )
        for depth, name in ((size.depth, "encoder"), (size.temporal_depth, "temporal_encoder"))
    ]
    x = encoder(tokens, encoders, design.pooling)
    if size.head:
        x = layers.Dense(size.head, activation="gelu", name="mlp")(x)
    return end_head(inputs, x, num_outputs, design.dropout)
