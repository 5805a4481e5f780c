"""Self-attention within windows of a grid of tokens, at bounded memory.

Softmax is exact but taken in chunks, whose scores are computed again in the backward pass, as in
Dao et al., FlashAttention, NeurIPS 2022.
"""

import math

from models.choices import Window
from models.layers import FoldedDense, map_in_turn, multiply
from models.token_windows import merge, partition, plan_partition

import keras
from keras import layers, ops

# Attention scores of an example that are held whole, and of one window and head that are held at a
# time: 16 MB.
SCORES = 2**22
# Scores of several windows and heads that are held together: a GPU wants large products.
TOGETHER = {"cpu": 2**20, "gpu": 2**25}


def _scores(queries, keys):
    return ops.softmax(ops.matmul(queries, ops.swapaxes(keys, -1, -2)), axis=-1)


@ops.custom_gradient
def _attend_in_chunks(queries, keys, values):
    """Attend chunk by chunk; nothing but the arguments is kept for the backward pass.

    Args:
        queries: (chunks, blocks, matrices, queries, depth), scaled.
        keys: (chunks, matrices, keys, depth).
        values: (chunks, matrices, depth, keys): so a CPU is faster with many keys.

    Returns:
        As the queries.
    """

    def run(chunk):
        queries, keys, values = chunk
        return map_in_turn(
            lambda block: ops.matmul(_scores(block, keys), ops.swapaxes(values, -1, -2)),
            queries,
            queries[0],
        )

    def backward(*arguments, upstream=None):
        if upstream is None:
            (upstream,) = arguments

        def run_back(chunk):
            queries, keys, values, upstream = chunk

            def run_block(block):
                queries, upstream = block
                scores = _scores(queries, keys)
                of_values = ops.matmul(ops.swapaxes(upstream, -1, -2), scores)
                change = ops.matmul(upstream, values)
                change = scores * (change - ops.sum(scores * change, axis=-1, keepdims=True))
                of_keys = ops.matmul(ops.swapaxes(change, -1, -2), queries)
                return ops.matmul(change, keys), of_keys, of_values

            of_queries, of_keys, of_values = map_in_turn(
                run_block, (queries, upstream), (queries[0], keys, values)
            )
            return of_queries, ops.sum(of_keys, axis=0), ops.sum(of_values, axis=0)

        arguments = (queries, keys, values)
        like = keras.tree.map_structure(lambda x: x[0], arguments)
        return map_in_turn(run_back, (*arguments, upstream), like)

    return map_in_turn(run, (queries, keys, values), queries[0]), backward


def plan_chunks(matrices, tokens, limit, largest):
    """Choose how attention is cut so that few scores are held at a time.

    Args:
        matrices: score matrices of one example: windows x heads.
        tokens: the side of each.
        limit: scores of several matrices that are held together.
        largest: scores of a single matrix that are.

    Returns:
        (matrices a chunk, blocks that the queries of a matrix are cut into).
    """
    fitting = min(max(limit // tokens**2, 1), matrices)
    together = next(m for m in range(fitting, 0, -1) if matrices % m == 0)
    return together, -(-(tokens**2) // max(limit, largest)) if together == 1 else 1


def _fuse(queries, keys, values, training):
    """Return the backend's fused attention of (batch, heads, tokens, depth), or None.

    JAX's has gradients for even numbers of tokens only: to train, an odd number gets one more,
    which nobody may look at.
    """
    arguments, mask = [ops.swapaxes(x, 1, 2) for x in (queries, keys, values)], None
    tokens = queries.shape[2]
    if training and tokens % 2:
        arguments = [ops.pad(x, ((0, 0), (0, 1), (0, 0), (0, 0))) for x in arguments]
        mask = ops.broadcast_to(ops.arange(tokens + 1) < tokens, (1, 1, tokens + 1, tokens + 1))
    try:
        fused = ops.dot_product_attention(*arguments, mask=mask, flash_attention=True)
    except (ImportError, NotImplementedError, RuntimeError, ValueError):
        return None
    return ops.swapaxes(fused[:, :tokens], 1, 2)


def attend(queries, keys, values, windows=1, training=False):
    """Return softmax(queries keys^T / sqrt(depth)) values without holding too many scores.

    Args:
        queries, keys, values: (examples x windows, heads, tokens, depth).
        windows: of an example.
        training: whether gradients are taken.

    Returns:
        (examples x windows, heads, tokens, depth).
    """
    fused = _fuse(queries, keys, values, training)
    if fused is not None:
        return fused
    heads, tokens, depth = queries.shape[1:]
    queries, matrices = queries * depth**-0.5, windows * heads
    if matrices * tokens**2 <= SCORES:
        return ops.matmul(_scores(queries, keys), values)
    on_cpu = str(keras.distribution.list_devices()[0]).startswith("cpu")
    limit = TOGETHER["cpu" if on_cpu else "gpu"]
    together, blocks = plan_chunks(matrices, tokens, limit, SCORES)
    length = -(-tokens // blocks)
    queries = ops.reshape(queries, (-1, together, tokens, depth))
    queries = ops.pad(queries, ((0, 0), (0, 0), (0, blocks * length - tokens), (0, 0)))
    queries = ops.reshape(queries, (-1, together, blocks, length, depth))
    keys, values = (ops.reshape(x, (-1, together, tokens, depth)) for x in (keys, values))
    x = _attend_in_chunks(ops.swapaxes(queries, 1, 2), keys, ops.swapaxes(values, -1, -2))
    x = ops.reshape(ops.swapaxes(x, 1, 2), (-1, together, blocks * length, depth))[:, :, :tokens]
    return ops.reshape(x, (-1, heads, tokens, depth))


@keras.saving.register_keras_serializable("video")
class SelfAttention(layers.MultiHeadAttention):
    """`keras.layers.MultiHeadAttention` of tokens to one another, with `attend` where it can be.

    Same weights and outputs, without dropout; queries and values are the same tokens. A mask, and
    scores that are asked for, take Keras' own way.
    """

    def call(
        self,
        query,
        value,
        key=None,
        attention_mask=None,
        return_attention_scores=False,
        training=None,
    ):
        if key is not None or attention_mask is not None or return_attention_scores:
            asked = {"return_attention_scores": return_attention_scores, "training": training}
            return super().call(query, value, key, attention_mask=attention_mask, **asked)
        dim = query.shape[-1]

        def project(layer):
            x = multiply(query, ops.reshape(layer.kernel, (dim, -1)), ops.reshape(layer.bias, -1))
            x = ops.reshape(x, (-1, query.shape[1], *layer.kernel.shape[1:]))
            return ops.swapaxes(x, 1, 2)

        parts = (self.query_dense, self.key_dense, self.value_dense)
        x = attend(*map(project, parts), training=training)
        x = ops.reshape(ops.swapaxes(x, 1, 2), (-1, query.shape[1], x.shape[1] * x.shape[3]))
        out = self.output_dense
        return multiply(x, ops.reshape(out.kernel, (x.shape[-1], -1)), out.bias)


@keras.saving.register_keras_serializable("video")
class WindowAttention(layers.Layer):
    """Multi-head self-attention within the windows of a grid.

    Maps (batch, class tokens + grid tokens, dim) to the same shape. Class tokens that take part
    get a copy in each window, or, where there are several, in as many windows each; the copies'
    outputs are averaged. Class tokens that take no part get zeros, and the other tokens pass
    another projection, which begins at zero (the paper's authors' code).

    Args:
        grid: tokens along (time, height, width).
        window: a `Window`, or its rules.
        heads: attention heads; they share dim.
        class_tokens: how many tokens stand before the grid's.
        joined: whether those take part.
    """

    def __init__(self, grid, window, heads, class_tokens=1, joined=True, **kwargs):
        super().__init__(**kwargs)
        self.grid, self.window = tuple(grid), Window(*window)
        self.heads, self.class_tokens, self.joined = heads, class_tokens, joined
        self.plan = plan_partition(self.grid, self.window)

    def build(self, input_shape):
        dim = input_shape[-1]
        if dim % self.heads:
            raise ValueError(
                f"{dim} channels cannot be divided among {self.heads} attention heads."
            )
        if input_shape[1] != self.class_tokens + math.prod(self.grid):
            raise ValueError(
                f"There are {input_shape[1]} tokens; expected {self.class_tokens} class "
                f"tokens and a grid of {self.grid}."
            )
        self.qkv = FoldedDense(3 * dim, name="qkv", dtype=self.dtype_policy)
        self.projection = FoldedDense(dim, name="projection", dtype=self.dtype_policy)
        parts = [self.qkv, self.projection]
        if not self.joined:
            self.entry = layers.Dense(
                dim, kernel_initializer="zeros", name="entry", dtype=self.dtype_policy
            )
            parts.append(self.entry)
        for part in parts:
            part.build((None, None, dim))

    def _project(self, x):
        """Return queries, keys and values (batch x windows, heads, tokens, depth) of windows."""
        tokens, dim = x.shape[2:]
        x = ops.reshape(self.qkv(x), (-1, tokens, 3, self.heads, dim // self.heads))
        x = ops.transpose(x, (2, 0, 3, 1, 4))
        return x[0], x[1], x[2]

    def _gather(self, inputs):
        x = partition(inputs[:, self.class_tokens :], self.plan)
        if not self.joined:
            return x
        copies = ops.repeat(
            inputs[:, : self.class_tokens], self.plan.windows // self.class_tokens, axis=1
        )
        return ops.concatenate([copies[:, :, None], x], axis=2)

    def call(self, inputs, training=None):
        x = self._gather(inputs)
        _, windows, count, dim = x.shape
        x = ops.swapaxes(attend(*self._project(x), windows, training), 1, 2)
        x = ops.reshape(x, (-1, windows, count, dim))
        if not self.joined:  # two projections in a row are one
            bias = ops.matmul(self.projection.bias, self.entry.kernel) + self.entry.bias
            x = multiply(x, ops.matmul(self.projection.kernel, self.entry.kernel), bias)
            return ops.pad(merge(x, self.plan), ((0, 0), (self.class_tokens, 0), (0, 0)))
        x = self.projection(x)
        copies = windows // self.class_tokens
        classes = ops.reshape(x[:, :, 0], (-1, self.class_tokens, copies, dim))
        return ops.concatenate([ops.mean(classes, axis=2), merge(x[:, :, 1:], self.plan)], axis=1)

    def attention_scores(self, inputs):
        """Return the scores (batch, windows, heads, queries, keys) that `call` weighs with."""
        queries, keys, _ = self._project(self._gather(inputs))
        scores = _scores(queries * queries.shape[-1] ** -0.5, keys)
        return ops.reshape(scores, (-1, self.plan.windows, *scores.shape[1:]))

    def get_config(self):
        return super().get_config() | {
            "grid": self.grid,
            "window": self.window,
            "heads": self.heads,
            "class_tokens": self.class_tokens,
            "joined": self.joined,
        }
