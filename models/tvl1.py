"""TV-L1 optical flow of a batch of frame pairs, on whatever runs Keras.

Zach, Pock and Bischof, DAGM 2007; Sánchez, Meinhardt-Llopis and Facciolo, IPOL 2013. Step by step
what OpenCV's DualTVL1OpticalFlow does, so that the one can stand in for the other.
"""

from dataclasses import asdict, dataclass

import keras
import numpy as np
from keras import layers, ops

SMALLEST = 16  # pixels of a side, of the frames and of the coarsest scale
BORDER = 4  # of zeros about a frame: what bicubic taps reach beyond it
SHARPNESS = -0.75  # of the bicubic kernel


@dataclass(frozen=True)
class TVL1:
    """What the method is told; the defaults are OpenCV's. Fewer steps are faster and rougher.

    Args:
        tau: time step of the dual variables.
        attachment: weight of the frames' likeness (lambda); less gives a smoother flow.
        theta: how loosely the two halves of the problem are coupled.
        scales, scale_step: of the pyramid: how many at most, and each side next to the last.
        warps: times a scale that the second frame is warped.
        epsilon: pixels of change, root mean square, at which a pair's warp is done.
        inner, outer: iterations of a warp at most: `outer` medians, each before `inner` steps.
    """

    tau: float = 0.25
    attachment: float = 0.15
    theta: float = 0.3
    scales: int = 5
    scale_step: float = 0.8
    warps: int = 5
    epsilon: float = 0.01
    inner: int = 30
    outer: int = 10


def plan_scales(height, width, params):
    """Return [(height, width)] of the pyramid, finest first, none below 16 pixels."""
    sizes = [(height, width)]
    while len(sizes) < params.scales:
        size = tuple(round(side * params.scale_step) for side in sizes[-1])
        if min(size) < SMALLEST:
            break
        sizes.append(size)
    return sizes


def _resize(images, size, step=None):
    """Resize (..., height, width) bilinearly.

    By gathering: GPUs may round what matrix products take to 10 bits.

    Args:
        images: any tensor with (height, width) last.
        size: the new (height, width).
        step: the ratio of sides, where rounding to whole pixels has changed it.
    """
    for axis, target in zip((-2, -1), size, strict=True):
        source = images.shape[axis]
        places = (np.arange(target) + 0.5) * (1 / step if step else source / target) - 0.5
        places = np.clip(places, 0, source - 1)
        low = places.astype(int)
        share = (places - low).astype("float32").reshape((-1, 1)[:-axis])
        near, far = (ops.take(images, x, axis) for x in (low, np.minimum(low + 1, source - 1)))
        images = near + share * (far - near)
    return images


def _extend(images, count):
    """Repeat the edges of (..., height, width) `count` times."""
    widths = ((0, 0),) * (len(images.shape) - 2) + ((1, 1),) * 2
    for _ in range(count):
        images = ops.pad(images, widths, mode="symmetric")
    return images


def _merge(first, second):
    """Merge two sorted lists of tensors by Batcher's odd-even network."""
    if not first or not second:
        return first + second
    if len(first) == len(second) == 1:
        pairs, merged, rest = [(first[0], second[0])], [], []
    else:
        even, odd = _merge(first[::2], second[::2]), _merge(first[1::2], second[1::2])
        pairs, merged = zip(even[1:], odd, strict=False), even[:1]
        rest = even[1 + len(odd) :] + odd[len(even) - 1 :]
    for pair in pairs:
        merged += [ops.minimum(*pair), ops.maximum(*pair)]
    return merged + rest


def _sort(tensors):
    if len(tensors) == 1:
        return tensors
    half = len(tensors) // 2
    return _merge(_sort(tensors[:half]), _sort(tensors[half:]))


def _median(images):
    """Return the median of the 5x5 pixels about each of (..., height, width)."""
    height, width = images.shape[-2:]
    extended = _extend(images, 2)
    column = _sort([extended[..., y : y + height, :] for y in range(5)])
    columns = column
    for reach in (1, 2):  # the sorted pixels of two columns, then of four
        columns = _merge([x[..., :-reach] for x in columns], [x[..., reach:] for x in columns])
    median = columns[12][..., :width]
    for rank, pixel in enumerate(column):  # of the fifth: so many of it are among the lower half
        median = ops.minimum(median, ops.maximum(columns[11 - rank][..., :width], pixel[..., 4:]))
    return median


def _gradient(images):
    """Return the centered differences (x, y) of (..., height, width)."""
    extended = _extend(images, 1)
    across, down = extended[..., 1:-1, :], extended[..., 1:-1]
    return (across[..., 2:] - across[..., :-2]) / 2, (down[..., 2:, :] - down[..., :-2, :]) / 2


def _weigh(fraction):
    """Return the four bicubic weights of places `fraction` of a pixel behind the second tap."""
    a, x, y = SHARPNESS, fraction, 1 - fraction
    outer = [a * z * (1 - z) ** 2 for z in (x, y)]
    inner = [((a + 2) * z - (a + 3)) * z**2 + 1 for z in (x, y)]
    return outer[0], inner[0], inner[1], outer[1]


def _warp(images, flow):
    """Return images (batch, height, width, channels) at each pixel moved by flow; zero outside."""
    _, height, width, channels = images.shape
    images = ops.pad(images, ((0, 0), (BORDER, BORDER), (BORDER, BORDER), (0, 0)))
    stride = width + 2 * BORDER - 3  # four taps side by side, so that one place finds them all
    taps = ops.concatenate([images[:, :, i : i + stride] for i in range(4)], axis=-1)
    index, weights = 0, []
    for axis, side, step in ((0, width, 1), (1, height, stride)):
        grid = np.arange(side, dtype="float32")
        places = flow[axis] + (grid if axis == 0 else grid[:, None])
        places = ops.clip(places, 1 - BORDER, side + 1)
        whole = ops.floor(places)
        weights.append(_weigh(places - whole))
        index += (ops.cast(whole, "int32") + BORDER - 1) * step
    index += ops.arange(ops.shape(taps)[0])[:, None, None] * (taps.shape[1] * stride)
    taps = ops.reshape(taps, (-1, 4 * channels))
    across, down = weights
    rows = [ops.take(taps, index + line * stride, axis=0) for line in range(4)]
    rows = sum(y[..., None] * row for y, row in zip(down, rows, strict=True))
    rows = ops.reshape(rows, (-1, height, width, 4, channels))
    return ops.sum(rows * ops.stack(across, axis=-1)[..., None], axis=3)


def _step(flow, dual_x, dual_y, moving, linear, params):
    """Take a step of the flow and its duals (times theta), for the pairs that `moving` marks 1."""
    slope, offset, bound = linear
    height, width = flow.shape[-2:]
    excess = ops.minimum(ops.maximum(offset + ops.sum(slope * flow, axis=0), -bound), bound)
    # The last column of dual_x and the last row of dual_y stay zero: what rolls in is outside.
    divergence = dual_x - ops.roll(dual_x, 1, axis=-1) + dual_y - ops.roll(dual_y, 1, axis=-2)
    change = moving * (divergence - slope * excess)
    flow = flow + change
    error = ops.sum(change * change, axis=(0, 2, 3))[:, None, None]
    x = ops.pad(ops.diff(flow, axis=-1), ((0, 0),) * 3 + ((0, 1),))
    y = ops.pad(ops.diff(flow, axis=-2), ((0, 0),) * 2 + ((0, 1), (0, 0)))
    rate = params.tau * moving
    norm = 1 + rate / params.theta * ops.sqrt(x * x + y * y)
    moving = ops.cast(error > params.epsilon**2 * height * width, "float32")
    return flow, (dual_x + rate * x) / norm, (dual_y + rate * y) / norm, moving


def _linearize(first, stack, flow):
    """Warp the second frame; return (slope, offset, bound) of the likeness about the flow."""
    warped = _warp(stack, flow)
    slope = ops.moveaxis(warped[..., 1:], -1, 0)
    length = ops.sqrt(ops.sum(slope * slope, axis=0))
    inverse = ops.where(length > 1e-6, 1 / ops.maximum(length, 1e-6), 0.0)
    offset = warped[..., 0] - ops.sum(slope * flow, axis=0) - first
    return slope * inverse, offset * inverse, length


def _solve(first, second, flow, params):
    """Improve the flow (2, batch, height, width) at one scale of frames (batch, height, width)."""
    stack = ops.stack([second, *_gradient(second)], axis=-1)
    still = ops.zeros_like(flow)

    def unless_done(*state):
        return ops.any(state[-1] > 0)

    def warp(_, state):
        slope, offset, length = _linearize(first, stack, state[0])
        linear = slope, offset, params.attachment * params.theta * length

        def step(*state):
            return _step(*state, linear, params)

        def smooth(flow, *rest):
            state = ops.where(rest[-1] > 0, _median(flow), flow), *rest
            return ops.while_loop(unless_done, step, state, maximum_iterations=params.inner)

        state = *state, ops.ones_like(first[:, :1, :1])
        return ops.while_loop(unless_done, smooth, state, maximum_iterations=params.outer)[:-1]

    return ops.fori_loop(0, params.warps, warp, (flow, still, still))[0]


@keras.saving.register_keras_serializable("video")
class Flow(layers.Layer):
    """Optical flow from the first to the second of two batches of gray frames.

    Maps two tensors (batch, height, width, 1) of 0..255 to (batch, height, width, 2): how many
    pixels (x, y) what the first shows has moved in the second. It has no weights. A pair's flow
    does not depend on the others of its batch.

    Args:
        params: a dict of fields of `TVL1` that differ from its defaults.
    """

    def __init__(self, params=None, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.params = TVL1(**params or {})

    def build(self, input_shape):
        if input_shape[0][1:] != input_shape[1][1:] or input_shape[0][3:] != (1,):
            raise ValueError(f"Expected two (batch, height, width, 1), received {input_shape}.")
        if min(input_shape[0][1:3]) < SMALLEST:
            raise ValueError(
                f"The frames have {input_shape[0][1:3]} pixels; each side must have at least "
                f"{SMALLEST}."
            )

    def compute_output_shape(self, input_shape):
        return *input_shape[0][:3], 2

    def call(self, inputs):
        sizes = plan_scales(*inputs[0].shape[1:3], self.params)
        pyramid = [[ops.cast(frames[..., 0], "float32") for frames in inputs]]
        for size in sizes[1:]:
            pyramid.append([_resize(x, size, self.params.scale_step) for x in pyramid[-1]])
        flow = ops.zeros_like(ops.stack(pyramid[-1]))
        for size, frames in zip(sizes[::-1], pyramid[::-1], strict=True):
            if flow.shape[-2:] != size:
                flow = _resize(flow, size) / self.params.scale_step
            flow = _solve(*frames, flow, self.params)
        return ops.moveaxis(flow, 0, -1)

    def get_config(self):
        return super().get_config() | {"params": asdict(self.params)}


def build_tvl1(height, width, params=None):
    """Return a model of `Flow` for frames of one size, for `predict([first, second])`.

    Args:
        height, width: of the frames, in pixels.
        params: a `TVL1`; None for OpenCV's.

    Returns:
        keras.Model from two float32 (batch, height, width, 1) of 0..255 to (batch, height,
        width, 2), in pixels (x, y).

    Raises:
        ValueError: a side of less than 16 pixels.
    """
    pair = [keras.Input((height, width, 1), name=name) for name in ("first", "second")]
    flow = Flow(asdict(params or TVL1()), name="flow")(pair)
    return keras.Model(pair, flow, name="tvl1")
