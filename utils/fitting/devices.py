"""What `fit` is given: devices, a number format, compilation."""

import contextlib
import random

from utils.fitting.optimization import Optimization, make_optimizer
from utils.scores.labelings import LABELINGS

import keras
import numpy as np


@contextlib.contextmanager
def number_format(name):
    """Give the layers and models that are made in the block (`with number_format(...):`) a format.

    Args:
        name: of a Keras dtype policy, such as float32 or mixed_bfloat16.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextlib.contextmanager
def seeded(seed):
    """Draw all that is random in the block from a seed; behind it nothing is known of that seed.

    Python's and NumPy's generators go on where they were. Those of Keras and its backend cannot be
    read, so they get a new seed, which follows from Python's.
    """
    python, arrays = random.getstate(), np.random.get_state()
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        keras.utils.set_random_seed(random.getrandbits(32))
        random.setstate(python)
        np.random.set_state(arrays)


def choose_devices(gpus=-1):
    """Return (scope, replicas): what to build in (`with scope():`), how many devices share a batch.

    One device needs nothing. Several GPUs (or, where there is no GPU, several logical CPU
    devices) get a `tf.distribute.MirroredStrategy`.

    Args:
        gpus: how many; -1 for all there are, 0 for the CPU.

    Raises:
        ValueError: fewer GPUs than asked for.
    """
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext, 1
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    if gpus > len(found):
        raise ValueError(f"gpus is {gpus}, but TensorFlow finds {len(found)}. Give -1 to use all.")
    if gpus >= 0:
        tf.config.set_visible_devices(found[:gpus], "GPU")
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) == 1:
        return contextlib.nullcontext, 1
    strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
    return strategy.scope, strategy.num_replicas_in_sync


def compile_model(model, optimizer, loss, metrics):
    """Compile a model for training.

    Args:
        model: from inputs to logits.
        optimizer: of `utils.fitting.optimization.make_optimizer`.
        loss, metrics: Keras' own.
    """
    # XLA makes the default backbone 3.6 times slower on a CPU; JAX has nothing else.
    on_cpu = keras.backend.backend() == "tensorflow" and not _has_gpu()
    model.compile(
        optimizer, loss, weighted_metrics=metrics, jit_compile=False if on_cpu else "auto"
    )
    # Variables that appear in the first step would have TensorFlow trace it twice.
    model.optimizer.build(model.trainable_variables)


def _has_gpu():
    import tensorflow as tf

    return bool(tf.config.list_logical_devices("GPU"))


def prepare_steps(model):
    """Compile a classifier; return {"forward" and "train": the call, on one random clip}."""
    loss = LABELINGS["single"].make_loss()
    compile_model(model, make_optimizer(Optimization(), 1), loss, metrics=[])
    clip = np.random.default_rng(0).uniform(-1, 1, (1, *model.input_shape[1:])).astype("float32")
    target = keras.utils.to_categorical([0], model.output_shape[-1])
    return {
        "forward": lambda: model.predict_on_batch(clip),
        "train": lambda: model.train_on_batch(clip, target),
    }
