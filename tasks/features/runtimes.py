"""What computes networks that are not trained: Keras, or OpenVINO, in a precision.

An int8 network is calibrated once, on clips of the user's own videos, and kept in
weights/openvino: features that it makes are compared with one another, so it stays the same. A run
has its own copy.
"""

import json
import shutil
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from utils.checks import check_precision
from utils.clips.inputs import fingerprint
from utils.clips.reading import Clip, read_clip
from utils.fitting.devices import (
    choose_precision,
    has_bfloat16_instructions,
    has_gpu,
    lower_precision,
)
from utils.places import WEIGHTS
from utils.runs.openvino import (
    PACKAGES,
    check_openvino,
    convert,
    make_network,
    quantize,
    read_network,
    save_network,
)
from utils.system.files import atomic_path
from utils.system.hashing import hash_text
from utils.system.locks import wait_for_lock
from utils.system.words import print_line
from utils.video.reading import probe
from utils.video.video import VideoError

import keras
from keras import ops

FOLDER = "openvino"  # of int8 networks, in weights/ and in a run
CALIBRATION = 12  # clips
METHOD = 1  # of calibration; another one makes other networks


class Runtime(NamedTuple):
    """What computes a network.

    Attributes:
        name: keras or openvino.
        precision: of `utils.checks.PRECISIONS`, but for auto.
    """

    name: str = "keras"
    precision: str = "float32"

    @property
    def is_own(self):
        """Whether it is how a network of that precision computes by itself."""
        return self.name == "keras" and self.precision != "bfloat16"


class Asked(NamedTuple):
    """How predictions are to be computed.

    Attributes:
        runtime: keras or openvino; "" for the run's.
        precision: auto for the run's.
        videos: paths of videos to calibrate int8 on, if the network never was.
    """

    runtime: str = ""
    precision: str = "auto"
    videos: tuple = ()

    def check_rows(self, run):
        """Raise a ValueError unless it is as the features of a run were made."""
        if self.runtime or self.precision != "auto":
            raise ValueError(
                f"{run} was trained on features, so a video's are made as those were. Leave out "
                "runtime and precision; scripts.extract_features has both."
            )


AS_THE_RUN = Asked()


class Prepared(NamedTuple):
    """A network in a runtime.

    Attributes:
        model: what has `predict` and `predict_on_batch`, as a Keras model has.
        fingerprint: a hash of all that decides its outputs.
    """

    model: object
    fingerprint: str


def choose_runtime(params, asked=AS_THE_RUN):
    """Return the `Runtime` that is asked for, otherwise that of a run.

    Where the run's was chosen for another CPU, which has bfloat16, it is float32.

    Args:
        params: `Params` of the run.
        asked: `Asked`. The precision auto is the run's, or, in another runtime than its own, what
            suits this CPU.

    Raises:
        ValueError: the runtime does not have the precision, or cannot run here.
    """
    name, precision = asked.runtime or params.runtime, asked.precision
    check_precision(name, precision)
    if name == "openvino":
        check_openvino()
    if precision != "auto":
        return Runtime(name, precision)
    if name != params.runtime or params.precision == "auto":
        return Runtime(name, choose_precision(name))
    lowered = Runtime(name, params.precision) == ("keras", "bfloat16")
    if lowered and not (has_bfloat16_instructions() or has_gpu()):
        print_line("This CPU has no bfloat16 instructions: the run is computed in float32")
        return Runtime()
    return Runtime(name, params.precision)


def pick_clips(paths, clip_format):
    """Return `CALIBRATION` clips, of as many of the videos as can be; unreadable ones are left out.

    Args:
        paths: list of paths of videos.
        clip_format: a `ClipFormat`.

    Returns:
        A list of float32 arrays (1, segments, frames, height, width, channels).
    """
    each = -(-CALIBRATION // max(len(paths), 1))  # of a video
    places = [(path, (i + 0.5) / each) for i in range(each) for path in paths]
    step, clips = max(1, len(places) // CALIBRATION), []
    for first in range(step):  # spread over the videos, and between those again
        for path, place in places[first::step]:
            if len(clips) == CALIBRATION:
                return clips
            with suppress(VideoError):
                clips.append(read_clip(Clip(probe(path), place), clip_format)[None])
    return clips


def _calibrate(model, folder, pick):
    """Quantize a model to int8, and keep it in a folder."""
    examples = pick()
    if not examples:
        raise ValueError(
            "int8 is calibrated on videos once for each network, and here is none to begin with. "
            "Predict a few videos in int8 first (python -m scripts.predict), or give another "
            "precision."
        )
    print_line(f"Calibrating int8 on {len(examples)} clips, once for this network", flush=True)
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        save_network(quantize(convert(model), examples), temporary, "int8")
        versions = {name: version(name) for name in PACKAGES}
        about = {"shape": model.input_shape[1:], "clips": len(examples), "versions": versions}
        (temporary / "about.json").write_text(json.dumps(about, indent=1) + "\n")


def _open_calibrated(model, pick, run):
    """Return the int8 `Network` of a model: the run's own, or that kept, or a new one."""
    name = hash_text(json.dumps([fingerprint(model), model.input_shape[1:], CALIBRATION, METHOD]))
    kept = WEIGHTS / FOLDER / name
    for root in filter(None, (run, WEIGHTS)):
        with suppress(FileNotFoundError):
            return read_network(Path(root, FOLDER, name))
    with wait_for_lock(kept.with_name(f".{name}.lock")):
        if not kept.is_dir():
            _calibrate(model, kept, pick)
    return read_network(kept)


def open_network(model, precision, pick=list, run=None):
    """Return a Keras model in OpenVINO.

    Args:
        model: from one tensor to one tensor.
        precision: float32, bfloat16 or int8.
        pick: function -> list of arrays (1, ...) that int8 is calibrated on, if it never was.
        run: folder of a run, where its own int8 networks are.

    Returns:
        (`utils.runs.openvino.Network`, hash of all that decides its outputs).

    Raises:
        ValueError: there is nothing to calibrate on.
    """
    if precision == "int8":
        network = _open_calibrated(model, pick, run)
        return network, network.digest
    return make_network(convert(model), precision), hash_text(f"{fingerprint(model)} {precision}")


class _Model(keras.Model):
    """A Keras model whose outputs OpenVINO computes."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.compile(run_eagerly=True)

    def call(self, inputs):
        return ops.convert_to_tensor(self.network.predict_on_batch(ops.convert_to_numpy(inputs)))


def _prepare_keras(model, precision, pick, run):
    model = lower_precision(model) if precision == "bfloat16" else model
    return Prepared(model, fingerprint(model))


def _prepare_openvino(model, precision, pick, run):
    network, found = open_network(model, precision, pick, run)
    return Prepared(_Model(network), found)


_RUNTIMES = {"keras": _prepare_keras, "openvino": _prepare_openvino}


def prepare(model, runtime, pick=list, run=None):
    """Return a Keras model in a runtime, `Prepared`.

    Args:
        model: from one tensor to one tensor; it is not trained.
        runtime: a `Runtime`.
        pick, run: as in `open_network`.
    """
    return _RUNTIMES[runtime.name](model, runtime.precision, pick, run)


def _list_kept(root):
    """Yield (folder, `Network`) of the int8 networks that are kept in a run, or in weights/."""
    for folder in sorted(Path(root, FOLDER).glob("*/")):
        with suppress(FileNotFoundError):  # another process is writing it
            yield folder, read_network(folder)


def find_network(digest, run):
    """Return the int8 `Network` of a digest, of a run or kept in weights/; None: it is gone."""
    kept = (network for root in (run, WEIGHTS) for _, network in _list_kept(root))
    return next((network for network in kept if network.digest == digest), None)


def keep_networks(run, digests):
    """Copy the int8 networks of some digests into a run, which then needs nothing else."""
    for folder, network in _list_kept(WEIGHTS) if digests else ():
        if network.digest in digests and not (own := Path(run, FOLDER, folder.name)).is_dir():
            with atomic_path(own) as temporary:
                shutil.copytree(folder, temporary)
