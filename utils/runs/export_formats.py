"""FORMATS: a model written for another runtime, and run there.

TensorFlow's SavedModel (what TensorFlow Serving loads), ONNX, LiteRT (TensorFlow Lite), OpenVINO,
Keras.
Each is imported by what needs it: the names are flags' values.
"""

import json
import logging
import os
import warnings
import zipfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from types import SimpleNamespace
from typing import NamedTuple

from utils.runs import openvino
from utils.runs.networks import read_network

_OUTPUT = "probabilities"
_INSIDE = "export.json"  # what the metadata is called inside a zip archive


def _sign(model):
    """Return what a model takes; Keras finds it by itself only for one that was called."""
    import keras

    return {
        name: keras.InputSpec(dtype=x.dtype, shape=x.shape, name=name)
        for name, x in model.input.items()
    }


def _write_savedmodel(model, path, examples):
    import keras

    archive = keras.export.ExportArchive()  # model.export would write each variable twice
    archive.add_endpoint("serve", model.__call__, [_sign(model)])
    archive.write_out(path, verbose=False)


def _attach_savedmodel(path, metadata):
    folder = path / "assets.extra"  # where TensorFlow Serving looks for nothing
    folder.mkdir()
    (folder / "metadata.json").write_text(json.dumps(metadata, indent=1) + "\n")


def _run_savedmodel(path):
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))

    def run(inputs):
        tensors = {name: tf.constant(array) for name, array in inputs.items()}
        return loaded.signatures["serving_default"](**tensors)[_OUTPUT].numpy()

    return run


def _write_onnx(model, path, examples):
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    model.export(path, format="onnx", verbose=False, input_signature=[_sign(model)])


def _write_onnx_half(model, path, examples):
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    _write_onnx(model, path, examples)
    onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=True), path)


def _write_onnx_int8(model, path, examples):
    """Quantize matrix products and convolutions by the ranges that they have on examples."""
    from onnxruntime.quantization import QuantType, quantize_static

    whole = path.with_name("float32.onnx")
    _write_onnx(model, whole, examples)
    quantize_static(
        whole,
        path,
        SimpleNamespace(get_next=partial(next, iter(examples), None)),
        per_channel=True,
        reduce_range=True,  # 7 bits: on CPUs without VNNI sums of 8 overflow
        activation_type=QuantType.QUInt8,
        op_types_to_quantize=["Conv", "MatMul", "Gemm"],
    )
    whole.unlink()


def _attach_onnx(path, metadata):
    import onnx

    model = onnx.load(path)
    texts = {name: json.dumps(value) for name, value in metadata.items()}
    onnx.helper.set_model_props(model, texts)
    onnx.save(model, path)


def _run_onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)[0]


def _write_litert(model, path, examples, optimize=False, types=()):
    import tensorflow as tf

    options = {"optimizations": [tf.lite.Optimize.DEFAULT]} if optimize else {}
    if types:
        options["target_spec"] = {"supported_types": [getattr(tf, name) for name in types]}
    model.export(path, format="litert", verbose=False, **options)


def _run_litert(path):
    import tensorflow as tf

    with warnings.catch_warnings():  # of its successor, a package of its own
        warnings.filterwarnings("ignore", r"(?s).*tf\.lite\.Interpreter", UserWarning)
        interpreter = tf.lite.Interpreter(str(path), num_threads=os.cpu_count())
    run = interpreter.get_signature_runner(next(iter(interpreter.get_signature_list())))
    return lambda inputs: run(**inputs)[_OUTPUT]


def _write_openvino(model, path, examples, precision):
    network = openvino.convert(model)
    if precision == "int8":
        network = openvino.quantize(network, list(examples))
    path.mkdir()
    openvino.save_network(network, path, precision)


def _attach_openvino(path, metadata):
    openvino.attach_metadata(path, json.dumps(metadata))


def _write_keras(model, path, examples):
    model.save(path)


def _attach_zip(path, metadata):
    with zipfile.ZipFile(path, "a") as archive:  # LiteRT keeps what belongs to a model so, too
        archive.writestr(_INSIDE, json.dumps(metadata, indent=1) + "\n")


def _run_keras(path):
    import numpy as np

    model = read_network(path)
    return lambda inputs: np.asarray(model(inputs, training=False)[_OUTPUT])


class Format(NamedTuple):
    """A format.

    Attributes:
        file: what it is called in the folder of an export.
        writers: {precision: function (model, path, examples) that writes a model}; examples are an
            iterable of inputs {name: array (1, ...)}.
        attach: function (path, dict) that puts the metadata inside.
        run: function path -> function {name: array (batch, ...)} -> probabilities, NumPy.
        needs: packages that are not in requirements.txt.
        requirements: the file that has them.
        flat: whether it wants a backbone in two dimensions (`models.exporting.portable`).
        portable: whether it wants a network without what only this TensorFlow has.
        calibrates: whether its int8 takes examples.
    """

    file: str
    writers: dict[str, Callable]
    attach: Callable
    run: Callable
    needs: tuple[str, ...] = ()
    requirements: str = "requirements-export.txt"
    flat: bool = False
    portable: bool = True
    calibrates: bool = False


FORMATS = {
    # TensorFlow Serving wants a folder of versions.
    "savedmodel": Format("1", {"float32": _write_savedmodel}, _attach_savedmodel, _run_savedmodel),
    "onnx": Format(
        "model.onnx",
        {"float32": _write_onnx, "float16": _write_onnx_half, "int8": _write_onnx_int8},
        _attach_onnx,
        _run_onnx,
        needs=("tf2onnx", "onnx", "onnxruntime"),
        calibrates=True,
    ),
    "litert": Format(
        "model.tflite",
        {
            "float32": _write_litert,
            "float16": partial(_write_litert, optimize=True, types=("float16",)),
            "int8": partial(_write_litert, optimize=True),  # weights; activations as they come
        },
        _attach_zip,
        _run_litert,
        flat=True,  # it has neither pooling in three dimensions nor convolutions of 8 bits
    ),
    "openvino": Format(
        "network",
        {
            name: partial(_write_openvino, precision=name)
            for name in ("float32", "bfloat16", "int8")
        },
        _attach_openvino,
        lambda path: openvino.read_network(path).run,
        needs=openvino.PACKAGES,
        requirements="requirements-openvino.txt",
        calibrates=True,
    ),
    "keras": Format(
        "model.keras", {"float32": _write_keras}, _attach_zip, _run_keras, portable=False
    ),
}


def check_format(name, precision):
    """Raise a ValueError unless a format is known, has a precision, and its packages are there."""
    if name not in FORMATS:
        raise ValueError(f"Unknown format {name!r}; known: {', '.join(FORMATS)}.")
    row = FORMATS[name]
    if precision not in row.writers:
        fitting = [other for other, each in FORMATS.items() if precision in each.writers]
        raise ValueError(
            f"The format {name} has no {precision}, only {', '.join(row.writers)}; formats that "
            f"have it: {', '.join(fitting) or 'none'}."
        )
    missing = [package for package in row.needs if find_spec(package) is None]
    if missing:
        raise ValueError(
            f"The format {name} needs {', '.join(missing)}: pip install -r {row.requirements}"
        )


def write_model(name, precision, model, folder, metadata, examples=()):
    """Write a model, with its metadata inside.

    Args:
        name, precision: of a row of `FORMATS`.
        model: a `keras.Model` from {name: array} to {"probabilities": array}.
        folder: which is there.
        metadata: dict that JSON can hold.
        examples: as in `Format`.

    Returns:
        (its path, MB of it).
    """
    row = FORMATS[name]
    path = folder / row.file
    row.writers[precision](model, path, examples)
    files = path.rglob("*") if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files if file.is_file())
    row.attach(path, metadata)
    return path, size / 1e6
