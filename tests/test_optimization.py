"""Optimizers and learning rates: every row, and rates worked out by hand."""

from dataclasses import replace

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


def take_steps(settings, backbone_rate, count=1, wrap=lambda optimizer: optimizer):
    """Return how far a backbone's kernel and a head's bias, kernel move from 1; three numbers each.

    All have the same gradients: what differs is their rate, and that a bias does not decay.
    """
    names = ("backbone/kernel", "head/bias", "head/kernel")
    variables = [keras.Variable(np.ones(3, "float32"), name=n.replace("/", "_")) for n in names]
    settings = replace(settings, backbone_rate=backbone_rate, learning_rates=(0.1, 0.1, 0.1))
    optimizer = wrap(make_optimizer(settings, 1, variables[:1]))
    optimizer.build(variables)
    for step in range(count):
        gradient = np.array([1, -2, 3], "float32") / (1 + step)
        optimizer.apply([gradient] * 3, variables)
    return [keras.ops.convert_to_numpy(variable) - 1 for variable in variables], optimizer


@pytest.mark.models
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 4),
        ({"momentum": 0.0, "weight_decay": 0.5}, 1),
        ({"weight_decay": 0.5, "clip_norm": 1.0, "accumulate": 2, "ema": 0.9}, 2),
    ],
)
def test_a_backbone_takes_smaller_steps(name, changes, count):
    """A tenth of the others' step and decay; these are as without a backbone."""
    settings = Optimization(name, **changes)
    (kernel, *_), plain = take_steps(settings, 1.0, count)
    assert type(plain).__module__.startswith("keras.")
    (slow, bias, fast), optimizer = take_steps(settings, 0.1, count)
    assert np.abs(kernel).min() > 1e-3
    np.testing.assert_allclose(slow, 0.1 * kernel, rtol=1e-4)
    np.testing.assert_allclose(fast, kernel, rtol=1e-5)
    assert np.allclose(bias, fast, rtol=1e-5) == (not settings.weight_decay)
    (still, _, moved), _ = take_steps(settings, 0.0, count)
    assert not still.any() and moved.all()
    assert [v.shape for v in optimizer.variables] == [v.shape for v in plain.variables]
    assert len({v.path for v in optimizer.variables}) == len(optimizer.variables)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_backbone_takes_smaller_steps_in_float16(name):
    """Keras wraps the optimizer there, and scales the loss; on JAX in a trainer alone."""

    def wrap(optimizer):
        return keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=2.0)

    (slow, _, fast), _ = take_steps(Optimization(name), 0.1, 2, wrap)
    assert np.abs(fast).min() > 1e-3
    np.testing.assert_allclose(slow, 0.1 * fast, rtol=1e-4)


def test_a_network_is_saved_with_its_optimizer(tmp_path):
    """Its rates are the run's, which makes a new one to go on."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    settings = Optimization("adamw", backbone_rate=0.1)
    model.compile(make_optimizer(settings, 1, model.trainable_variables), "mse")
    model.train_on_batch(np.ones((1, 2)), np.ones((1, 1)))
    model.save(tmp_path / "whole.keras")
    again = keras.saving.load_model(tmp_path / "whole.keras")
    for one, other in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, other)


def test_unknown_names():
    with pytest.raises(ValueError, match="Unknown optimizer 'adam'; known: sgd, adamw"):
        Optimization("adam")
    with pytest.raises(ValueError, match="Unknown schedule 'step'; known: phases, cosine"):
        Optimization(schedule="step")
