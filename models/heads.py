"""Heads: what turns the features of a video's segments into logits.

Each takes normalized (batch, segments, dim) features, a boolean (batch, segments) mask that is
False for padded segments, and a `Design`; it returns the embedding (batch, units).
"""

from functools import partial

from models.choices import HEADS
from models.design import Design, choose
from models.layers import LSTM, LearnedTokens, join_channels, side_by_side
from models.transformer import add_positions, decode, encode, summarize

import keras
from keras import layers, ops


def average(features, mask, design):
    """Average the segments (temporal segment networks, Wang et al., ECCV 2016)."""
    return layers.GlobalAveragePooling1D(name="average")(features, mask=mask)


def run_lstms(features, mask, design):
    """Two stacked LSTMs (ConvNet+LSTM of Carreira and Zisserman, CVPR 2017, section 2.1)."""
    x = LSTM(512, return_sequences=True, name="lstm_1")(features, mask=mask)
    return LSTM(256, name="lstm_2")(x, mask=mask)


def query_slices(features, mask, design):
    """Encode 16 slices of each segment's channels as tokens; learned class queries read them.

    The I3D-Transformer for isolated signs: a Transformer encoder and decoder over tokens of
    dim / 16, a residual block at dim, an adaptor down to an embedding of 256 numbers.
    """
    segments, dim = features.shape[1:]
    slices, heads = 16, 4
    if dim % (slices * heads):
        raise ValueError(
            "The head of i3d_transformer needs features whose channels are a multiple of "
            f"64, but got {dim}. Other heads take any number."
        )
    width = dim // slices
    mask = ops.repeat(mask, slices, axis=1)
    tokens = layers.Reshape((segments * slices, width), name="tokens")(features)
    # Positions as large as the tokens: else every query begins with the same mean of all slices.
    tokens = add_positions(tokens, "positions", stddev=1.0)
    memory = encode(tokens, 2, heads, 4 * width, (0.1, design.stochastic_depth), mask)
    # As many queries as slices: flattened they give dim numbers again, one alone only dim / 16.
    queries = LearnedTokens(slices, width, name="class_query")(memory)
    decoded = decode(queries, memory, heads, 4 * width, 0.1, mask)
    x = layers.Reshape((dim,), name="decoded")(decoded)
    y = layers.Dense(dim, name="residual_1")(x)
    y = layers.LeakyReLU(0.2, name="residual_relu")(y)
    y = layers.Dense(dim, name="residual_2")(y)
    x = layers.Add(name="residual")([x, y])
    x = layers.LeakyReLU(0.2, name="adaptor_1_relu")(layers.Dense(512, name="adaptor_1")(x))
    return layers.LeakyReLU(0.2, name="adaptor_2_relu")(layers.Dense(256, name="adaptor_2")(x))


def run_transformer(features, mask, design):
    """Run a pre-norm Transformer over the segments (Arnab et al., ViViT, ICCV 2021, model 2)."""
    x = layers.Dense(256, name="projection")(features)
    encoder = partial(_encode_segments, rates=(0.1, design.stochastic_depth))
    x = summarize(x, encoder, design.pooling, mask)
    return layers.Dense(256, activation="gelu", name="mlp")(x)


def _encode_segments(x, mask, rates):
    return encode(x, 2, 4, 512, rates, mask)


def end_head(inputs, embedding, num_outputs, dropout):
    """Return the model "head" that ends in dropout, from the embedding on, and float32 logits."""
    x = layers.Dropout(dropout, name="dropout")(embedding)
    logits = layers.Dense(num_outputs, dtype="float32", name="logits")(x)
    return keras.Model(inputs, logits, name="head")


def build_head(name, segments, dim, num_outputs, design=Design()):
    """Build a head as a model of its own, so that it can be trained on cached features.

    Args:
        name: a key of `HEADS`.
        segments: segments per video.
        dim: length of a segment's feature vector.
        num_outputs: number of logits.
        design: a `Design`.

    Returns:
        A `keras.Model` from (batch, segments, dim) to float32 logits (batch, num_outputs).
        A segment whose features are all zero counts as padding and changes nothing.

    Raises:
        ValueError: unknown head or pooling.
    """
    head = choose(HEADS, "head", name)
    features = keras.Input((segments, dim), name="features")
    mask = ops.any(ops.not_equal(features, 0), axis=-1)
    # Pooled ReLU features are positive and of any size: without this, SGD hardly trains an LSTM.
    # It has no weights: the next layer has them, and no gradient need come back this far.
    x = layers.LayerNormalization(center=False, scale=False, name="normalize")(features)
    return end_head(features, head(x, mask, design), num_outputs, design.dropout)


def embedding_model(head):
    """Return the model from a head's input to its embedding, (batch, units) before the logits.

    Of a head for each of two streams, the embeddings are joined.
    """
    inner = [layer for layer in head.layers if isinstance(layer, keras.Model)]
    if not inner:
        return keras.Model(head.input, head.get_layer("dropout").input, name="embedding")
    parts = {part.name: embedding_model(part) for part in inner}
    return side_by_side(parts, join_channels, "embedding")
