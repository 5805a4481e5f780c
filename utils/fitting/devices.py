"""What `fit` is given: devices, a number format, compilation."""

import contextlib
import random
import time
from pathlib import Path

from utils.fitting.optimization import Optimization, make_optimizer
from utils.runs.openvino import has_bfloat16
from utils.scores.labelings import LABELINGS

import keras
import numpy as np

_CPU = Path("/proc/cpuinfo")
_INSTRUCTIONS = {"avx512_bf16", "amx_bf16"}  # as Linux names them
_GAIN = 1.1  # times as fast bfloat16 has to be to be chosen


@contextlib.contextmanager
def number_format(precision):
    """Give the layers and models that are made in the block (`with number_format(...):`) a format.

    Args:
        precision: of `utils.params`. Those of frozen networks alone are float32 here.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision if precision.startswith("mixed_") else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def lower_precision(model):
    """Return a copy of a functional model that computes in bfloat16, and keeps float32 weights."""
    told = '"DTypePolicy", "config": {"name": "%s"}'
    text = model.to_json().replace(told % "float32", told % "mixed_bfloat16")
    with number_format("mixed_bfloat16"):
        copy = keras.models.model_from_json(text)
    copy.set_weights(model.get_weights())
    return copy


def has_bfloat16_instructions():
    """Return whether this CPU computes in bfloat16; unknown where there is no /proc/cpuinfo."""
    return _CPU.is_file() and not _INSTRUCTIONS.isdisjoint(_CPU.read_text().split())


def _is_bfloat16_faster(size=56):
    """Time a convolution like one of I3D, in both formats, for about a second."""
    clips, seconds = np.zeros((1, 16, size, size, 64), "float32"), {}
    for policy in ("float32", "mixed_bfloat16"):
        convolution = keras.layers.Conv3D(192, 3, padding="same", dtype=policy)
        model = keras.Sequential([keras.Input(clips.shape[1:]), convolution])
        times = []
        for _ in range(4):  # the first one compiles
            begin = time.perf_counter()
            model.predict_on_batch(clips)
            times.append(time.perf_counter() - begin)
        seconds[policy] = min(times)
    return seconds["float32"] > _GAIN * seconds["mixed_bfloat16"]


def choose_precision(runtime):
    """Return what the precision auto stands for: bfloat16 where a CPU gains by it, else float32.

    Args:
        runtime: keras or openvino.
    """
    if runtime == "openvino":
        return "bfloat16" if has_bfloat16() else "float32"
    faster = has_bfloat16_instructions() and not has_gpu() and _is_bfloat16_faster()
    return "bfloat16" if faster else "float32"


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
    # On a CPU, XLA makes the default backbone 3.6 times slower, and heads no faster after 10 s of
    # compilation. JAX has nothing else.
    on_cpu = keras.backend.backend() == "tensorflow" and not has_gpu()
    model.compile(
        optimizer, loss, weighted_metrics=metrics, jit_compile=False if on_cpu else "auto"
    )
    # Variables that appear in the first step would have TensorFlow trace it twice.
    model.optimizer.build(model.trainable_variables)


def has_gpu():
    """Return whether Keras' backend finds a GPU."""
    if keras.backend.backend() != "tensorflow":
        return any("gpu" in name for name in keras.distribution.list_devices())
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
