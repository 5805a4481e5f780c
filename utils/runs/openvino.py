"""Networks in OpenVINO, which computes them on a CPU in float32, bfloat16 or int8.

OpenVINO is imported by what needs it: requirements-openvino.txt.
"""

import logging
import os
import tempfile
import threading
from importlib.util import find_spec
from pathlib import Path

from utils.system.hashing import hash_bytes

import numpy as np

PACKAGES = ("openvino", "nncf")
_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}  # for what is not quantized
_HINT, _METADATA = "INFERENCE_PRECISION_HINT", ["video", "metadata"]
_CONVOLUTIONS = {"Convolution", "GroupConvolution"}
_QUANTIZED = _CONVOLUTIONS | {"MatMul"}
# What takes 8 bits and gives the same ones.
_PASSING = set(
    "Concat Constant Gather MaxPool Pad Parameter Relu Reshape Result Slice Split Squeeze "
    "StridedSlice Transpose Unsqueeze VariadicSplit".split()
)
_FILES = ("network.xml", "network.bin")


def check_openvino():
    """Raise a ValueError where OpenVINO cannot run: it is not there, or Keras is on JAX."""
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        raise ValueError(
            f"The runtime openvino needs {', '.join(missing)}: pip install -r "
            "requirements-openvino.txt. Or give --runtime keras."
        )
    import keras  # slow: the error above comes first

    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "The runtime openvino needs Keras on TensorFlow, but Keras runs on "
            f"{keras.backend.backend()}. Set KERAS_BACKEND=tensorflow, or give --runtime keras."
        )


def has_bfloat16():
    """Return whether OpenVINO computes in bfloat16 on this CPU."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def convert(model):
    """Return a Keras model on TensorFlow as an `openvino.Model` that takes any batch.

    Args:
        model: from a tensor, or {name: tensor}, to a tensor, or {name: tensor}.
    """
    import openvino
    import tensorflow as tf

    @tf.function
    def call(inputs):
        return model(inputs, training=False)

    given = model.input if isinstance(model.input, dict) else {"inputs": model.input}
    specs = {name: tf.TensorSpec(x.shape, x.dtype, name=name) for name, x in given.items()}
    signature = specs if isinstance(model.input, dict) else specs["inputs"]
    converted = openvino.convert_model(call.get_concrete_function(signature))
    made = model.output if isinstance(model.output, dict) else ["outputs"]
    # TensorFlow has tensors of a dictionary in the order of its keys.
    for ports, names in ((converted.inputs, given), (converted.outputs, made)):
        for port, name in zip(ports, sorted(names), strict=True):
            port.tensor.set_names({name})
    return converted


def quantize(converted, examples):
    """Return a network whose convolutions and matrix products are int8, by ranges on examples.

    All else stays float32, and so does a head: it is little work, and sums and normalization lose
    by 8 bits.

    Args:
        converted: of `convert`.
        examples: list of inputs, arrays (1, ...) or {name: array (1, ...)}.
    """
    import nncf

    logging.getLogger("nncf").setLevel(logging.ERROR)
    types = {operation.get_type_name() for operation in converted.get_ops()}
    others = sorted(types - _QUANTIZED - _PASSING)
    is_transformer = types.isdisjoint(_CONVOLUTIONS)
    return nncf.quantize(
        converted,
        nncf.Dataset(examples),
        subset_size=len(examples),
        model_type=nncf.ModelType.TRANSFORMER if is_transformer else None,
        ignored_scope=nncf.IgnoredScope(types=others, patterns=[".*/head.*"], validate=False),
    )


def save_network(network, folder, precision):
    """Write an `openvino.Model` into a folder, and in which precision it is to run."""
    import openvino

    network.set_rt_info(_HINTS[precision], ["runtime_options", _HINT])
    openvino.save_model(network, Path(folder, _FILES[0]), compress_to_fp16=False)


def attach_metadata(folder, text):
    """Put a text into the rt_info of a network that `save_network` wrote, at video, metadata."""
    import openvino

    xml, weights = (Path(folder, name).read_bytes() for name in _FILES)
    network = openvino.Core().read_model(xml, weights)
    network.set_rt_info(text, _METADATA)
    openvino.save_model(network, Path(folder, _FILES[0]), compress_to_fp16=False)


def read_network(folder):
    """Return the `Network` in a folder.

    Raises:
        OSError: its files are not there.
    """
    return Network(*(Path(folder, name).read_bytes() for name in _FILES))


def make_network(converted, precision):
    """Return the `Network` of an `openvino.Model`."""
    with tempfile.TemporaryDirectory() as folder:
        save_network(converted, folder, precision)
        return read_network(folder)


class Network:
    """A network that OpenVINO computes; it can be pickled.

    Args:
        xml, weights: what `save_network` writes, bytes.
    """

    def __init__(self, xml, weights):
        self.xml, self.weights = xml, weights
        self._compiled, self._lock = {}, threading.Lock()

    def __getstate__(self):
        return self.xml, self.weights

    def __setstate__(self, state):
        self.__init__(*state)

    @property
    def digest(self):
        """A hash of all that decides its outputs."""
        return hash_bytes([self.xml, self.weights])

    def _compile(self, shapes):
        """Compile it for arrays of shapes: known ones are faster than any."""
        import openvino

        core = openvino.Core()
        network = core.read_model(self.xml, self.weights)
        network.reshape({name: list(shape) for name, shape in shapes})
        # As many threads as TensorFlow is told to take: on Ray actors share a machine.
        threads = {"INFERENCE_NUM_THREADS": int(os.environ.get("TF_NUM_INTRAOP_THREADS", 0))}
        hint = network.get_rt_info(["runtime_options", _HINT]).value
        return core.compile_model(network, "CPU", threads | {_HINT: hint})

    def run(self, inputs):
        """Return its output, NumPy, of {name: array (batch, ...)}."""
        shapes = tuple((name, np.shape(array)) for name, array in inputs.items())
        with self._lock:  # it answers one question at a time
            if shapes not in self._compiled:
                self._compiled[shapes] = self._compile(shapes)
            return np.array(self._compiled[shapes](inputs)[0])

    def predict_on_batch(self, batch):
        """Return its output, NumPy, of an array (batch, ...), as a Keras model does."""
        return self.run({"inputs": np.asarray(batch)})
