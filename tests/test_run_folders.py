"""A run's folder is one process's: names of any kind, two at once, what the killed left."""

import contextlib
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from support.commands import ROOT
from support.runs import save_run
from tasks.options import EvaluationOptions, ExportOptions
from tasks.training_flags import parse_params
from utils.data.examples import Example
from utils.params import Params
from utils.runs.folders import (
    evaluation_folder,
    explanation_folder,
    find_run,
    load_changed,
    open_run,
)
from utils.runs.saved_params import load_params
from utils.system.locks import free_locks

import pytest

NAMES = ["clips[1]", "a*b", "what?", "two words", "-x", "line\nbreak", "[!a]", ".hidden", "q\\d"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path):
    with contextlib.chdir(tmp_path):
        yield
    free_locks()


@pytest.mark.parametrize("name", NAMES)
def test_no_run_replaces_another_whatever_it_is_called(name):
    first = open_run(Params(run=name, seed=1))
    kept = (first / "params.json").read_text()
    assert first.name == name
    with pytest.raises(ValueError, match="exists already; give --resume"):
        open_run(Params(run=name, seed=2))
    assert (first / "params.json").read_text() == kept
    assert find_run(Params(run=name, seed=1, resume=True)) == first


@pytest.mark.parametrize("name", NAMES)
def test_runs_on_a_folder_of_any_name_are_numbered(name):
    params = Params(data_path=f"data/{name}/", network="i3d")
    runs = [open_run(params) for _ in range(3)]
    assert [run.name for run in runs] == [f"{name}_i3d", f"{name}_i3d-2", f"{name}_i3d-3"]
    assert find_run(replace(params, resume=True)) == runs[2]


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../x", "/tmp/x", "a/"])
def test_a_run_lies_in_weights(name):
    with pytest.raises(ValueError, match="without slashes"):
        Params(run=name)


def test_a_name_with_a_number_is_a_name_of_its_own():
    one, two = (open_run(Params(run=name)) for name in ("lstm", "lstm-2"))
    assert find_run(Params(run="lstm", resume=True)) == one
    assert find_run(Params(run="lstm-2", resume=True)) == two


def test_long_names_of_data_have_room_for_numbers():
    params = Params(data_path="data/" + "n" * 254)
    assert len({open_run(params).name for _ in range(2)}) == 2


def test_what_is_no_run_is_neither_used_nor_in_the_way(tmp_path):
    mine = tmp_path / "weights/cache/mine"
    mine.parent.mkdir(parents=True)
    mine.write_text("1")
    (tmp_path / "weights/begun").mkdir()  # by a version that was killed before it wrote anything
    with pytest.raises(ValueError, match="weights/cache exists already; choose another"):
        open_run(Params(run="cache"))
    assert [path.name for path in mine.parent.iterdir()] == ["mine"]
    assert (open_run(Params(run="begun")) / "params.json").is_file()
    params = Params(data_path="videos", network="i3d")
    (tmp_path / "weights/videos_i3d").write_text("a file")
    (tmp_path / "weights/videos_i3d-2").mkdir()
    (tmp_path / "weights/videos_i3d-2/mine").write_text("1")
    assert open_run(params).name == "videos_i3d-3"


def test_a_file_in_place_of_weights_is_an_error(tmp_path):
    (tmp_path / "weights").write_text("")
    with pytest.raises(OSError, match="weights"):
        open_run(Params())


BEGIN = """
import sys, time
from pathlib import Path
from utils.params import Params
from utils.runs.folders import open_run
print("ready", flush=True)
sys.stdin.readline()
for name in sys.argv[1:]:
    try:
        print(open_run(Params(run=name, data_path="videos")).name, flush=True)
    except ValueError as error:
        print(error, flush=True)
sys.stdin.read()
"""


def test_runs_that_are_begun_at_once_never_share_a_folder(tmp_path):
    names = [*[""] * 30, "mine"]
    command = [sys.executable, "-c", BEGIN, *names]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with contextlib.ExitStack() as stack:
        begin = partial(
            subprocess.Popen, command, env={"PYTHONPATH": str(ROOT), "VIDEO_HOME": "."}, **pipes
        )
        begun = [stack.enter_context(begin()) for _ in range(2)]
        for process in begun:
            assert process.stdout.readline() == "ready\n"
        for process in begun:
            process.stdin.write("\n")
            process.stdin.flush()
        said = [[process.stdout.readline().strip() for _ in names] for process in begun]
        for process in begun:
            process.stdin.close()
    numbered = [name for each in said for name in each[:-1]]
    assert len(numbered) == len(set(numbered)) == 60
    runs = [path.parent for path in (tmp_path / "weights").glob("*/params.json")]
    assert sorted([*numbered, "mine"]) == sorted(run.name for run in runs)
    one, other = sorted((each[-1] for each in said), key=len)
    assert one == "mine"
    assert "weights/mine exists already" in other or "weights/mine is in use" in other


def test_the_lock_is_there_as_long_as_it_is_held():
    folder = open_run(Params(run="mine"))
    assert [path.name for path in folder.glob(".*")] == [".lock"]
    free_locks()
    assert not list(folder.glob(".*"))


def test_two_do_not_go_on_with_one_run():
    open_run(Params(run="mine", resume=False, data_path="videos"))
    free_locks()
    go_on = BEGIN.replace("run=name", "resume=True, run=name")
    command = [sys.executable, "-c", go_on, "mine"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(
        command, env={"PYTHONPATH": str(ROOT), "VIDEO_HOME": "."}, **pipes
    ) as process:
        process.stdin.write("\n")
        process.stdin.flush()
        assert [process.stdout.readline() for _ in range(2)] == ["ready\n", "mine\n"]
        with pytest.raises(ValueError, match=f"weights/mine is in use by process {process.pid}"):
            open_run(Params(run="mine", resume=True, data_path="videos"))
        process.kill()
    assert open_run(Params(run="mine", resume=True, data_path="videos")).name == "mine"


@pytest.mark.parametrize("name", ["i3d", "rows", "signs", "timesformer"])
def test_a_run_goes_on_without_other_flags(name, monkeypatch):
    monkeypatch.chdir(ROOT / "tests/data/kept")
    kept = load_params(Path("weights", name, "params.json"))
    given = ["--run", name, "--resume"]
    features = str(Path(kept.features).resolve()) if kept.features else ""
    assert parse_params(given) == replace(kept, run=name, resume=True, features=features)
    assert parse_params([*given, "--epochs", "99"]).epochs == 99
    both = r"started with batch_size 2, not 7; seed 0, not 5\. Resume it with the same parameters"
    with pytest.raises(ValueError, match=both):
        parse_params([*given, "--seed", "5", "--batch-size", "7"])


@pytest.mark.parametrize(("first", "second", "kept"), [(3, 9, 9), (9, 3, 9)])
def test_more_epochs_are_remembered(first, second, kept):
    for epochs, resume in ((first, False), (second, True)):
        folder = open_run(Params(run="mine", epochs=epochs, resume=resume))
        free_locks()
    assert load_params(folder / "params.json").epochs == kept
    assert parse_params(["--run", "mine", "--resume"]).epochs == kept


def test_a_run_goes_on_from_another_folder(tmp_path, monkeypatch):
    Path("videos").mkdir()
    open_run(Params(run="mine", data_path="videos"))
    free_locks()
    monkeypatch.setattr("utils.runs.folders.RUNS", tmp_path / "weights")
    (tmp_path / "other/more").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "other")
    given = ["--run", "mine", "--resume"]
    assert parse_params(given).data_path == str(tmp_path / "videos")
    assert parse_params([*given, "--data-path", "../videos"]).data_path == "../videos"
    with pytest.raises(ValueError, match=r"started with data_path \S+videos, not more\."):
        parse_params([*given, "--data-path", "more"])


def test_somebody_elses_run_does_not_say_where_things_are_written(tmp_path):
    run = tmp_path / "theirs"
    save_run(run, Params(cache_path=str(tmp_path / "elsewhere")), data=[Example("a.avi", "x")])
    (run / "best.keras").touch()
    assert load_params(run / "params.json").cache_path == Params.cache_path
    assert load_changed(run).cache_path == Params.cache_path
    assert load_changed(run, cache_path="mine").cache_path == "mine"
    for options in (EvaluationOptions((run,)), ExportOptions(run, "keras")):
        assert options.cache_path == Params.cache_path


@pytest.mark.parametrize("name", ["../../x", "..", "/tmp/x", "a/..", "x", "."])
def test_what_is_explained_stays_in_the_run(name):
    folder = explanation_folder("weights/r", name)
    assert folder.resolve().is_relative_to(Path("weights/r/explanations").resolve())


def test_long_names_of_data_fit_into_evaluations(tmp_path):
    evaluation_folder(tmp_path, "test", "d" * 250, "f" * 250).mkdir(parents=True)
