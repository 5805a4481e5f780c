"""Runs set beside one another: tables of what they are, folders that are none."""

import json

from scripts.compare_runs import Options, compare_runs
from support.runs import save_history, save_run
from utils.params import Params

import pytest

CLIPS = Params(network="i3d_lstm", epochs=3, learning_rates=(0.01, 0.001, 0.0001))
SIGNS = Params(task="recognition", network="bilstm", epochs=2, features="F", data_path="release")


def write_run(folder, params, scores, best, reports=(), **more):
    """Write what a training leaves: an epoch a row of scores."""
    save_run(folder, params)
    history = [
        {"epoch": number, "loss": 1 / number, "seconds": float(number), "learning_rate": 0.1} | row
        for number, row in enumerate(scores, 1)
    ]
    save_history(folder, history, best=best, **more)
    for name, report in dict(reports).items():
        path = folder / "evaluation" / name / "report.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(report))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scores = [{"accuracy": 0.5, "val_accuracy": 0.25}, {"accuracy": 1, "val_accuracy": 0.75}]
    reports = {"test": {"labeling": "single", "accuracy": 0.625, "mean_average_precision": 0.9}}
    write_run(tmp_path / "weights/a", CLIPS, scores, 0.75, reports, best_epoch=2)
    slower = Params(**vars(CLIPS) | {"learning_rates": (0.1, 0.01, 1e-5), "run": "b"})
    write_run(tmp_path / "weights/b", slower, scores[:1] * 3, None)  # nothing was validated
    several = Params(**vars(CLIPS) | {"activation": "sigmoid"})
    rows = [{"val_average_precision": 0.5, "val_accuracy": 0.9, "accuracy": 0.8}]
    reports = {"val": {"labeling": "multi", "accuracy": 0.625, "mean_average_precision": 0.875}}
    write_run(tmp_path / "weights/several", several, rows, 0.5, reports, best_epoch=1)
    rows = [{"val_wer": 80.5, "val_blanks": 0.9}, {"val_wer": 90.25, "val_blanks": 0.9}]
    write_run(tmp_path / "weights/signs", SIGNS, rows, 80.5, {"dev": {"wer": 79.5}})
    (tmp_path / "weights/cache").mkdir()
    (tmp_path / "weights/notes.json").write_text("{}")
    write_run(tmp_path / "weights/begun", CLIPS, [], None)
    return tmp_path / "weights"


def test_runs_of_both_tasks(folder, capsys):
    rows = {row["run"]: row for row in compare_runs(Options(tuple(sorted(folder.iterdir()))))}
    assert list(rows) == ["a", "b", "several", "signs"]
    a, b, several, signs = rows.values()
    assert (a["network"], a["epochs"], a["best epoch"]) == ("i3d_lstm", "2/3", "2")
    assert (a["best"], a["s an epoch"], a["test"]) == ("accuracy 0.75", "1.5", "0.625")
    assert (a["learning_rates"], b["learning_rates"]) == ("0.01 0.001 0.0001", "0.1 0.01 1e-05")
    assert (b["best"], b["best epoch"], b["s an epoch"]) == ("", "3", "2")
    assert (several["best"], several["val accuracy"]) == ("average precision 0.5", "0.9")
    assert (several["val"], several["activation"]) == ("0.875", "sigmoid")
    assert (signs["best"], signs["best epoch"], signs["dev"]) == ("wer 80.5", "1", "WER 79.5")
    assert "seed" not in a and "data_path" in a  # only what differs
    said = capsys.readouterr().out
    assert said.count("skipped ") == 1 and "begun: no epoch is finished yet" in said
    header = next(line for line in said.splitlines() if line.startswith("| run"))
    assert header.split()[1:6:2] == ["run", "network", "task"]
    assert (folder / "comparison.png").stat().st_size > 10_000


def test_runs_alike_differ_in_nothing(folder, capsys):
    rows = compare_runs(Options((folder / "a", folder / "a"), folder / "x.png"))
    assert [row["run"] for row in rows] == ["a", str(folder / "a")]
    header = capsys.readouterr().out.splitlines()[0]
    assert [cell.strip() for cell in header.strip("|").split("|")] == [
        "run", "network", "epochs", "best epoch", "best", "s an epoch", "test",
    ]  # fmt: skip


def test_no_runs(folder, capsys):
    with pytest.raises(ValueError, match=r"nowhere: no such folder\. Give folders of runs"):
        compare_runs(Options((folder / "a", folder / "nowhere")))
    (folder / "signs/state.json").write_text("{")
    (folder / "b/state.json").write_text("{}")
    (folder / "a/evaluation/test/report.json").write_text("")
    names = ("cache", "begun", "signs", "a", "b")
    with pytest.raises(ValueError, match="None of the 5 folders is a run with a finished epoch"):
        compare_runs(Options(tuple(folder / name for name in names)))
    said = capsys.readouterr().out
    assert "signs/state.json is damaged" in said and "test/report.json is damaged" in said
    assert "b/state.json is damaged or from another version: it has no epoch" in said
    assert not (folder / "comparison.png").exists()


def test_reports_without_the_score_leave_it_out(folder):
    (folder / "several/evaluation/val/report.json").write_text('{"labeling": "multi"}')
    (row,) = compare_runs(Options((folder / "several",), folder / "x.png"))
    assert "val" not in row


@pytest.mark.parametrize("accuracy", ["high", None, [0.5], True])
def test_a_score_that_is_no_number_is_named(folder, accuracy, capsys):
    path = folder / "a/evaluation/test/report.json"
    path.write_text(json.dumps({"accuracy": accuracy}))
    with pytest.raises(ValueError, match="None of the 1 folders"):
        compare_runs(Options((folder / "a",), folder / "x.png"))
    assert f"{path} is damaged: its accuracy is {accuracy!r}" in capsys.readouterr().out
