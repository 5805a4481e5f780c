"""What networks do on a GPU, on Keras and JAX: parts of scripts.benchmarks.gpu.

python -m scripts.benchmarks.gpu_networks TASK, a JSON object of `scripts.benchmarks.gpu`.
"""

import gc
import itertools
import json
import os
import sys
from functools import partial

from models.backbones import BACKBONES
from models.design import Design
from models.flops import count_flops
from models.i3d import set_tensors
from models.networks import build
from utils.fitting.devices import number_format
from utils.system.commands import ROOT
from utils.system.measuring import find_fault, make_recorder, say

import jax
import keras
import numpy as np
from jax import numpy as jnp

POLICIES = {"bfloat16": "mixed_bfloat16", "float32": "float32"}
CLASSES = 400


def measure_ceilings(recorder, task):
    """Print what the card does at most: matrix products in three precisions, and a copy."""
    device = jax.devices()[0]
    versions = {"jax": jax.__version__, "keras": keras.__version__, "numpy": np.__version__}
    say(machine={"device": device.device_kind, "cpus": os.cpu_count(), **versions})
    size, inner = task["matrix"], 10

    def repeat(function, *arrays):
        function = jax.jit(function)

        def call():
            jax.block_until_ready([function(*arrays) for _ in range(inner)])

        return call

    def multiply(dtype, precision):
        keys = jax.random.split(jax.random.key(0))
        arrays = [jax.random.normal(key, (size, size), dtype) for key in keys]
        return repeat(partial(jnp.matmul, precision=precision), *arrays)

    kinds = {"bfloat16": ("bfloat16", None), "float32": ("float32", "default")}
    kinds["float32 highest"] = ("float32", "highest")
    for name, kind in kinds.items():
        what = {"part": "ceilings", "name": f"matrix product of {size}", "precision": name}
        recorder.row(partial(multiply, *kind), inner * 2 * size**3, **what, unit="FLOP")
    count = size**2 * 4

    def copy():
        return repeat(lambda x: x + 1, jax.random.normal(jax.random.key(0), (count,)))

    what = {"part": "ceilings", "name": f"copy of {count * 4 / 2**20:.0f} MiB, read and written"}
    recorder.row(copy, inner * 2 * 4 * count, **what, unit="B")


def build_network(name, task):
    """Build a network of a task, in the precision that is set."""
    if name == "i3d":
        frames, size = task["frames"], task["frame_size"]
        return BACKBONES["i3d"].build("rgb", frames, size, "Logits")
    design = Design(size=task["size"], embedder="tubelet", encoder="joint", dropout=0.0)
    shape = CLASSES, 1, task[f"{name}_frames"], task["frame_size"]
    return build(name, *shape, design=design)


class Networks:
    """Networks of one name, one for each precision, and random clips on the device."""

    def __init__(self, name, task):
        self.name, self.task, self.built, self.clips = name, task, {}, None
        self.before = None

    def get(self, precision):
        """Return the network of a precision, compiled for training; built once."""
        if precision not in self.built:
            with number_format(POLICIES[precision]):
                model = build_network(self.name, self.task)
                loss = keras.losses.CategoricalCrossentropy(from_logits=True)
                model.compile(keras.optimizers.SGD(1e-3, momentum=0.9), loss, jit_compile=True)
            self.built[precision] = model
        return self.built[precision]

    def draw(self, model, count):
        """Return random clips on the device."""
        if self.clips is None or len(self.clips) < count:
            self.clips = None  # the old ones' memory first
            shape = count, *model.input_shape[1:]
            self.clips = jax.random.uniform(jax.random.key(0), shape, minval=-1.0, maxval=1.0)
        return self.clips[:count]

    def prepare(self, step, precision, batch):
        """Return the call of a step on a batch."""
        model = self.get(precision)
        clips = self.draw(model, batch)
        if step == "forward":
            return lambda: model.predict_on_batch(clips)
        targets = jax.nn.one_hot(jnp.arange(batch) % CLASSES, CLASSES)
        self.before = self._read(precision)
        return lambda: model.train_on_batch(clips, targets)

    def _read(self, precision):
        """Return a copy of the last layer's weights."""
        weights = self.get(precision).trainable_variables[-2]
        return keras.ops.convert_to_numpy(weights).copy()

    def check(self, step, precision, result):
        """Return what is wrong with a step's result, a row's `failure`; "" for nothing."""
        return find_fault(result, self._read(precision) - self.before if step == "train" else 1)

    def compare(self, batch):
        """Return how far bfloat16's outputs are from float32's, with the same weights."""
        exact, rough = (self.get(precision) for precision in ("float32", "bfloat16"))
        rough.set_weights(exact.get_weights())
        clips = self.draw(exact, batch)
        outputs = [np.asarray(model.predict_on_batch(clips)) for model in (exact, rough)]
        return {"relative_error": relative_error(outputs[1], outputs[0])}


def relative_error(outputs, expected):
    """Return ||outputs - expected|| / ||expected||."""
    expected = np.asarray(expected, "float64")
    return float(np.linalg.norm(outputs - expected) / np.linalg.norm(expected))


def measure_networks(names, recorder, task):
    """Print rows of networks' forward passes and training steps, and of bfloat16's error."""
    names = [name for name in names if name in task["networks"]]
    networks = {name: Networks(name, task) for name in names}
    for name, own in networks.items():
        say(work={name: count_flops(own.get(task["precisions"][0])) / 1e9})
    for batch in task["batches"]:
        rows = itertools.product(task["precisions"], task["steps"], names)
        for precision, step, name in rows:
            own = networks[name]
            what = {"part": task["part"], "network": name, "framework": "keras on jax"}
            what |= {"step": step, "precision": precision, "batch": batch}
            prepare = partial(own.prepare, step, precision, batch)
            check = partial(own.check, step, precision)
            if not recorder.row(prepare, batch, check, **what):
                own.built.clear()  # a step that fails may have taken the weights with it
                own.clips = None
                gc.collect()
        if batch == task["batches"][0] and set(POLICIES) <= set(task["precisions"]):
            for name in names:
                what = {"part": task["part"], "network": name, "name": "bfloat16 against float32"}
                recorder.number(partial(networks[name].compare, batch), **what)


def measure_correctness(recorder, task):
    """Print I3D's errors against the independent reference of tests/test_i3d.py.

    On a CPU the tests find its logits within 1e-4.
    """
    sys.path.append(str(ROOT / "tests"))
    from test_i3d import REFERENCE, draw_clip, rebuild_tensors

    tensors, clip, expected = rebuild_tensors("rgb"), draw_clip(16, 3), REFERENCE["RGB_16_logits"]

    def compute(precision, products):
        with number_format(POLICIES[precision]):
            model = BACKBONES["i3d"].build("rgb", 16, 224, "Logits")
        set_tensors(model, tensors)
        with jax.default_matmul_precision(products):
            logits = np.asarray(model.predict_on_batch(clip))
        largest = float(np.abs(logits - expected).max())
        return {"relative_error": relative_error(logits, expected), "largest_error": largest}

    for precision, products in (("float32", "highest"), ("float32", None), ("bfloat16", None)):
        if precision in task["precisions"]:
            name = f"I3D against its reference, products {products or 'as they come'}"
            what = {"part": "correctness", "name": name, "precision": precision}
            recorder.number(partial(compute, precision, products), **what)


PARTS = {
    "ceilings": measure_ceilings,
    "i3d": partial(measure_networks, ("i3d",)),
    "correctness": measure_correctness,
    "transformers": partial(measure_networks, ("timesformer", "vivit")),
}


if __name__ == "__main__":
    _TASK = json.loads(sys.argv[1])
    PARTS[_TASK["part"]](make_recorder(_TASK), _TASK)
