"""Comparisons: planned and refused before anything is trained, trained once, taken up again."""

import json
import runpy
import sys

from scripts import compare_settings as script
from scripts.compare_settings import Options, compare_settings
from support.runs import save_history, save_run
from support.videos import write_dataset
from tasks.training_flags import parse_params
from utils.data.examples import Example
from utils.runs.saved_params import load_params
from utils.system.figures import read_figures

import pytest

# The cheapest training there is.
TINY = (
    "--network vivit --num-segments 1 --frames-per-segment 2 --frame-size 16 --short-side 16 "
    "--epochs 2 --rate-epochs 1 2 --batch-size 4 --workers 1"
).split()


def write_run(folder, params, scores):
    """Write what a training leaves of its history."""
    labels = {"a.avi": "left", "b.avi": "right", "c.avi": "right"}
    save_run(folder, params, data=[Example(*each, "val") for each in labels.items()])
    save_history(folder, [{"val_accuracy": score, "seconds": 2.0} for score in scores])


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Two datasets; trainings are faked and listed."""
    for name in ("first", "second"):
        write_dataset(tmp_path / name, videos=3)
    monkeypatch.chdir(tmp_path)
    runs = []

    def fake(run, *flags):
        if len(runs) == 3:
            raise KeyboardInterrupt
        params = parse_params([*flags, "--run", run])
        runs.append(run)
        patches = params.embedder == "patches"
        write_run(tmp_path / "weights" / run, params, [1, 0.25 + params.seed / 2 + patches / 4])

    monkeypatch.setattr(script, "train_run", fake)
    return runs


def test_killed_comparison_goes_on_and_counts_the_last_epoch(trained, tmp_path, capsys):
    output = tmp_path / "docs/figures/e.json"
    values, data = ("flatten", "patches"), ("first", "second")
    options = Options("e", "embedder", values, data, seeds=2, output=output)
    with pytest.raises(KeyboardInterrupt):
        compare_settings(options, TINY)
    expected = [
        f"e_{data}_{value}_seed{seed}"
        for value in options.values
        for data in options.data
        for seed in (0, 1)
    ]
    assert trained == expected[:3]
    half = tmp_path / "weights" / expected[2]  # as if it had been killed after its first epoch
    write_run(half, load_params(half / "params.json"), [1])
    trained.clear()
    with pytest.raises(KeyboardInterrupt):
        compare_settings(options, TINY)
    assert trained == expected[2:5]
    trained.clear()
    compare_settings(options, TINY)
    assert trained == expected[5:]
    cells = json.loads((tmp_path / "weights/e.json").read_text())["values"]
    assert cells["patches"]["first"] == {
        "score": "val_accuracy",
        "seeds": [0.5, 1.0],
        "mean": 0.75,
        "spread": pytest.approx(0.5**0.5 / 2),
        "chance": pytest.approx(2 / 3),
        "videos": 3,
        "seconds_per_epoch": 2.0,
        "parameters": cells["patches"]["second"]["parameters"],
    }
    figures = read_figures(output)
    assert figures["seed"] == [0, 1]
    assert figures["rows"][1] == {
        "embedder": "patches",
        "first": 0.75,
        "first_spread": pytest.approx(0.5**0.5 / 2),
        "second": 0.75,
        "second_spread": pytest.approx(0.5**0.5 / 2),
        "parameters": cells["patches"]["second"]["parameters"] / 1e6,
        "seconds_per_epoch": 2.0,
    }
    printed = capsys.readouterr().out
    count = cells["flatten"]["first"]["parameters"]
    assert f"| flatten | 0.500 ± 0.354 | 0.500 ± 0.354 | {count:,} | 2.0 |" in printed
    assert (tmp_path / "weights/e.png").stat().st_size > 10_000
    trained.clear()
    with pytest.raises(ValueError, match="started with batch_size 4, not 2"):
        compare_settings(options, [*TINY, "--batch-size", "2"])
    assert not trained


@pytest.mark.parametrize(
    ("vary", "values", "data", "flags", "message"),
    [
        ("embeder", ("flatten", "patches"), ("first",), (), "Unknown parameter 'embeder'"),
        ("seed", ("1", "2"), ("first",), (), "Unknown parameter 'seed'"),
        ("embedder", ("flatten",), ("first",), (), "needs at least two values"),
        (
            "embedder",
            ("flatten", "flatten"),
            ("first",),
            (),
            "Two runs would have the same name, b_first_f",
        ),
        ("embedder", ("flatten", "patch"), ("first",), (), "Unknown --embedder patch"),
        (
            "dropout",
            ("0.1", "0.2"),
            ("first", "third"),
            (),
            "data_path third: no such file or folder",
        ),
        ("dropout", ("0.1", "0.2"), ("first",), ("--val-fraction", "0"), "no split 'val'"),
        (
            "dropout",
            ("0.1", "0.2"),
            ("first",),
            ("--data-path", "x"),
            "Leave out --data-path; the comparison",
        ),
        (
            "flip",
            ("true", "false"),
            ("first",),
            ("--no-flip",),
            "Leave out --no-flip; the comparison",
        ),
    ],
)
def test_bad_comparisons_are_refused_before_anything_is_trained(
    trained, vary, values, data, flags, message
):
    with pytest.raises(ValueError, match=message):
        compare_settings(Options("b", vary, values, data), [*TINY, *flags])
    assert not trained


def test_impossible_values_are_refused_too(trained):
    with pytest.raises(ValueError, match=r"dropout is 1\.5; it must be from 0 to 0\.99"):
        compare_settings(Options("b", "dropout", ("0.5", "1.5"), ("first",)), TINY)
    assert not trained


def test_values_that_are_no_words(trained):
    for vary, values in (("flip", ("true", "false")), ("learning_rates", ("1 1 1", "2 2 2"))):
        trained.clear()
        compare_settings(Options(vary, vary, values, ("first",)), TINY)
    assert trained == ["learning_rates_first_1-1-1_seed0", "learning_rates_first_2-2-2_seed0"]
    assert load_params("weights/flip_first_true_seed0/params.json").flip is True
    assert load_params("weights/flip_first_false_seed0/params.json").flip is False


def test_command(tmp_path, monkeypatch, capsys):
    write_dataset(tmp_path / "videos", videos=3)
    flags = [*TINY, "--run", "c_videos_flatten_seed0", "--data-path", "videos"]
    write_run(tmp_path / "weights/c_videos_flatten_seed0", parse_params(flags), [0, 0.125])
    command = "compare --name c --vary embedder --values flatten patches --data videos".split()
    monkeypatch.setattr(sys, "argv", [*command, *TINY])
    monkeypatch.chdir(tmp_path)
    runpy.run_path(script.__file__, run_name="__main__")
    assert "| flatten | 0.125 |" in capsys.readouterr().out
    cell = json.loads((tmp_path / "weights/c.json").read_text())["values"]["patches"]["videos"]
    history = (tmp_path / "weights/c_videos_patches_seed0/history.csv").read_text().splitlines()
    names, last = history[0].split(","), history[-1].split(",")
    assert last[0] == "2" and cell["seeds"] == [float(last[names.index("val_accuracy")])]
