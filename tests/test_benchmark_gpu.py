"""scripts.benchmarks.gpu at tiny sizes on a CPU; PyTorch's I3D against ours, where it is there."""

import importlib.util
import json
import time

from models.backbones import BACKBONES
from scripts.benchmarks import gpu, peers_torch
from utils.system import measuring

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.models
needs_jax = pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="jax is not installed")
TINY = {"matrix": 64, "row_seconds": 0.01, "reserve": 0.1}


@needs_jax
def test_what_is_measured_is_kept(tmp_path, capsys):
    options = gpu.Options(("ceilings",), seconds=300, output=tmp_path / "gpu.json", **TINY)
    gpu.benchmark_gpu(options)
    found = json.loads(options.output.read_text())
    assert found["machine"]["device"]
    assert list(found["part_seconds"]) == ["ceilings"]
    assert len(found["rows"]) == 4
    assert "matrix product of 64 float32" in capsys.readouterr().out


def test_shares_are_of_the_matrix_product(tmp_path):
    report = gpu.Report(tmp_path / "gpu.json")
    product = {"part": "ceilings", "precision": "float32", "per_second": 8e9, "first_seconds": 0}
    row = {"part": "i3d", "network": "i3d", "precision": "float32", "step": "train", "batch": 1}
    for said in (
        {"work": {"i3d": 0.5}},
        {"row": product},
        {"row": row | {"per_second": 2.0, "first_seconds": 1}},
    ):
        report.take(json.dumps(said))
    found = json.loads((tmp_path / "gpu.json").read_text())["rows"][1]
    assert found["share"] == 3 * 0.5e9 * 2 / 8e9  # a step takes three forward passes


def test_a_part_that_fails_or_hangs_is_a_row(tmp_path, monkeypatch):
    task = {"row_seconds": 0.01, "reserve": 0.1, "row_limit": 60}
    report = gpu.Report(tmp_path / "gpu.json")
    for module, limit in (("no_such_module", 60), ("__main__", 0.01)):
        monkeypatch.setitem(gpu.PARTS, "flow", gpu.Part(module, 1))
        gpu.run_part("flow", task, report, limit)
    reasons = [row["failure"] for row in json.loads((tmp_path / "gpu.json").read_text())["rows"]]
    assert reasons == ["its process ended with 1", "ended after 0 s"]


def test_a_part_goes_on_behind_a_row_that_takes_too_long(tmp_path, monkeypatch):
    """Compiling a training step took all of a part's time: the rows behind it were lost."""
    part = tmp_path / "slow_part.py"
    part.write_text(
        "import json, os, sys, time\n"
        "task = json.loads(sys.argv[1])\n"
        "for name in ('quick', 'slow', 'crash', 'last'):\n"
        "    if {'name': name} in task['skip']:\n"
        "        continue\n"
        "    print(json.dumps({'begin': {'name': name}}), flush=True)\n"
        "    time.sleep(30 * (name == 'slow'))\n"
        "    if name == 'crash':\n"
        "        os._exit(4)\n"
        "    row = {'part': 'flow', 'name': name, 'per_second': 1.0, 'first_seconds': 0}\n"
        "    print(json.dumps({'row': row}), flush=True)\n"
    )
    report = gpu.Report(None)
    monkeypatch.setitem(gpu.PARTS, "flow", gpu.Part("", 1))
    command = [gpu.sys.executable, str(part)]
    start = gpu.subprocess.Popen
    monkeypatch.setattr(
        gpu.subprocess, "Popen", lambda whole, **rest: start([*command, whole[-1]], **rest)
    )
    gpu.run_part("flow", {"reserve": 0.1, "row_limit": 1.0}, report, 40)
    found = {row["name"]: row.get("failure", "") for row in report.rows}
    assert found == {
        "quick": "",
        "slow": "ended after 1 s",
        "crash": "its process ended with 4",
        "last": "",
    }


def test_what_cannot_be_is_no_figure(tmp_path):
    """A training step of 64 clips took 6 ms after memory had run out: 10,669 clips/s."""
    report = gpu.Report(tmp_path / "gpu.json")
    product = {"part": "ceilings", "precision": "bfloat16", "per_second": 7e14, "first_seconds": 0}
    row = {"part": "transformers", "network": "vivit", "step": "train", "batch": 64}
    row |= {"precision": "bfloat16", "per_second": 10669.0, "seconds": 0.006, "first_seconds": 1}
    for said in ({"work": {"vivit": 903.0}}, {"row": product}, {"row": row}):
        report.take(json.dumps(said))
    found = json.loads((tmp_path / "gpu.json").read_text())["rows"][1]
    assert found["failure"] == "impossible: 10669 a second, 41.3 of the rate"
    assert "per_second" not in found


def test_a_step_that_does_nothing_is_no_figure(capsys):
    faults = [(np.nan, 1), (1.0, np.zeros(3)), (1.0, np.array([np.nan])), (1.0, np.ones(2))]
    assert [measuring.find_fault(*each) for each in faults] == [
        "its results are not finite",
        "its steps change no weights",
        "its weights are not finite",
        "",
    ]
    recorder = measuring.Recorder(time.time() + 60, row_seconds=0.01, reserve=1)
    done = recorder.row(lambda: lambda: np.inf, 1, lambda x: measuring.find_fault(x, 1), part="a")
    assert not done
    said = json.loads(capsys.readouterr().out.splitlines()[-1])["row"]
    assert said == {"part": "a", "failure": "its results are not finite"}


def test_rows_say_why_they_are_missing(capsys):
    def run_out():
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate")

    recorder = measuring.Recorder(time.time() + 60, row_seconds=0.01, reserve=1)
    assert recorder.row(lambda: lambda: time.sleep(0.001), 2, part="a")
    assert not recorder.row(lambda: run_out, 1, part="b")
    assert not recorder.number(lambda: {}["x"], part="c")
    recorder.end = time.time()
    assert not recorder.row(lambda: run_out, 1, part="d")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    rows = [line["row"] for line in lines if "row" in line]
    assert 0 < rows[0]["per_second"] < 2000 and rows[0]["calls"] >= 3
    reasons = ["out of memory", "KeyError: 'x'", "left out, the time was up"]
    assert [row["failure"] for row in rows[1:]] == reasons


def test_pytorch_computes_the_same():
    torch = pytest.importorskip("torch")
    ours, theirs = BACKBONES["i3d"].build("rgb", 16, 112, "Logits"), peers_torch.build_i3d()
    generator = np.random.default_rng(0)
    for layer in ours.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for array in layer.weights:
                array.assign(generator.uniform(0.5, 1.5, array.shape))
    peers_torch.copy_i3d(theirs.eval(), ours)
    clips = generator.uniform(-1, 1, (1, 16, 112, 112, 3)).astype("float32")
    with torch.no_grad():
        outputs = theirs(torch.from_numpy(clips.transpose(0, 4, 1, 2, 3))).numpy()
    expected = np.asarray(ours.predict_on_batch(clips))
    assert np.linalg.norm(outputs - expected) < 1e-4 * np.linalg.norm(expected)
