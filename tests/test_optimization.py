"""Optimizers and learning rates: every row, and rates worked out by hand."""

from utils.fitting.optimization import OPTIMIZERS, Optimization, make_optimizer

import keras
import numpy as np
import pytest


def rates(settings, steps, count):
    optimizer = make_optimizer(settings, steps)
    found = []
    for step in range(count):
        optimizer.iterations.assign(step)
        found.append(float(optimizer.learning_rate))
    return found


def test_phases():
    settings = Optimization(learning_rates=(1, 0.1, 0.01), rate_epochs=(2, 3), epochs=4)
    expected = [1] * 6 + [0.1] * 3 + [0.01] * 3
    np.testing.assert_allclose(rates(settings, 3, 12), expected, rtol=1e-6)


def test_cosine_with_and_without_warm_up():
    settings = Optimization("adamw", "cosine", (0.4, 1, 1), warmup_epochs=1, epochs=3)
    found = rates(settings, 4, 12)
    np.testing.assert_allclose(found[:4], [0, 0.1, 0.2, 0.3], atol=1e-6)
    expected = 0.2 * (1 + np.cos(np.pi * np.arange(8) / 8))
    np.testing.assert_allclose(found[4:], expected, atol=1e-6)
    settings = Optimization("sgd", "cosine", (0.4, 1, 1), epochs=2)
    expected = 0.2 * (1 + np.cos(np.pi * np.arange(8) / 8))
    np.testing.assert_allclose(rates(settings, 4, 8), expected, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_only_kernels_decay(name):
    settings = Optimization(name, learning_rates=(0.1, 0.1, 0.1), weight_decay=0.5, momentum=0)
    optimizer = make_optimizer(settings, 1)
    kernel, bias, tokens = (
        keras.Variable(np.ones(2, "float32"), name=part) for part in ("kernel", "bias", "tokens")
    )
    optimizer.build([kernel, bias, tokens])
    optimizer.apply([np.zeros(2, "float32")] * 3)
    np.testing.assert_allclose(kernel, 1 - 0.1 * 0.5, rtol=1e-6)
    np.testing.assert_allclose(bias, 1)
    np.testing.assert_allclose(tokens, 1)


def test_clipping_and_accumulation():
    rate = (1.0, 1.0, 1.0)
    clipped = make_optimizer(Optimization(learning_rates=rate, momentum=0, clip_norm=1.0), 1)
    variable = keras.Variable(np.zeros(2, "float32"))
    clipped.build([variable])
    clipped.apply([np.array([3.0, 4.0], "float32")])
    np.testing.assert_allclose(variable, [-0.6, -0.8], rtol=1e-6)
    gathered = make_optimizer(Optimization(learning_rates=rate, momentum=0, accumulate=2), 1)
    variable = keras.Variable(np.zeros(2, "float32"))
    gathered.build([variable])
    gathered.apply([np.array([1.0, 0.0], "float32")])
    np.testing.assert_allclose(variable, [0, 0])
    gathered.apply([np.array([0.0, 1.0], "float32")])
    np.testing.assert_allclose(variable, [-0.5, -0.5], rtol=1e-6)


def test_unknown_names():
    with pytest.raises(ValueError, match="Unknown optimizer 'adam'; known: sgd, adamw"):
        Optimization("adam")
    with pytest.raises(ValueError, match="Unknown schedule 'step'; known: phases, cosine"):
        Optimization(schedule="step")
