"""Windows of a (time, height, width) grid of tokens: who attends to whom.

A scheme of Bertasius et al., Is Space-Time Attention All You Need for Video Understanding?, ICML
2021 (section 3, figure 2) is a list of windows; cutting and putting together are the same for all.
"""

import math
from typing import NamedTuple

from models.choices import Window

from keras import ops

# Rule: an axis of n tokens as (outer, inner), and which of the two shares a window.
RULES = {
    "all": lambda n: (1, n, 1),
    "each": lambda n: (n, 1, 1),
    "half": lambda n: (2, n // 2, 1),  # neighbors
    "second": lambda n: (n // 2, 2, 0),  # every second token
}


class Partition(NamedTuple):
    """How a grid is cut into windows.

    Attributes:
        pieces: the lengths into which the axes split, those of one token left out.
        order: the pieces' order, windows before the tokens inside a window.
        windows, tokens: how many windows there are, and tokens in each.
    """

    pieces: tuple[int, ...]
    order: tuple[int, ...]
    windows: int
    tokens: int


def plan_partition(grid, window):
    """Return the `Partition` of a grid into windows.

    Args:
        grid: tokens along (time, height, width).
        window: a `Window`.

    Raises:
        ValueError: an axis that has to be halved is odd, or a window would hold one token.
    """
    pieces, inside = [], []
    for length, rule, axis in zip(grid, window, Window._fields, strict=True):
        outer, inner, shared = RULES[rule](length)
        if outer * inner != length:
            raise ValueError(
                f"This attention cuts the {axis} in two, but it has an odd number of "
                f"tokens, {length}. Change the frames, frame_size or patch_size."
            )
        pieces += [outer, inner]
        inside += [shared == 0, shared == 1]
    tokens = math.prod(n for n, shares in zip(pieces, inside, strict=True) if shares)
    if tokens == 1:
        axes = [axis for axis, rule in zip(Window._fields, window, strict=True) if rule != "each"]
        raise ValueError(
            f"Attention over {' and '.join(axes)} needs several tokens there, but the grid is "
            f"{grid[0]} x {grid[1]} x {grid[2]} (frames x patches); give more frames, a larger "
            "frame_size or a smaller patch_size."
        )
    kept = [(n, shares) for n, shares in zip(pieces, inside, strict=True) if n > 1]
    order = sorted(range(len(kept)), key=lambda i: kept[i][1])
    sizes = tuple(n for n, _ in kept)
    return Partition(sizes, tuple(order), math.prod(grid) // tokens, tokens)


def _move(x, order):
    """Transpose all axes but the first and the last."""
    if list(order) == sorted(order):
        return x
    return ops.transpose(x, (0, *(1 + axis for axis in order), len(order) + 1))


def partition(x, plan):
    """Turn (batch, time x height x width, dim) tokens into (batch, windows, tokens, dim)."""
    dim = x.shape[-1]
    x = _move(ops.reshape(x, (-1, *plan.pieces, dim)), plan.order)
    return ops.reshape(x, (-1, plan.windows, plan.tokens, dim))


def merge(x, plan):
    """Undo `partition`."""
    dim = x.shape[-1]
    x = ops.reshape(x, (-1, *(plan.pieces[axis] for axis in plan.order), dim))
    back = sorted(range(len(plan.order)), key=lambda i: plan.order[i])
    return ops.reshape(_move(x, back), (-1, plan.windows * plan.tokens, dim))
