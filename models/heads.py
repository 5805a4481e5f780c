"""Heads: what turns the features of a video's segments into logits.

Each takes a (batch, segments, dim) tensor and a dropout rate and returns (batch, units).
"""

import keras
from keras import layers


def _average(features, dropout):
    """Average the segments (temporal segment networks, Wang et al., ECCV 2016)."""
    x = layers.GlobalAveragePooling1D(name="average")(features)
    return layers.Dropout(dropout, name="dropout")(x)


def _lstm(features, dropout):
    """Two stacked LSTMs (ConvNet+LSTM of Carreira and Zisserman, CVPR 2017, section 2.1)."""
    x = layers.LSTM(512, return_sequences=True, name="lstm_1")(features)
    x = layers.LSTM(256, name="lstm_2")(x)
    return layers.Dropout(dropout, name="dropout")(x)


HEADS = {"average": _average, "lstm": _lstm}


def build_head(name, segments, dim, num_classes, dropout=0.5):
    """Build a head as a model of its own, so that it can be trained on cached features.

    Args:
        name: a key of `HEADS`.
        segments: segments per video.
        dim: length of a segment's feature vector.
        num_classes: number of logits.
        dropout: rate before the logits.

    Returns:
        A `keras.Model` from (batch, segments, dim) to float32 logits (batch, num_classes).

    Raises:
        ValueError: unknown head.
    """
    if name not in HEADS:
        raise ValueError(f"Unknown head {name!r}; known: {', '.join(HEADS)}.")
    features = keras.Input((segments, dim), name="features")
    # Pooled ReLU features are positive and of any size: without this, SGD hardly trains an LSTM.
    x = layers.LayerNormalization(name="normalize")(features)
    x = HEADS[name](x, dropout)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(features, logits, name="head")
