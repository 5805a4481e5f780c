"""Transformer blocks around Keras' own attention.

Vaswani et al., Attention Is All You Need, NeurIPS 2017; pre-norm and GELU as in Dosovitskiy et
al., An Image Is Worth 16x16 Words, ICLR 2021.
"""

from models.attention import SelfAttention
from models.choices import POOLINGS
from models.design import choose
from models.layers import FoldedDense, LearnedTokens

from keras import layers, ops


def add_positions(tokens, name, stddev=0.02):
    """Add a learned position embedding to (batch, length, dim) tokens of known length."""
    positions = LearnedTokens(*tokens.shape[1:], stddev, name=name)(tokens)
    return layers.Add(name=f"{name}_added")([tokens, positions])


def normalize(x, name):
    """Apply LayerNormalization with the epsilon of ViT."""
    return layers.LayerNormalization(epsilon=1e-6, name=name)(x)


def add_branch(x, branch, drop, name):
    """Add a residual branch, which a training step leaves out for whole examples by chance.

    Args:
        x, branch: (batch, tokens, dim).
        drop: the chance.
        name: prefix of the layers' names.
    """
    if drop:
        branch = layers.Dropout(drop, noise_shape=(None, 1, 1), name=f"{name}_depth")(branch)
    return layers.Add(name=f"{name}_added")([x, branch])


def feed_forward(x, width, dropout, drop, name):
    """Add a pre-norm GELU MLP's output to (batch, tokens, dim).

    Args:
        x: (batch, tokens, dim).
        width: of the hidden layer.
        dropout: rate after both layers.
        drop: stochastic depth, as in `add_branch`.
        name: prefix of the layers' names.
    """
    y = normalize(x, f"{name}_norm")
    y = FoldedDense(width, activation="gelu", name=f"{name}_1")(y)
    y = layers.Dropout(dropout, name=f"{name}_dropout_1")(y)
    y = FoldedDense(x.shape[-1], name=f"{name}_2")(y)
    y = layers.Dropout(dropout, name=f"{name}_dropout_2")(y)
    return add_branch(x, y, drop, name)


def _attend(queries, memory, heads, mask, name):
    if mask is not None:
        mask = ops.expand_dims(mask, 1)  # (batch, 1, memory tokens): for every query alike
    kind = SelfAttention if memory is queries else layers.MultiHeadAttention
    attention = kind(heads, queries.shape[-1] // heads, name=name)
    return attention(queries, memory, attention_mask=mask)


def encode(x, depth, heads, width, rates=(0.0, 0.0), mask=None, name="encoder"):
    """Run pre-norm encoder blocks: multi-head self-attention, then a GELU MLP.

    Args:
        x: (batch, tokens, dim).
        depth: number of blocks.
        heads: attention heads; they share dim.
        width: of the MLP's hidden layer.
        rates: dropout in the MLP; stochastic depth of the last block (`Design`).
        mask: boolean (batch, tokens), False for tokens that nobody may look at; or None.
        name: prefix of the layers' names.

    Returns:
        (batch, tokens, dim), normalized.

    Raises:
        ValueError: dim does not divide by the heads.
    """
    if x.shape[-1] % heads:
        raise ValueError(f"{x.shape[-1]} channels cannot be divided among {heads} attention heads.")
    dropout, last = rates
    for block in range(depth):
        drop, part = last * block / max(depth - 1, 1), f"{name}_{block + 1}"
        y = normalize(x, f"{part}_attention_norm")
        y = _attend(y, y, heads, mask, f"{part}_attention")
        x = add_branch(x, y, drop, f"{part}_attention")
        x = feed_forward(x, width, dropout, drop, f"{part}_mlp")
    return normalize(x, f"{name}_norm")


def decode(queries, memory, heads, width, dropout=0.0, mask=None, name="decoder"):
    """Run a pre-norm decoder block: queries attend to each other, then to a memory, then an MLP.

    Args:
        queries: (batch, queries, dim).
        memory: (batch, tokens, dim), the keys and values.
        heads, width, dropout, name: as in `encode`.
        mask: boolean (batch, tokens) over the memory, or None.

    Returns:
        (batch, queries, dim), normalized.
    """
    y = normalize(queries, f"{name}_self_attention_norm")
    y = _attend(y, y, heads, None, f"{name}_self_attention")
    x = layers.Add(name=f"{name}_self_attention_added")([queries, y])
    y = normalize(x, f"{name}_attention_norm")
    y = _attend(y, memory, heads, mask, f"{name}_attention")
    x = layers.Add(name=f"{name}_attention_added")([x, y])
    return normalize(feed_forward(x, width, dropout, 0.0, f"{name}_mlp"), f"{name}_norm")


def pool_class(x, mask, encoder, name):
    """Encode tokens together with a learned one, whose output it is."""
    token = LearnedTokens(1, x.shape[-1], name=f"{name}_class_token")(x)
    x = layers.Concatenate(axis=1, name=f"{name}_tokens")([token, x])
    if mask is not None:
        mask = ops.pad(mask, ((0, 0), (1, 0)), constant_values=True)
    return encoder(add_positions(x, f"{name}_positions"), mask)[:, 0]


def pool_fused(x, mask, encoder, name):
    """Encode tokens, and take the mean of their outputs."""
    x = encoder(add_positions(x, f"{name}_positions"), mask)
    return layers.GlobalAveragePooling1D(name=f"{name}_fused")(x, mask=mask)


def summarize(x, encoder, pooling, mask=None, name="encoder"):
    """Turn a sequence of tokens into one: positions, an encoder, a class token or the mean.

    Args:
        x: (batch, tokens, dim) of known length.
        encoder: function (tokens, mask) -> tokens.
        pooling: a key of `POOLINGS`.
        mask: boolean (batch, tokens) or None.
        name: prefix of the layers' names.

    Returns:
        (batch, dim).

    Raises:
        ValueError: unknown pooling.
    """
    return choose(POOLINGS, "pooling", pooling)(x, mask, encoder, name)
