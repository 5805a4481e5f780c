"""How much arithmetic a network does, counted from its layers."""

import keras
import numpy as np


def count_flops(model):
    """Return the floating-point operations of one example's forward pass.

    Two per multiply-add of the convolutions and dense layers, as the hardware counts; papers
    often count one. The rest of I3D is below 1 %.

    Args:
        model: a `keras.Model` of these layers, whose shapes are known but for the batch.

    Raises:
        ValueError: a layer whose output has another unknown size.
    """
    total = 0
    for layer in model.layers:
        if not isinstance(layer, keras.layers.Conv3D | keras.layers.Dense):
            continue
        positions = layer.output.shape[1:-1]
        if None in positions:
            raise ValueError(f"{layer.name} has an output of unknown size {layer.output.shape}.")
        total += 2 * int(np.prod(positions) * np.prod(layer.kernel.shape))
    return total
