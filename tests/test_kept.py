"""What an earlier version wrote goes on working: tests/data/kept, made by the commit in its README.

Runs, features, flow, networks of every layer class, and exports; `expected.json` says what that
version gave of them. Numbers may differ in their last digits between processors.
"""

import csv
import io
import json
import runpy
import shlex
import shutil
import sys
import zipfile
from pathlib import Path

import models.exporting.serving
import models.networks
import models.tvl1  # noqa: F401  the classes that networks are made of
from support.commands import ROOT, work_in
from support.runs import read_table
from utils.clips.augmentation import Transform
from utils.clips.reading import Clip, ClipFormat, clip_key, describe_format
from utils.features.layouts import load_features
from utils.features.store import settings_hash
from utils.rendering.samples import render_sample
from utils.runs.networks import read_network
from utils.video.flow import flow_kind
from utils.video.flow_store import check_store, is_stored
from utils.video.reading import probe

import h5py
import numpy as np
import pytest

KEPT = Path(__file__).with_name("data") / "kept"
EXPECTED = json.loads((KEPT / "expected.json").read_text())
CLOSE = {"rel": 2e-3, "abs": 2e-4}


@pytest.fixture
def kept(tmp_path):
    """A copy: commands write into it."""
    folder = tmp_path / "kept"
    shutil.copytree(KEPT, folder)
    return folder


def type_in(command, folder, monkeypatch):
    """Run a command as it is typed, in a folder; return what is printed."""
    first, *arguments = shlex.split(command)
    with work_in(folder) as printed:
        if first == "-m":
            monkeypatch.setattr(sys, "argv", arguments)
            runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
        else:
            monkeypatch.setattr(sys, "argv", [first, *arguments])
            runpy.run_path(str(ROOT / first), run_name="__main__")
    return printed.getvalue()


def check_numbers(found, expected):
    """Compare two JSON objects, numbers approximately."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            check_numbers(found[key], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            check_numbers(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, **CLOSE)
    else:
        assert found == expected


def fill(inputs):
    """Return the numbers that a network of {input: (shape, dtype)} was given."""
    generator, rows, side, found = np.random.default_rng(0), 24, 48, {}
    for name, (shape, dtype) in sorted(inputs.items()):
        free = [side, side + 16, rows] if len(shape) > 4 else [rows]
        shape = [2, *(n or free.pop(0) for n in shape[1:])]
        if name == "lengths":
            found[name] = np.full(shape, rows, "int32")
        elif "int8" in dtype:
            found[name] = generator.integers(0, 255, shape, np.uint8)
        else:
            found[name] = generator.normal(0, 1, shape).astype("float32")
    return found


def fill_end_to_end(inputs):
    frames = np.random.default_rng(0).integers(0, 255, (1, 20, 112, 112, 3), np.uint8)
    return {"frames": frames, "lengths": np.array([4], "int32")}


def fill_flow(inputs):
    first = np.random.default_rng(0).integers(0, 255, (1, 8, 10, 3), np.uint8)
    first = first.repeat(4, 1).repeat(4, 2)
    frames = first.mean(-1), np.roll(first, 1, 2).mean(-1)
    return {
        name: frame.reshape([1, *shape[1:]]).astype(dtype)
        for (name, (shape, dtype)), frame in zip(inputs.items(), frames, strict=True)
    }


FILLS = {"networks/end_to_end.keras": fill_end_to_end, "networks/flow.keras": fill_flow}


@pytest.mark.parametrize("path", EXPECTED["networks"])
def test_networks_load_and_compute_the_same(path):
    model, expected = read_network(KEPT / path), EXPECTED["networks"][path]
    named = model.input if isinstance(model.input, dict) else {x.name: x for x in model.inputs}
    inputs = {name: ([None, *x.shape[1:]], str(x.dtype)) for name, x in named.items()}
    given = FILLS.get(path, fill)(inputs)
    sums = {name: float(array.astype("float64").sum()) for name, array in given.items()}
    assert sums == pytest.approx({n: total for n, (_, _, total) in expected["inputs"].items()})
    call = given if isinstance(model.input, dict) else [given[x.name] for x in model.inputs]
    found = model(call[0] if isinstance(call, list) and len(call) == 1 else call, training=False)
    found = found if isinstance(found, dict) else {"output": found}
    for name, (shape, numbers) in expected["outputs"].items():
        array = np.asarray(found[name], "float64")
        assert list(array.shape) == shape
        if isinstance(numbers, dict):
            assert array.sum() == pytest.approx(numbers["sum"], **CLOSE)
            assert np.abs(array).sum() == pytest.approx(numbers["abs"], **CLOSE)
        else:
            assert array.ravel() == pytest.approx(np.array(numbers), **CLOSE)


def test_hashes_are_the_same(kept):
    with work_in(kept):
        video, clip_format = probe("videos/left/left_0.mp4"), ClipFormat(2, 8)
    described = describe_format(clip_format)
    found = [
        described,
        settings_hash({"version": 1, "window": 16}),
        settings_hash(described | {"network": "n"}),
        video.digest,
        clip_key(Clip(video, (0.0, 0.5), Transform(flip=True)), clip_format, "n"),
        flow_kind("farneback", 25, 32),
    ]
    assert json.loads(json.dumps(found)) == [*EXPECTED["hashes"].values()]


def test_features_are_read_the_same():
    for path, (dtype, shape, _, total) in EXPECTED["features"].items():
        array = load_features(KEPT / path)
        assert (str(array.dtype), list(array.shape)) == (dtype, shape), path
        assert array.astype("float64").sum() == pytest.approx(total), path


@pytest.mark.parametrize("route", EXPECTED["extract_again"])
def test_extracted_features_are_there_already(kept, route, monkeypatch):
    expected = EXPECTED["extract_again"][route]
    printed = type_in(expected["command"], kept, monkeypatch)
    assert "6 of 6 videos are done already, 0 failed before" in printed


def test_stored_flow_is_taken(kept):
    (folder,) = (kept / "flow").iterdir()
    kind = flow_kind("farneback", 25, 32)
    check_store(folder, kind)
    videos = [probe(path) for path in sorted((kept / "videos").rglob("*.mp4"))]
    stored = {path.stem for path in folder.glob("*.h5")}
    assert {video.digest for video in videos if is_stored(folder, video, kind)} == stored
    assert len(stored) == 2


def test_a_sample_is_left_alone(kept):
    before = sorted((kept / "sample").rglob("*"))
    render_sample(kept / "sample", actors=1, clips_per_actor=1)
    assert sorted((kept / "sample").rglob("*")) == before


@pytest.mark.parametrize("name", EXPECTED["evaluate"])
def test_runs_are_scored_the_same(kept, name, monkeypatch):
    expected = EXPECTED["evaluate"][name]
    type_in(expected["command"], kept, monkeypatch)
    report = kept / expected["report_in"]
    found = json.loads(report.read_text())
    known = {key: value for key, value in found.items() if key in expected["report"]}
    check_numbers(known, expected["report"])  # reports have more since
    with open(report.with_name("predictions.csv"), newline="") as file:
        found = list(csv.DictReader(file))
    assert [row.keys() for row in found] == [row.keys() for row in expected["predictions"]]


@pytest.mark.parametrize("name", EXPECTED["predict"])
def test_runs_predict_the_same(kept, name, monkeypatch):
    expected = EXPECTED["predict"][name]
    type_in(expected["command"], kept, monkeypatch)
    check_numbers(json.loads((kept / f"{name}.json").read_text()), expected["json"])


def read_sums(file):
    sums = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            sums[name] = float(np.asarray(item[()], "float64").sum())

    with h5py.File(file) as opened:
        opened.visititems(visit)
    return sums


@pytest.mark.parametrize("name", EXPECTED["resume"])
def test_runs_are_gone_on_with_the_same(kept, name, monkeypatch, untraced):
    expected, folder = EXPECTED["resume"][name], kept / "weights" / name
    type_in(expected["command"], kept, monkeypatch)
    state = json.loads((folder / "state.json").read_text())
    for row, known in zip(state["history"], expected["state"]["history"], strict=True):
        for column in row.keys() - known.keys():  # seconds, and what is measured since
            del row[column]
    check_numbers(state, expected["state"])
    with zipfile.ZipFile(folder / "best.keras") as archive:
        best = io.BytesIO(archive.read("model.weights.h5"))
    for file, wanted in ((best, "best.keras"), (folder / state["weights"], state["weights"])):
        sums = {path: total for path, (_, _, _, total) in expected[wanted].items()}
        assert read_sums(file) == pytest.approx(sums, **CLOSE)
    written_since = {"recall.csv", "steps.csv", "recognition.png"}  # by newer versions
    files = {path.name for path in folder.iterdir()} - written_since
    assert sorted(files) == expected["files"]
    if (folder / "recall.csv").is_file():  # begins where the run was gone on with
        (column,) = read_table(folder / "recall.csv")[0].keys() - {"gloss", "train", "dev"}
        assert int(column) == state["epoch"]
