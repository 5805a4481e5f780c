"""The scripts, run as a user runs them."""

import csv
import importlib
import json
import operator
import shutil
import sys
from dataclasses import replace

from models.heads import build_head
from scripts import cross_validate
from scripts.benchmarks import attention, feature_views, reading, rows, starting
from scripts.cross_validate import Options, choose_size
from support.commands import run, run_in_process
from support.runs import TINY
from support.videos import moving_square, write_dataset
from utils import command_line
from utils.data.splits import block_of
from utils.pictures.scaling import plot_scaling
from utils.video.writing import write_video

import numpy as np
import pytest


def test_cross_validation_holds_out_blocks_and_keeps_what_is_done(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_in_process(monkeypatch, cross_validate)
    write_dataset(tmp_path / "videos", videos=3)  # numbers 0, 1, 2
    report = tmp_path / "weights/cv_fold1_seed0/evaluation/test/report.json"
    report.parent.mkdir(parents=True)
    rows = {name: {"precision": 0, "recall": 0.5, "f1": 0} for name in ("left", "right")}
    report.write_text(json.dumps({"accuracy": 0.25, "per_class": rows}))
    options = Options("videos", "cv", block=1, seeds=1, thin="left")
    flags = "--network vivit --frame-size 16 --short-side 20 --epochs 1".split()
    cross_validate.cross_validate(options, [*TINY, *flags])
    result = json.loads((tmp_path / "weights/cv.json").read_text())
    fold = tmp_path / "weights/cv_fold2_seed0"
    second = json.loads((fold / "evaluation/test/report.json").read_text())
    assert second["videos"] == 2  # of left, the first and third
    assert not (tmp_path / "weights/pretrained").exists()
    assert result["folds"] == [0.25, second["accuracy"]]
    recalls = 0.5, second["per_class"]["right"]["recall"]
    assert result["per_class"]["right"]["recall"] == pytest.approx(sum(recalls) / 2, abs=1e-3)
    with open(fold / "splits.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    held_out = {row["path"][-6:-4] for row in rows if row["split"] == "test"}
    assert held_out == {"02"}
    train = [row["path"][-8:-4] for row in rows if row["split"] == "train"]
    assert sorted(train) == ["t_00", "t_00", "t_01"]

    known = report.parents[1] / "test-fused-twin_fold1_seed0/report.json"
    known.parent.mkdir()
    report.rename(known)
    shutil.copytree(fold, fold.with_name("twin_fold2_seed0"))
    fused = Options("videos", "both", block=1, seeds=1, fuse=("cv", "twin"))
    cross_validate.cross_validate(fused, [])
    assert json.loads((tmp_path / "weights/both.json").read_text())["folds"] == result["folds"]


def test_cross_validation_needs_numbers_and_blocks(tmp_path):
    assert [block_of(f"a_{number}.avi", 30) for number in (1, 30, 31)] == [0, 0, 1]
    with pytest.raises(ValueError, match="the file name contains no number"):
        block_of("fight.avi", 30)
    paths = [f"{label}_{number:03d}.avi" for label in "ab" for number in range(1, 121)]
    assert [choose_size(paths[:count]) for count in (1, 4, 15, 30, 31, 120)] == [1, 1, 4, 8, 30, 30]
    with pytest.raises(ValueError, match="seeds is 0; it must be at least 1"):
        Options("videos", "cv", seeds=0)
    write_dataset(tmp_path / "videos", videos=2)
    script = ["scripts/cross_validate.py", "--data-path", "videos", "--name", "cv", "--block", "30"]
    done = run(script, tmp_path)
    assert done.returncode == 2 and "has only one block of 30 videos" in done.stderr


def test_benchmark_reads_videos(tmp_path):
    write_video(tmp_path / "short.avi", moving_square(), 25)
    script = ["scripts/benchmarks/training.py", "--parts", "reading", "--repeats", 1]
    done = run([*script, "--videos", "short.avi", "--output", "rows.json"], tmp_path)
    assert done.returncode == 0, done.stderr
    rate, time = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert rate["name"] == time["name"] == "reading 64 of 24 frames, 160x128"
    assert (rate["unit"], time["unit"]) == ("frames/s", "s a clip")
    assert rate["value"] * time["value"] == pytest.approx(64)


def test_readers_are_measured(tmp_path, capsys):
    output, names = tmp_path / "rows.json", (reading.OURS, reading.BEFORE)
    sizes = {"sizes": ((64, 48),), "long_sizes": ((64, 48),), "frames": 12, "large": (96, 64)}
    short = {"middle": 1 / 3, "spread": 1 / 3, "rounds": 2, "long_rounds": 1}
    options = reading.Options(("sequential", "sparse"), names, ("MPEG-4",), **sizes, **short)
    reading.benchmark_reading(replace(options, output=output))
    found = json.loads(output.read_text())
    assert {"av", "opencv-contrib-python-headless"} < set(found["machine"]["versions"])
    rows = {(row["name"], row["reader"]) for row in found["rows"] if row["unit"] == "frames/s"}
    kinds = ["all frames, 1 at once", "all frames, 2 at once"]
    kinds += ["64 in the middle of 0.333 minutes", "8 spread of 0.333 minutes"]
    assert rows == {(f"MPEG-4 64x48, {kind}", name) for kind in kinds for name in names}
    assert all(row["value"] > 0 for row in found["rows"])
    assert len(found["rows"]) == len(rows) + len(kinds)
    capsys.readouterr()
    reading.benchmark_reading(replace(options, parts=("memory",), readers=names[:1]))
    assert "memory, MPEG-4 96x64, this " in capsys.readouterr().out


def test_attention_is_measured_and_running_out_is_said(tmp_path, monkeypatch, capsys):
    options = attention.Options(("axial",), (2,), ("forward",), size="small")
    row = attention.measure(options)
    assert row["seconds"] > 0 and row["gib"] > 0.1
    endings = iter(
        (
            "print('a note'); print('{\"seconds\": 1.5, \"gib\": 2.0}')",
            "raise MemoryError",
            "import time; time.sleep(60)",
            "import sys; sys.exit('no such thing')",
        )
    )
    monkeypatch.setattr(
        attention,
        "_commands",
        lambda _: [
            ("ours", "axial", 2, "forward", [sys.executable, "-c", code]) for code in endings
        ],
    )
    rows = attention.benchmark_attention(replace(options, limit=3, output=tmp_path / "rows.json"))
    assert rows[0]["gib"] == 2 and "1.50 s    2.00 GiB" in capsys.readouterr().out
    failures = [row["failure"] for row in rows[1:]]
    assert failures == ["out of memory", "over 3 s", "exit 1: no such thing"]
    assert json.loads((tmp_path / "rows.json").read_text())["rows"] == rows


def test_views_are_chosen_on_inner_folds():
    """A second view that lies is not chosen; one that tells what the center hides is."""
    generator = np.random.default_rng(0)
    labels = np.arange(40) % 2
    clear = 4.0 * labels[:, None, None] + generator.normal(size=(40, 2, 3))
    blocks, trained = np.repeat([0, 1, 2, 3], 10), np.arange(40) % 4 < 2
    for other, counts in ((4.0 - clear, {1}), (clear, {1, 2})):
        views = [[a, b] for a, b in zip(clear, other, strict=True)]
        data = feature_views.Data(views, np.eye(2)[labels], blocks, trained)
        assert set(data.train_on([0])) == {0, 1, 4, 5, 8, 9} and len(data.test_on(0)[0]) == 10
        learner = feature_views.Learner(feature_views.regress, (0.01, 1.0), 1)
        one, two, chosen = feature_views.measure("test", learner, data, 2)
        assert one["mean"] > 0.9 and (two["mean"] > 0.9) == (counts == {1, 2})
        assert chosen["mean"] >= one["mean"] and len(one["folds"]) == 4
    with pytest.raises(ValueError, match="every is 0; it must be at least 1"):
        feature_views.Options("videos", every=0)


def test_rows_are_measured(tmp_path, monkeypatch, untraced):
    monkeypatch.setattr(rows, "SIZE", (2, 8))
    monkeypatch.setattr(rows, "build_head", lambda _, *sizes: build_head("average", *sizes))
    monkeypatch.setattr(rows, "_PEER", "import sys\nfor _ in sys.stdin: print(2.0, flush=True)")
    options = rows.Options(("files", "epochs"), 12, (), 1, sys.executable, tmp_path / "rows.json")
    rows.benchmark(options)
    found = {row["name"]: row for row in json.loads(options.output.read_text())["rows"]}
    assert len(found) == 2 * len(rows.FILES) + 2 * 4
    name = "LSTM head, epoch of 12 videos, batches of 8"
    assert found[f"{name}, PyTorch"]["value"] == 2
    assert found[name]["value"] == pytest.approx(found[f"{name}, ours"]["value"] / 2)


def test_many_videos_are_measured_and_drawn(tmp_path):
    found = rows.measure_videos(40, tmp_path / "a") + rows.measure_videos(60, tmp_path / "b")
    assert [row["videos"] for row in found] == [40] * 5 + [60] * 5
    assert {row["unit"] for row in found} == {"s", "GiB"}
    plot_scaling(found, tmp_path / "rows.png")
    assert (tmp_path / "rows.png").stat().st_size > 10_000


def test_starts_are_measured_by_stage(monkeypatch, capsys):
    began = starting.Start(
        ("scripts/benchmarks/__main__.py",),
        {"utils.command_line:format_commands": "listing"},
        "utils.command_line:list_commands",
    )
    monkeypatch.setitem(starting.STARTS, "list", began)
    monkeypatch.setattr(sys, "argv", ["pytest"])
    for name in ("format_commands", "list_commands"):  # put back what is wrapped
        monkeypatch.setattr(command_line, name, getattr(command_line, name))
    spent = starting.measure_start("list")
    assert set(spent) == {"all else", "imports", "all of it"}  # it ended before the listing
    assert spent["all of it"] > 0 and not capsys.readouterr().out
    for start in starting.STARTS.values():
        for place in (*start.stages, start.end):
            module, _, path = place.partition(":")
            if module != start.needs:
                assert operator.attrgetter(path)(importlib.import_module(module))
