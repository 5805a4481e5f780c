"""How long calls take, in how much memory, and the two calls of a network that are timed."""

import resource
import statistics
import time

from utils.fitting.devices import compile_model
from utils.fitting.optimization import Optimization, make_optimizer
from utils.scores.labelings import LABELINGS

import keras
import numpy as np


def limit_memory(gib):
    """Let this process take at most so many GiB of main memory; 0: all there is."""
    if gib:
        limit = int(gib * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def measure_seconds(call):
    """Return how long a call takes."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def median_seconds(call, repeats, limit=60.0):
    """Return the median time of a call after a first one, of fewer repeats past `limit` seconds."""
    call()
    seconds = []
    while len(seconds) < repeats and sum(seconds) < limit:
        seconds.append(measure_seconds(call))
    return statistics.median(seconds)


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
