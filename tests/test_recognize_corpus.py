"""A whole corpus as one command: done step by step, taken up again, refused, reported."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import evaluate
import training
from scripts import extract_features
from scripts import recognize_corpus as script
from scripts.benchmarks import hours
from scripts.recognize_corpus import Ledger, Options, Step, recognize_corpus, write_report
from support.backbones import shrunk_i3d
from support.backends import untraced_steps
from support.commands import ROOT, run, work_in
from support.runs import KilledError, break_off, read_history
from support.videos import write_signing
from tasks.training_flags import parse_params
from utils.signing.published import PUBLISHED, SENTENCES, is_whole, list_published
from utils.signing.releases import FRAMES, RELEASES, SPLITS
from utils.signing.rendered_corpus import list_rows, plan_corpus
from utils.system import commands
from utils.system.figures import read_figures

import cv2
import numpy as np
import pytest

OPTIONS = Options(
    "list.csv",
    "out",
    stride=4,
    frame_size=112,
    extraction="--weights none --window 8 --short-side 112",
    finetune="Mixed_5c",
    stage_2="--epochs 1",
)
FLAGS = (
    "--width 16 --dropout 0 --batch-size 2 --workers 1 --epochs 2 --rate-epochs 1 2 --drop-rows 0 "
    "--pictures 0 --learning-rates 1e-3 1e-3 1e-3"
).split()


def estimate(options):
    """Write hours that are not measured, which takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("time_row", "time_sentences", "time_frames"):
            patch.setattr(hours, name, lambda _: 2.0)
        patch.setattr(hours, "measure_disk", lambda _: [("features", 0.5)])
        return hours.estimate_hours(options)


CALLS = {
    "training.py": lambda words: training.train_run(parse_params(words)),
    "evaluate.py": lambda words: evaluate.evaluate(evaluate.COMMAND.parse(words)),
    "scripts/extract_features.py": lambda words: extract_features.extract_features(
        extract_features.COMMAND.parse(words)
    ),
    "scripts/benchmarks/hours.py": lambda words: estimate(hours.COMMAND.parse(words)),
}


def write_release(folder, kind="phoenix2014", counts=(2, 1, 1)):
    """Write a release with three small frames a sentence; return its folder."""
    release, plans = RELEASES[kind], plan_corpus(kind, counts, 3, 0, (1, 2))
    root = folder / release.folder
    for split in SPLITS:
        path = root / release.annotations.format(split)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([*list_rows(plans, kind, split), ""]))
    for plan in plans:
        images = root / FRAMES / plan.split / plan.name / "1"
        images.mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(str(images / f"fn{number:06d}-0.png"), np.zeros((26, 21, 3), np.uint8))
    return root


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder in which the command was broken off twice, and has then ended; what it printed."""
    folder, ran = tmp_path_factory.mktemp("recognize_corpus"), []
    stops = {"stage 2, dev, greedy"}

    def run_script(command, *arguments, shown=False):
        assert shown  # days long: what it does is to be seen
        ran.append(command)
        if "--split" in arguments and "stage2" in str(arguments[0]) and stops:
            raise KilledError(stops.pop())
        CALLS[command]([*map(str, arguments)])

    with pytest.MonkeyPatch.context() as patch, shrunk_i3d(), untraced_steps():
        patch.setattr("utils.pictures.run_plots.save_figure", lambda *_, **__: None)
        patch.setattr("tasks.recognition.scoring.save_mistakes", lambda *_: [])
        for module in (commands, script):
            patch.setattr(module, "run_script", run_script)
        with work_in(folder) as printed:
            write_signing(folder, (5, 2, 0))  # each score takes seconds
            break_off(recognize_corpus, OPTIONS, FLAGS)  # after the first epoch of stage 1
            with pytest.raises(KilledError):
                recognize_corpus(OPTIONS, FLAGS)
            ran.clear()
            recognize_corpus(OPTIONS, FLAGS)
    return folder, printed.getvalue(), ran


@pytest.fixture
def folder(done, monkeypatch):
    """The folder of `done`, to work in; nothing may be run there any more."""
    monkeypatch.chdir(done[0])
    for name in ("run_script", "train_run"):
        monkeypatch.setattr(script, name, None)
    return done[0]


def test_the_whole_recipe_is_run_and_goes_on_where_it_stood(done, folder):
    _, said, ran = done
    assert ran == ["evaluate.py"] * 2  # all before was done
    for name in ("features", "stage 1, dev, as kept", "stage 2"):
        assert f"\n{name} is done already\n" in said
    assert len(read_history("weights/out-stage1")) == 2
    assert len(read_history("weights/out-stage2")) == 1  # of the flags of stage 2 alone
    for run_name in ("out-stage1", "out-stage2"):
        assert json.loads(Path("weights", run_name, "language.json").read_text())["order"] == 3
    manifest = json.loads(Path("out/features/manifest.json").read_text())
    assert (manifest["stride"], manifest["frame_size"], manifest["short_side"]) == (4, 112, 112)
    assert len(list(Path("out/features").rglob("*.npy"))) == 7


def test_the_report_has_each_score_step_and_time(folder):
    report = read_figures("out/report.json")
    assert report["corpus"] == "csv" and report["published"] == [] and report["sentences"] == 7
    stages = [(row["stage"], row["search"]) for row in report["rows"]]
    assert stages == [(f"stage {n}", how) for n in (1, 2) for how in ("greedy", "as kept")]
    names = {"greedy": "", "as kept": "-beam10"}
    for row in report["rows"]:
        run_folder = Path("weights", f"out-{row['stage'].replace(' ', '')}")
        path = run_folder / f"evaluation/dev{names[row['search']]}/report.json"
        assert row["dev"] == json.loads(path.read_text())["wer"] and row["test"] is None
    steps = {row["step"]: row for row in report["steps"]}
    assert steps["stage 1"]["attempts"] == steps["stage 2, dev, greedy"]["attempts"] == 2
    assert steps["features"]["attempts"] == steps["stage 2"]["attempts"] == 1
    assert all(row["seconds"] > 0 and row["done"] for row in steps.values())
    assert steps["stage 2"]["estimated_seconds"] == 2 * (135 / 4 + 5)  # of maps, of sentences
    page = Path("out/report.md").read_text()
    assert all(f"| {row['dev']} |  | this run |" in page for row in report["rows"])
    assert "scripts/extract_features.py --data out/videos.csv" in page and "| 2 | `" in page


def test_what_is_done_is_done_once(folder, capsys):
    recognize_corpus(OPTIONS, FLAGS)  # there is nothing to run it with
    assert "stage 2, dev, as kept is done already" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "flags", "message"),
    [
        ({"stride": 8}, FLAGS, "out contains a corpus' results of stride 4, but stride 8 was"),
        ({}, [*FLAGS, "--seed", "1"], "of training .*, but training .* --seed 1 was asked for"),
        ({"stage_2": "--epochs 3"}, FLAGS, "of stage_2 --epochs 1, but stage_2 --epochs 3 was"),
        ({}, [*FLAGS, "--features", "F"], "Leave out --features; the command sets this itself"),
        ({"stage_2": "--resume"}, FLAGS, "Leave out --resume; the command sets this itself"),
        ({"stage_2": "--epoch 3"}, FLAGS, "Unknown flag --epoch. Did you mean --epochs"),
        ({"finetune": "Mixed_9"}, FLAGS, "Unknown --finetune Mixed_9"),
        ({}, [*FLAGS, "--templates"], "templates are of rows"),
        ({"release": "gone"}, FLAGS, "gone contains no corpus. Give the release folder of PHO"),
        ({"release": "videos"}, FLAGS, "videos contains no corpus"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_run(folder, changes, flags, message):
    with pytest.raises(ValueError, match=message):
        recognize_corpus(replace(OPTIONS, **changes), flags)


def test_runs_of_others_are_left_alone(folder, tmp_path):
    with pytest.raises(ValueError, match="out-stage1 exists already, and was not trained for"):
        recognize_corpus(replace(OPTIONS, output=str(tmp_path / "out")), FLAGS)


@pytest.mark.parametrize("kind", list(RELEASES))
def test_a_dry_run_plans_each_release_and_leaves_nothing(tmp_path, monkeypatch, capsys, kind):
    asked = []
    root = write_release(tmp_path, kind)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(script, "run_script", lambda *words, shown: asked.append(words))
    recognize_corpus(Options(str(root), "out", dry_run=True), ["--width", "32"])
    said = capsys.readouterr().out
    assert f"{kind}, 4 sentences, " in said and not Path("out").exists()
    for part in (
        "extract_features.py --data out/videos.csv --output out/features --stride 2 --frame-size "
        "224 --short-side 0",
        "training.py phoenix --features out/features --data-path",
        "--language-model 3 --width 32 --run out-stage1",
        "evaluate.py weights/out-stage1 --split test --beam 1\n",
        "--weights weights/out-stage1 --finetune Mixed_5b",
        "--learning-rates 5e-5 1e-5 2e-6 --rate-epochs 10 15 --run out-stage2",
    ):
        assert part in said
    ((command, *words),) = asked
    options = hours.COMMAND.parse(words)
    assert command == "scripts/benchmarks/hours.py" and options.output is None
    assert (options.frames, options.sentences, options.train) == (12, 4, 2)
    assert (options.width, options.epochs) == (32, (60, 20))


def test_without_stage_two_and_language_model_less_is_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(script, "run_script", lambda *_, shown: None)
    options = Options(str(write_release(tmp_path)), "out", dry_run=True)
    recognize_corpus(replace(options, finetune="none", language_model=0), [])
    said = capsys.readouterr().out
    assert said.count("evaluate.py") == 2 and "stage 2:" not in said and "as kept" not in said


def test_a_corpus_without_dev_is_scored_on_test(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(script, "run_script", lambda *_, shown: None)
    write_signing(tmp_path, (2, 0, 1))
    recognize_corpus(replace(OPTIONS, dry_run=True), FLAGS)
    said = capsys.readouterr().out
    assert said.count("--split test") == 4 and "--split dev" not in said
    ledger = Ledger(Path("steps.json"))
    step = Step("stage 1, test, greedy", "evaluate", (), "r", "test")
    ledger.do(step.name, lambda: {"wer": 9.5})
    (row,) = script.list_scores([step], ledger)
    assert (row["dev"], row["test"]) == (None, 9.5)


def test_a_bad_release_is_one_line(tmp_path):
    root = write_release(tmp_path)
    (root / RELEASES["phoenix2014"].annotations.format("dev")).unlink()
    command = ["scripts/recognize_corpus.py", root.name, "--output", "out"]
    found = run(command, tmp_path)
    assert found.returncode == 2 and not (tmp_path / "out").exists()
    assert (
        found.stderr.startswith("Error: ") and "dev.corpus.csv: no such file. The" in found.stderr
    )
    assert "--width is" not in run([*command, "--width", "32"], tmp_path).stderr


def stop(error):
    raise error


def test_time_of_all_attempts_is_added_up(tmp_path):
    ledger = Ledger(tmp_path / "steps.json")
    for error in (KeyboardInterrupt, ValueError):
        with pytest.raises(error):
            ledger.do("a", partial(stop, error))
    again = Ledger(tmp_path / "steps.json")
    before = again.steps["a"]["seconds"]
    assert not again.is_done("a") and before > 0
    again.do("a", lambda: {"wer": 5.0})
    found = json.loads((tmp_path / "steps.json").read_text())["a"]
    assert found == {"seconds": found["seconds"], "attempts": 3, "done": True, "wer": 5.0}
    assert found["seconds"] > before and again.is_done("a")


def test_published_figures_stand_beside_ours(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    steps = [Step(f"stage 1, {s}, greedy", "evaluate", (), "r", s) for s in ("dev", "test")]
    ledger = Ledger(Path("steps.json"))
    for step, wer in zip(steps, (45.5, 46.5), strict=True):
        ledger.do(step.name, lambda wer=wer: {"wer": wer})
    options = Options("release", "out")
    estimate(hours.Options(output=Path("out/hours.json")))
    for count, warned in ((6841, False), (35, True)):
        write_report(options, "phoenix2014", count, steps, ledger)
        page = Path("out/report.md").read_text()
        assert "| stage 1, greedy | 45.5 | 46.5 | this run |" in page
        assert "| SlowFastSign | 18.01 | 18.28 | https://github.com/kaistmm/SlowFastSign |" in page
        assert ("**The published figures are of another corpus**" in page) == warned
    assert {row["system"] for row in read_figures("out/report.json")["published"]} >= {"VAC"}


@pytest.mark.parametrize("system", PUBLISHED)
def test_published_figures_are_numbers_of_a_source(system):
    row = PUBLISHED[system]
    figures = [each for each in (*row.phoenix2014, *row.phoenix2014t) if each]
    assert figures and all(15 < float(each) < 50 for each in figures) and row.source


def test_published_figures_are_of_their_corpus():
    every = {name: list_published(name) for name in ("phoenix2014", "phoenix2014t", "csv")}
    best = {name: rows[-1][:3] for name, rows in every.items() if rows}
    assert best["phoenix2014"] == ("SignDAGC", "17.00", "17.76")
    assert best["phoenix2014t"] == ("SignDAGC", "15.96", "18.48")
    assert every["csv"] == list_published("phoenix2014_si5") == []
    assert list_published("phoenix2014t_corrnet") == every["phoenix2014t"]
    assert SENTENCES["phoenix2014"] == 6841 and is_whole("phoenix2014t_corrnet", 8257)


def test_hours_are_measured_times_the_corpus(tmp_path, monkeypatch, capsys):
    options = hours.Options(output=tmp_path / "hours.json")
    rows = {row["step"]: row for row in estimate(options)}
    expected = {
        "features": 2 * 965_000 / 2,
        "stage 1": 2 * 60 * 5672 / 8,
        "maps of stage 2": 2 * 965_000 / 2,
        "stage 2": 2 * 20 * 5672,
    }
    assert {name: 3600 * rows[name]["hours"] for name in expected} == pytest.approx(expected)
    assert rows["all of it"]["hours"] == pytest.approx(sum(expected.values()) / 3600)
    kind = {"part": "i3d", "framework": "keras on jax", "step": "train", "precision": "float32"}
    card = read_figures(ROOT / "docs/figures/gpu_h100.json")["rows"]
    (clips,) = (row["per_second"] for row in card if kind.items() <= row.items())
    trained = 20 * 965_000 / 2 * 5672 / 6841 / 4 / clips / 3600
    assert rows["stage 2"]["hours_h100"] == pytest.approx(trained)
    assert 0.05 < rows["features"]["hours_h100"] < 0.2
    assert "assumed, 0.1 s a step" in capsys.readouterr().out
    (frozen,) = estimate(replace(options, finetune="none", output=None))[2:]
    assert frozen["step"] == "all of it" and "stage 2" in rows


def test_hours_are_measured(small_i3d, untraced, capsys):
    options = hours.Options(300, 6, 4, 4, 112, 8, width=16, batch_size=2, glosses=5)
    rows = hours.estimate_hours(options)
    assert [row["step"] for row in rows][:2] == ["features", "stage 1"]
    assert all(0 < row["hours"] < 1 for row in rows) and rows[2]["gb"] > 0
