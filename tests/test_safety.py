"""Nothing that is loaded can execute code: not a run, not weights, not features."""

import ast
import io
import json
import pickle
import zipfile
from pathlib import Path

import evaluate
from models.networks import build
from models.pretrained.download import WeightsError
from models.pretrained.i3d_files import read_tensors
from scripts.explain import explain
from scripts.export_model import export_model
from scripts.extract_embeddings import Options as EmbeddingOptions
from scripts.extract_embeddings import extract_embeddings
from support.commands import ROOT
from support.runs import save_run
from support.videos import split_examples, write_dataset
from support.walls import House
from tasks.classification.training import load_start
from tasks.options import EvaluationOptions, ExplanationOptions, ExportOptions
from tasks.plan import make_plan
from utils.features.layouts import load_features
from utils.params import Params
from utils.runs.networks import load_weights, read_network

import h5py
import keras
import numpy as np
import pytest

MARK = Path("executed")
SMALL = Params(
    network="vivit", num_segments=1, frames_per_segment=4, frame_size=32, short_side=36, run="evil"
)
VIDEO = Path("videos/left/left_01.avi")


class Trap:
    """Leaves a mark when a pickle of it is loaded."""

    def __reduce__(self):
        return Path.touch, (MARK,)


def save_lambda(path):
    """A network of the right shape that runs Python code, marshaled into its file."""
    inputs = keras.Input((1, 4, 32, 32, 3))
    x = keras.layers.Lambda(
        lambda x: (__import__("pathlib").Path("executed").touch(), x)[1], output_shape=(1, 4, 2)
    )(inputs)
    keras.Model(inputs, x).save(path)
    MARK.unlink(missing_ok=True)  # it may have run as the network was built


def change_config(path, name, module, config):
    """Save a network one layer of whose class is another."""
    inputs = keras.Input((4,))
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(path)
    with zipfile.ZipFile(path) as archive:
        files = {each: archive.read(each) for each in archive.namelist()}
    known = json.loads(files["config.json"])
    layer = known["config"]["layers"][1]
    layer |= {"module": module, "class_name": name, "registered_name": name}
    layer["config"] = config
    files["config.json"] = json.dumps(known).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for each, data in files.items():
            archive.writestr(each, data)


def save_pickled_weights(path):
    """Save a network whose weights are a pickled array."""
    change_config(path, "Dense", "keras.layers", {"units": 2})
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json")
    data = io.BytesIO()
    np.savez(data, __root__=np.array([Trap()], object), allow_pickle=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", config)
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.npz", data.getvalue())


SYSTEM = {
    "class_name": "function",
    "config": "system",
    "module": "os",
    "registered_name": "system",
}
TOUCH = {"name": "touch", "filepath": "executed"}
EVIL = {
    "a Python function in a layer": save_lambda,
    "a function of the system": lambda path: change_config(path, "system", "os", TOUCH),
    "a class of another package": lambda path: change_config(path, "Popen", "subprocess", TOUCH),
    "a function of Keras that is no layer": lambda path: change_config(
        path, "get_file", "keras.utils", {"fname": "executed", "origin": "file:///etc/hostname"}
    ),
    "a SavedModel beside it": lambda path: change_config(
        path, "TFSMLayer", "keras.layers", {"filepath": "evil", "call_endpoint": "serve"}
    ),
    "a text beside it": lambda path: (
        Path("words.txt").write_text("a\nb\n"),
        change_config(path, "StringLookup", "keras.layers", {"vocabulary": "words.txt"}),
    ),
    "a function as an activation": lambda path: change_config(
        path, "Dense", "keras.layers", {"units": 2, "activation": SYSTEM}
    ),
    "pickled weights": save_pickled_weights,
    "a pickle": lambda path: path.write_bytes(pickle.dumps(Trap())),
    "text": lambda path: path.write_text("import os"),
    "half a file": lambda path: (save_lambda(path), path.write_bytes(path.read_bytes()[:2000])),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("what", EVIL)
def test_networks_run_no_code(folder, what):
    EVIL[what](Path("evil.keras"))
    with pytest.raises(ValueError, match=r"^evil\.keras cannot be loaded by Keras ") as raised:
        read_network("evil.keras")
    assert len(str(raised.value).splitlines()) == 1 and len(str(raised.value)) < 350
    assert not MARK.exists()


# Each command that loads a run.
COMMANDS = {
    "evaluate": lambda run: evaluate.evaluate(EvaluationOptions((run,), split="val")),
    "explain": lambda run: explain(ExplanationOptions(str(VIDEO), run)),
    "extract_embeddings": lambda run: extract_embeddings(EmbeddingOptions(run)),
    "export_model": lambda run: export_model(ExportOptions(run, "keras")),
    "a warm start": lambda run: load_start(
        build("vivit", 2, 1, 4, 32), make_plan(Params(network="vivit", weights=str(run)))
    ),
}


@pytest.fixture(scope="module")
def evil_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evil")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_dataset(Path("videos"), videos=3)
        save_lambda(save_run("weights/evil", SMALL, None, split_examples()) / "best.keras")
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run_no_code_of_a_run(evil_run, command, monkeypatch):
    monkeypatch.chdir(evil_run)
    with pytest.raises(
        ValueError, match=r"^weights/evil/best\.keras cannot be loaded by Keras .*[Ll]ambda"
    ):
        COMMANDS[command](Path("weights/evil"))
    assert not MARK.exists() and not list(Path("weights/evil").glob("exports/*"))


@pytest.fixture
def traps(folder):
    """The folder with pickles in files of features and weights."""
    np.save("a.npy", np.array([Trap()], object), allow_pickle=True)
    np.savez("a.npz", features=np.array([Trap()], object), allow_pickle=True)
    Path("a.ckpt").write_bytes(pickle.dumps({"a": Trap()}))


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_features_run_no_code(traps, name):
    with pytest.raises(ValueError, match=rf"{name}: no array of numbers"):
        load_features(name)
    assert not MARK.exists()


@pytest.mark.parametrize(
    ("name", "said"), [("a.npz", "a.npz cannot be read"), ("a.ckpt", "the only file of this kind")]
)
def test_weights_run_no_code(traps, name, said):
    with pytest.raises(WeightsError, match=said):
        read_tensors(name)
    assert not MARK.exists()


# What loads or runs code, and the one file that may: its unpickler knows arrays alone.
UNSAFE = {
    "eval", "exec", "marshal", "dill", "cloudpickle", "joblib", "shelve", "Lambda", "func_load",
    "enable_unsafe_deserialization", "load_library", "load_op_library",
}  # fmt: skip
ONLY_IN = {
    "pickle": {"models.pretrained.i3d_files"},
    "load_model": {"utils.runs.networks"},
}
SAFE = {"allow_pickle": False, "safe_mode": True, "shell": False}
HOUSE = House(ROOT)


@pytest.mark.parametrize("module", HOUSE.trees)
def test_nothing_asks_for_code(module):
    names = set()
    for node in ast.walk(HOUSE.trees[module]):
        names |= {getattr(node, "id", ""), getattr(node, "attr", "")}
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.keyword) and node.arg in SAFE:
            assert getattr(node.value, "value", None) is SAFE[node.arg], node.arg
    known = {each for each, where in ONLY_IN.items() if module not in where}
    assert not names & (UNSAFE | known)


def build_small(units=2):
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(units)(inputs))


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole.replace(b"HEAP", b"XXXX"),  # of the names of its groups
        lambda whole: whole.replace(b"TREE", b"\xff\xff\xff\xff"),
    ],
)
def test_damaged_weights_of_an_epoch_are_named(tmp_path, damage):
    path = tmp_path / "last-0001.weights.h5"
    build_small().save_weights(path)
    load_weights(build_small(), path)
    with pytest.raises(ValueError, match="cannot be loaded by Keras"):
        load_weights(build_small(3), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"last-0001\.weights\.h5 cannot be loaded by Keras"):
        load_weights(build_small(), path)


def virtual(name, file):
    layout = h5py.VirtualLayout((4, 2), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "kernel", (4, 2))
    file.create_virtual_dataset(name, layout)


# Ways in which HDF5 takes numbers from another file.
ELSEWHERE = {
    "external storage": lambda name, file: file.create_dataset(
        name, (4, 2), "f4", external=[("other.h5", 0, 32)]
    ),
    "an external link": lambda name, file: file.__setitem__(
        name, h5py.ExternalLink("other.h5", "kernel")
    ),
    "a virtual dataset": virtual,
}


@pytest.mark.parametrize("way", ELSEWHERE)
def test_weights_take_nothing_from_other_files(folder, way):
    network, name = build_small(), "layers/dense/vars/0"
    network.save_weights("a.weights.h5")
    with h5py.File("other.h5", "w") as other:
        other["kernel"] = np.ones((4, 2), "f4")
    with h5py.File("a.weights.h5", "a") as file:
        assert file[name].shape == (4, 2)
        del file[name]
        ELSEWHERE[way](name, file)
        file.flush()
    with pytest.raises(ValueError, match=r"a\.weights\.h5 cannot be loaded by Keras"):
        load_weights(network, "a.weights.h5")
