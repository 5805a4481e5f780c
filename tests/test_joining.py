"""Rows of several folders joined: the command as it is typed, and a training on what it writes."""

import csv
import json
from pathlib import Path

import evaluate
import training
from scripts.explain import explain
from scripts.join_features import COMMAND, join_features
from support.commands import run
from tasks.options import EvaluationOptions, ExplanationOptions
from tasks.predictors import open_predictor
from tasks.training_flags import parse_params
from utils.features.lookup import find_features
from utils.features.rows import row_starts, row_times
from utils.features.settings import find_stride
from utils.features.store import open_store, save_features, settings_hash
from utils.runs.folders import load_changed
from utils.system.commands import IncompleteError

import numpy as np
import pytest


def write_store(folder, rows, num_frames, window=16, stride=2, edges="replicate", **views):
    """Write what scripts.extract_features does of a video a/b: {view: columns} of all rows."""
    settings = {"window": window, "stride": stride, "edges": edges, "fps": 25.0}
    open_store(folder, settings)
    starts = row_starts(num_frames, window, stride, edges)
    arrays = {"centre": rows} | views
    arrays = {view: np.array(each, "float32")[: len(starts)] for view, each in arrays.items()}
    record = {"source": "video", "settings": settings_hash(settings)}
    record["times"] = row_times(starts, window, 25.0).round(4).tolist()
    save_features(folder, "a/b", arrays, record)


def write_points(folder, num_frames, name="b"):
    """Write a point of each frame: its number, and ten times that."""
    path = Path(folder, f"{name}.npy")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.arange(num_frames)[:, None, None] * [1.0, 10.0])


def join(line):
    join_features(COMMAND.parse(line.split()))


def read(folder="J", name="a/b"):
    return np.load(f"{folder}/{name}.npy").tolist()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_store("F", [[1, 2], [3, 4], [5, 6]], 6)
    write_points("K", 6)
    return tmp_path


def test_the_mean_of_what_lies_in_a_step(capsys):
    join("F K --output J --row-strides 0 1")
    assert read() == [[1, 2, 0.5, 5], [3, 4, 2.5, 25], [5, 6, 4.5, 45]]
    assert np.load("J/a/b.npy").dtype == np.float32
    record, manifest = (json.loads(Path(f"J/{n}.json").read_text()) for n in ("a/b", "manifest"))
    assert record["times"] == [0.04, 0.12, 0.2] and record["views"] == ["centre"]
    assert (manifest["stride"], manifest["window"], manifest["others"]) == (2, 16, "mean")
    first, second = manifest["joined"]
    assert (first["window"], first["stride"], first["channels"]) == (16, 2, 2)
    assert second == {"fps": 25.0, "folder": "K", "stride": 1, "channels": 2}
    assert find_stride("J") == 2 and find_features("x/a/b.mp4", "J").find_times()[1]
    said = capsys.readouterr().out
    assert "1 videos were joined, 0 were done" in said and "columns 2 to 3: K" in said
    assert "Train on them with --features J." in said


def test_times_that_another_program_records():
    """They count, and what was joined without them is joined again."""
    join("F K --output J --row-strides 0 1")
    Path("K/b.json").write_text(json.dumps({"times": [0, 0.04, 0.08, 0.12, 0.16, 0.2]}))
    join("F K --output J --row-strides 0 1")
    assert [row[2] for row in read()] == [1, 3.5, 5]  # the end of a step belongs to it


def test_the_nearest():
    join("F K --output J --row-strides 2 1 --others nearest")
    assert read() == [[1, 2, 0, 0], [3, 4, 2, 20], [5, 6, 4, 40]]


@pytest.mark.parametrize("others", ["mean", "nearest"])
def test_coarser_rows_are_those_nearest(others):
    """Rows for frames 0 to 3 and 4 to 7, behind those for 0 to 1, 2 to 3, 4 to 5."""
    write_store("G", [[7], [8]], 6, window=8, stride=4)
    join(f"F G K --output J --row-strides 0 0 1 --others {others}")
    assert [row[2] for row in read()] == [7, 7, 8] and len(read()[0]) == 5
    join(f"K F --output J2 --row-strides 1 0 --others {others}")
    assert [row[2] for row in read("J2")] == [1, 1, 3, 3, 5, 5]


@pytest.mark.parametrize(("window", "stride"), [(16, 1), (9, 2), (8, 3)])
@pytest.mark.parametrize("edges", ["replicate", "drop"])
def test_a_row_meets_the_frames_that_it_is_for(window, stride, edges):
    write_store("G", np.arange(40)[:, None], 24, window, stride, edges)
    write_points("K24", 24)
    join("G K24 --output J --row-strides 0 1")
    firsts = np.arange(len(read())) * stride
    firsts += (window - stride) // 2 if edges == "drop" else 0
    if edges == "drop" and (window - stride) % 2:  # from the middle of a frame to that of another
        firsts += 1
    assert [row[1] for row in read()] == (firsts + (stride - 1) / 2).tolist()
    join("K24 G --output J2 --row-strides 1 0")
    if edges == "replicate":
        assert [row[2] for row in read("J2")] == [n // stride for n in range(24)]


def test_points_that_were_not_found_stay_so(capsys):
    points = np.load("K/b.npy")
    points[3, 0, 1] = np.nan
    np.save("K/b.npy", points)
    join("F K --output J --row-strides 0 1")
    np.testing.assert_array_equal(np.load("J/a/b.npy")[1], [3, 4, 2.5, np.nan])
    assert "--features J --missing nan, as some" in capsys.readouterr().out


def test_one_file_of_many_and_longer_names():
    """The longest names are kept, whichever folder has them; numbers may be whole."""
    np.savez("many.npz", b=np.arange(6)[:, None])
    join("many.npz F --output J --row-strides 1 0 --others nearest")
    assert read() == [[0, 1, 2], [1, 1, 2], [2, 3, 4], [3, 3, 4], [4, 5, 6], [5, 5, 6]]


def test_views_that_all_folders_have():
    write_store("F", [[1], [2], [3]], 6, flip=[[4], [5], [6]])
    join("F K --output J --row-strides 0 1")
    assert not Path("J/a/b.flip.npy").exists()
    np.save("K/b.flip.npy", -np.load("K/b.npy"))
    join("F K --output J --row-strides 0 1")
    assert read(name="a/b.flip") == [[4, -0.5, -5], [5, -2.5, -25], [6, -4.5, -45]]


def test_it_goes_on_where_it_was_stopped(capsys):
    for name in "cd":
        np.save(f"F/a/{name}.npy", np.ones((3, 2)))
        write_points("K", 6, name)
    line = "F K --output J --row-strides 0 1"
    join(line)
    kept = Path("J/a/b.npy").stat().st_mtime_ns
    Path("J/a/c.npy").write_bytes(Path("J/a/c.npy").read_bytes()[:-8])
    np.save("K/d.npy", -np.load("K/d.npy"))
    capsys.readouterr()
    join(line)
    assert "2 videos were joined, 1 were done already" in capsys.readouterr().out
    assert Path("J/a/b.npy").stat().st_mtime_ns == kept
    assert read(name="a/c")[2] == [1, 1, 4.5, 45] and read(name="a/d")[2] == [1, 1, -4.5, -45]
    with pytest.raises(ValueError, match="J contains features of others mean, but others nearest"):
        join(f"{line} --others nearest")
    with pytest.raises(ValueError, match="J contains features of joined"):
        join("K F --output J --row-strides 2 0")


def test_what_is_left_out_is_named(folder):
    for name in ("lone", "long", "broken", "wide"):
        np.save(f"F/a/{name}.npy", np.ones((3, 2)))
    write_points("K", 250, "long")
    write_points("K", 6, "other")
    Path("K/broken.npy").write_bytes(b"broken")
    np.save("K/wide.npy", np.ones((6, 3)))
    line = "scripts/join_features.py F K --output J --row-strides 0 1".split()
    found = run(line, folder)
    assert found.returncode == 1 and "Error: 5 videos were left out; see J/failures" in found.stderr
    assert read() == [[1, 2, 0.5, 5], [3, 4, 2.5, 25], [5, 6, 4.5, 45]]
    assert [path.name for path in Path("J/a").glob("*.npy")] == ["b.npy"]
    with open("J/failures.csv") as file:
        reasons = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    assert reasons["a/lone"] == "no features in K" and reasons["other"] == "no features in F"
    assert "F/a/long.npy covers 0.24 s, but K/long.npy 10.00 s" in reasons["a/long"]
    assert "K/broken.npy" in reasons["a/broken"]
    assert "K/wide.npy: its shape is (6, 3); expected (6, 2)" in reasons["a/wide"]
    assert all(f"left out: {name}: {reason}" in found.stdout for name, reason in reasons.items())


@pytest.mark.parametrize(("num_frames", "fits"), [(8, True), (9, False), (4, True), (3, False)])
def test_lengths_may_differ_by_a_step(num_frames, fits):
    write_points("K", num_frames)
    if fits:
        join("F K --output J --row-strides 0 1")
        assert len(read()) == 3
    else:
        with pytest.raises(ValueError, match="1 videos were left out") as stop:
            join("F K --output J --row-strides 0 1")
        assert not isinstance(stop.value, IncompleteError)  # nothing is done: the status is 2


def test_points_at_another_frame_rate():
    write_points("K", 12)
    join("F K --output J --row-strides 0 1 --fps 50")
    assert [row[2] for row in read()] == [1.5, 5.5, 9.5]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("F K --output J", "K is no store: no manifest.json says .* Give --row-strides"),
        ("F K --output J --row-strides 4 1", "row_strides gives 4 for F, but its manifest.json sa"),
        ("F K --output J --row-strides 1", "row_strides gives 1 numbers for 2 folders"),
        ("F K --output J --row-strides 0 -1", "row_strides must be at least 0"),
        ("F K --output J --row-strides 0 1 --fps 0", "fps more than 0"),
        ("F --output J", "The folders are F; give two or more"),
        ("F K F --output J --row-strides 0 1 0", "give two or more, each once"),
        ("F K --output F/J --row-strides 0 1", "output F/J and F lie inside one another"),
        ("F K --output . --row-strides 0 1", r"output \. and F lie inside one another"),
        ("F nowhere --output J --row-strides 0 1", "features nowhere: no such file or folder"),
        ("F empty --output J --row-strides 0 1", "empty contains no features"),
        ("F alien --output J --row-strides 0 1", "alien has no features of any of the 1 videos"),
        ("F list.csv --output J --row-strides 0 1", "list.csv contains no features"),
        ("F K --output J --others median", "Unknown --others median"),
    ],
)
def test_bad_input_is_named(line, message):
    Path("empty").mkdir()
    Path("list.csv").write_text("path,label\n")
    write_points("alien", 6, "other")
    with pytest.raises(ValueError, match=message):
        join(line)
    assert not Path("J").exists()


def test_a_name_that_leads_out_of_the_folder_is_refused(capsys):
    for file in ("x.npz", "y.npz"):
        np.savez(file, **{"../out": np.ones((2, 2)), "manifest": np.ones((2, 2))})
    with pytest.raises(ValueError, match="2 videos were left out"):
        join("x.npz y.npz --output J/deep --row-strides 1 1")
    assert "left out: ../out: ../out: no name for features" in capsys.readouterr().out
    assert not Path("J/out.npy").exists() and not Path("J/deep/manifest.npy").exists()


def write_signs():
    """Write stores F and K of sentences of two glosses, which both show, and their list."""
    rng, lines = np.random.default_rng(0), ["path,glosses,split"]
    for place in range(8):
        glosses = ("A", "B") if place % 2 else ("B", "A")
        signs = np.repeat([[gloss == "A", gloss == "B"] for gloss in glosses], 24, 0)
        rows = signs + rng.normal(0, 0.1, (48, 2))
        lines.append(f"s{place}.mp4,{' '.join(glosses)},{'dev' if place > 5 else 'train'}")
        np.save(f"F/s{place}.npy", rows[::2])
        rows[5:9, 1] = np.nan
        np.save(f"K/s{place}.npy", rows)
    Path("list.csv").write_text("\n".join(lines))
    Path("F/a/b.npy").unlink()
    Path("K/b.npy").unlink()


def test_training_scoring_and_explaining_joined_rows(untraced, no_pictures, capsys):
    write_signs()
    join("F K --output J --row-strides 0 1")
    line = (
        "phoenix --features J --data-path list.csv --missing nan --run joined --front K5-K5 "
        "--network transformer --width 16 --batch-size 8 --epochs 1 --workers 1 --pictures 0"
    )
    training.train_run(parse_params(line.split()))
    assert "features have stride 2" in capsys.readouterr().out
    found = Path("weights/joined")
    kept = json.loads((found / "features.json").read_text())["manifest"]["joined"]
    assert [each["channels"] for each in kept] == [2, 2]
    evaluate.evaluate(EvaluationOptions((found,), split="dev"))
    assert (found / "evaluation/dev/predictions.csv").is_file()
    explain(ExplanationOptions("s7", found))
    second = "phoenix --weights weights/joined --finetune Mixed_5b --data-path list.csv"
    answered = open_predictor(found).predict_video("J/s7.npy")
    assert answered.duration == pytest.approx(48 / 25, abs=0.05)
    assert len(answered.probabilities) == 24 and answered.probabilities.shape[1] == 2
    for refused in (
        lambda: open_predictor(found).predict_video("s7.mp4"),
        lambda: training.train_run(parse_params(second.split())),
    ):
        with pytest.raises(ValueError, match=r"trained on rows that scripts\.join_features"):
            refused()
    join("F K --output other --row-strides 0 1 --others nearest")
    capsys.readouterr()
    load_changed(found, features="other")
    assert "other: made with other others than the features" in capsys.readouterr().out


def test_classifying_joined_rows(untraced, no_pictures):
    write_signs()
    points = {path: np.load(path) for path in Path("K").glob("*.npy")}
    for path, rows in points.items():
        np.save(path, np.nan_to_num(rows))
    join("F K --output J --row-strides 0 1")
    Path("classes.csv").write_text(
        "\n".join(["path,label", *(f"s{n}.mp4,{'AB'[n % 2]}" for n in range(8))])
    )
    flags = "--num-segments 2 --epochs 1 --batch-size 4 --pictures 0 --workers 1 --run joined"
    training.train_run(parse_params(f"--features J --data-path classes.csv {flags}".split()))
    with pytest.raises(ValueError, match=r"joined was trained on rows that scripts\.join_features"):
        open_predictor(Path("weights/joined"))
