"""Recognition as commands are run: a release's tables, features that spell the glosses."""

import contextlib
import csv
import json
import shutil
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import evaluate
import training
from scripts import compare_settings
from scripts.benchmarks import few_sentences
from scripts.explain import explain
from scripts.predict import Options, predict
from support.commands import work_in
from support.runs import (
    Trained,
    break_off,
    check_same_runs,
    read_history,
    read_pictures,
    read_table,
)
from tasks.options import EvaluationOptions, ExplanationOptions
from tasks.plan import make_plan
from tasks.predictors import open_predictor
from tasks.recognition.ctc_fit import advise_stride, drop_impossible
from tasks.recognition.training import prepare
from tasks.recognition.transcription import read_features
from tasks.training_flags import parse_params
from utils.clips.batches import TrainingOrder
from utils.features.store import open_store, save_features, settings_hash
from utils.params import Params
from utils.runs.folders import load_data
from utils.signing.batches import SentenceSequence, pad_rows, plan_lengths
from utils.signing.cleaning import clean_hypothesis
from utils.signing.corpora import list_sentences, load_sentences, save_sentences
from utils.signing.releases import RELEASES, SPLITS
from utils.signing.rendered_corpus import list_rows, plan_corpus
from utils.signing.row_changes import RowChanges, change_rows, measure_statistics, read_sentence
from utils.signing.sclite import find_sclite
from utils.system.commands import IncompleteError
from utils.video.writing import write_video

import cv2
import keras
import numpy as np
import pytest

DIM, STRIDE = 16, 2
GLOSSES = ["NULL", "REGEN", "SONNE", "WIND", "NORD", "MORGEN"]
FLAGS = (
    "phoenix --front K5-K5 --features F --data-path release --width 64 --dropout 0 --batch-size 4 "
    "--workers 1 --learning-rates 1e-2 3e-3 1e-3 --rate-epochs 7 8 --epochs 9 --rescale 0.1 "
    "--drop-rows 0.05 --pictures 0"
).split()

# For what a few sentences show.
FEW = "--features few/F --data-path few/release --width 16 --network transformer".split()


def sign(glosses, seed, scale):
    """Return rows in which each gloss is a direction of its own, rest in between."""
    rng, rows = np.random.default_rng([7, seed]), [np.zeros((2, DIM))]
    for gloss in glosses:
        own = np.random.default_rng(list(gloss.encode())).normal(0, 2, DIM)
        rows += [np.repeat(own[None], rng.integers(3, 6), 0), np.zeros((rng.integers(1, 3), DIM))]
    rows = np.concatenate(rows) + rng.normal(0, 0.2, (sum(map(len, rows)), DIM))
    return (scale * rows + 5).astype("float32")


def write_corpus(folder, counts=(72, 9, 6), glosses=(2, 4)):
    """Write a release's tables (no frames) and a store of features of its sentences."""
    plans = plan_corpus("phoenix2014", counts, 3, 0, glosses)
    release, clean = RELEASES["phoenix2014"], partial(clean_hypothesis, corpus="phoenix2014")
    for split in SPLITS:
        path = folder / "release" / release.folder / release.annotations.format(split)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([*list_rows(plans, "phoenix2014", split), ""]))
    settings = {"version": 1, "window": 16, "stride": STRIDE}
    open_store(folder / "F", settings)
    for place, plan in enumerate(plans):
        rows = sign(clean(plan.labels), place, np.linspace(0.5, 20, DIM))
        record = {"source": str(place), "settings": settings_hash(settings)}
        save_features(folder / "F", f"{plan.split}/{plan.name}/1", {"centre": rows}, record)


def train(*flags):
    return training.train_run(parse_params([*FLAGS, *map(str, flags)]))


def score(run, **options):
    return evaluate.evaluate(EvaluationOptions((Path(run),), **options))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A corpus and weights/first trained on it."""
    folder = tmp_path_factory.mktemp("recognition")
    with pytest.MonkeyPatch.context() as patch, work_in(folder) as printed:
        patch.setattr("utils.signing.rendered_corpus.GLOSSES", GLOSSES)
        write_corpus(folder)
        write_corpus(folder / "few", (8, 2, 2), (2, 2))
        _, report = train("--run", "first", "--pictures", 0.001)
    return Trained(folder, report, printed.getvalue())


@pytest.fixture
def folder(trained, monkeypatch, no_pictures):
    """The folder of `trained`, to work in."""
    monkeypatch.chdir(trained.folder)
    return trained.folder


FIRST = Path("weights/first")


def test_what_training_leaves(folder, trained):
    rows = read_history(FIRST)
    shown = {"val_wer", "val_blanks", "val_blanks_reference", "val_empty", "val_glosses"}
    assert {"loss", *shown, "val_top_gloss", "val_top_gloss_reference"} <= set(rows[-1])
    assert float(rows[0]["val_wer"]) > 50 and 0 < float(rows[-1]["val_blanks_reference"]) < 1
    assert float(rows[-1]["val_loss"]) < 0.8 * float(rows[0]["val_loss"])
    assert "val loss " in trained.printed and "Only 9 sentences of" in trained.printed
    assert "wer " in trained.printed and "Best checkpoint on dev: wer" in trained.printed
    assert "NEBEL x" in trained.printed and "features have stride 2; front K5-K5" in trained.printed
    assert "13April_2011_Wednesday_tagesschau_default-14" in (FIRST / "problems.txt").read_text()
    assert set(json.loads((FIRST / "classes.json").read_text())) >= set(GLOSSES)
    params = json.loads((FIRST / "params.json").read_text())
    assert (params["corpus"], params["front"]) == ("phoenix2014", "K5-K5")


def test_recall_of_each_gloss_is_kept(folder):
    history, rows = read_history(FIRST), read_table(FIRST / "recall.csv")
    assert list(rows[0]) == ["gloss", "train", "dev", *(row["epoch"] for row in history)]
    sentences = load_sentences(FIRST / "splits.csv")
    counts = {n: Counter(g for s in sentences if s.split == n for g in s.glosses) for n in SPLITS}
    assert {row["gloss"] for row in rows} == set(counts["dev"])
    for row in rows:
        assert int(row["train"]) == counts["train"][row["gloss"]]
        assert int(row["dev"]) == counts["dev"][row["gloss"]]
    assert [int(row["train"]) for row in rows] == sorted(counts["train"].values())[::-1] + [0]
    last = {row["gloss"]: float(row[history[-1]["epoch"]]) for row in rows}
    assert last["NEBEL"] == 0 and min(n for g, n in last.items() if g != "NEBEL") > 0.5
    assert float(rows[0]["1"]) < last[rows[0]["gloss"]]
    top = max(counts["dev"].values()) / counts["dev"].total()
    assert float(history[0]["val_top_gloss_reference"]) == pytest.approx(top, abs=1e-6)
    assert float(history[-1]["val_top_gloss"]) < top + 0.1
    height, width, _ = cv2.imread(str(FIRST / "recognition.png")).shape
    assert width == 1400 < height


def test_a_run_without_dev_sentences_has_no_recall(folder, untraced):
    sentences = [s for s in load_sentences(FIRST / "splits.csv") if s.split == "train"]
    save_sentences(sentences[:8], "train_only.csv")
    flags = ("--data-path", "train_only.csv", "--features", "F", "--network", "transformer")
    run, report = train("--run", "no_dev", *flags, "--width", 16, "--epochs", 1)
    assert report is None and len(read_history(run)) == 1
    written = {path.name for path in run.iterdir()}
    assert not {"recall.csv", "steps.csv", "recognition.png"} & written


def test_sentences_are_shown_from_time_to_time(folder):
    rows, shown = read_history(FIRST), read_pictures(FIRST)["sentences"]
    assert min(shown) == 1 and max(shown) == len(rows) and len(shown) < len(rows)
    assert shown[1].startswith(b"first, epoch 1, dev, 6 sentences")
    assert b", the best of %d, dev" % len(rows) in shown[len(rows)]
    assert shown[1].count(b"REF:") == shown[len(rows)].count(b"HYP:") == 6
    assert shown[1] != shown[len(rows)]


@pytest.fixture(scope="module")
def scored(trained):
    """The report of weights/first on dev, and what was printed."""
    with work_in(trained.folder) as printed:
        report = score(FIRST, split="dev")
    return report, printed.getvalue()


def test_glosses_are_learned(folder, scored):
    report, said = scored
    best = min(float(row["val_wer"]) for row in read_history(FIRST))
    assert report["wer"] == pytest.approx(best, abs=1e-3)
    pairs = [row for row in report["confusions"] if row["reference"] == "NEBEL"]
    floor = 100 * sum(row["count"] for row in pairs) / report["words"]  # which training lacks
    assert 0 < floor <= report["wer"] < floor + 8
    assert report["empty"] == 0 and report["sentences"] == 9
    assert "never occur in training" in said and "REF:" in said and "WER" in said
    assert "optimistic: 9 of 9 sentences chose the best epoch. Only sentences that" in said
    for line in ("sclite", "Confusions: ", "share of blanks 0.", "\ndev: "):
        assert line in said


def test_files_of_a_score(folder, scored):
    report, _ = scored
    written = FIRST / "evaluation/dev"
    stm, ctm = ((written / name).read_text() for name in ("references.stm", "hypotheses.ctm"))
    assert len(stm.splitlines()) == 9 and "NEBEL" in stm and "NEBEL" not in ctm
    with open(written / "predictions.csv") as file:
        rows = list(csv.DictReader(file))
    page = (written / "mistakes.html").read_text()
    worst = max(rows, key=lambda row: int(row["errors"]))
    assert f"<b>{worst['errors']} in {worst['words']} glosses</b>" in page and "REF: " in page
    assert f"scripts.explain {worst['id']} --run " in page and "first, dev, 9 sentences" in page
    errors = sum(int(row["errors"]) for row in rows)
    assert errors == report["substitutions"] + report["deletions"] + report["insertions"]
    known = {s.id: s for s in list_sentences("release", needs_frames=False)[0]}
    assert all(row["reference"].split() == [*known[row["id"]].glosses] for row in rows)
    assert sum(row["words"] for row in report["signers"].values()) == report["words"]


def test_scores_of_other_searches_and_data(folder, scored, capsys):
    report, _ = scored
    assert score(FIRST, split="val", beam=4)["wer"] <= report["wer"] + 4
    assert (FIRST / "evaluation/dev-beam4/report.json").is_file()
    again = score(FIRST, split="dev", data_path="release", features="F")
    assert again["wer"] == report["wer"]
    assert score(FIRST)["sentences"] == 6
    said = capsys.readouterr().out
    assert "F: made with no other settings than" in said and "Signer03" in said


def test_totals_stand_beside_others(folder, capsys):
    """jiwer's errors are the fewest, sclite's the same."""
    jiwer = pytest.importorskip("jiwer")
    report = score(FIRST, split="dev")
    with open(FIRST / "evaluation/dev/predictions.csv") as file:
        rows = list(csv.DictReader(file))
    pairs = ([row[name] for row in rows] for name in ("reference", "hypothesis"))
    found = jiwer.process_words(*pairs)
    assert found.hits + found.substitutions + found.deletions == report["words"]
    apart = report["insertions"] - report["deletions"]
    assert found.insertions - found.deletions == apart
    assert 100 * found.wer <= report["wer"] <= 100 * found.wer + 5


@pytest.mark.skipif(find_sclite() is None, reason="needs sclite (Debian: sctk)")
def test_sclite_scores_a_run_the_same(folder, capsys):
    score(FIRST, split="test")
    said = capsys.readouterr().out
    assert "sclite: WER" in said and "DIFFERS" not in said


def test_mixed_precision_trains(folder):
    flags = (*FEW, "--network", "bilstm", "--precision", "mixed_bfloat16", "--epochs", 2)
    run, _ = train("--run", "mixed", *flags)
    assert keras.config.dtype_policy().name == "float32"
    losses = [float(row["loss"]) for row in read_history(run)]
    assert losses[1] < losses[0]
    network = keras.saving.load_model(run / "best.keras")
    assert network.get_layer("convolution_1").compute_dtype == "bfloat16"
    assert network.get_layer("normalize").compute_dtype == "float32"
    assert network.output.dtype == "float32"


def find_signs(glosses, seed):
    """Return the first row and the one behind the last of each gloss, as `sign` makes them."""
    rng, place, found = np.random.default_rng([7, seed]), 2, []
    for _ in glosses:
        count = int(rng.integers(3, 6))
        found.append((place, place + count))
        place += count + int(rng.integers(1, 3))
    return found


def test_glosses_are_found_in_time(folder, capsys):
    sentences, _ = load_data(FIRST, load_sentences)
    seeds = {s.id: place for place, s in enumerate(sentences)}
    known = next(s for s in sentences if s.split == "dev" and "NEBEL" not in s.glosses)
    rows = np.load(next(Path("F").rglob(f"{known.id}/1.npy")))
    frames = Path(known.path)
    made = [frames, *frames.parents][sum(not p.exists() for p in (frames, *frames.parents)) - 1]
    frames.mkdir(parents=True)
    for number in range(STRIDE * len(rows)):
        image = np.full((52, 42, 3), 3 * number % 256, np.uint8)
        cv2.imwrite(str(frames / f"show_fn{number:06d}-0.png"), image)
    explain(ExplanationOptions(known.id, FIRST))
    printed = capsys.readouterr().out
    assert "2 / 25 s a row is assumed" in printed and "REF:" in printed
    out = FIRST / "explanations" / known.id
    names = {path.name for path in out.iterdir()}
    assert names == {"alignment.csv", "alignment.png", "explanation.html", "probabilities.npz"}
    with open(out / "alignment.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    found, given = ([r for r in lines if r["row"] == n] for n in ("recognised", "reference"))
    assert [line["gloss"] for line in given] == list(known.glosses)
    assert f"{known.id}: {' '.join(line['gloss'] for line in found)}" in printed
    places = find_signs(known.glosses, seeds[known.id])
    inside = [
        float(line["start"]) < end * STRIDE / 25 and start * STRIDE / 25 < float(line["end"])
        for line, (start, end) in zip(given, places, strict=True)
    ]
    assert all(inside), (given, places)
    starts = [float(line["start"]) for line in found]
    assert starts == sorted(starts) and all(0 < float(line["probability"]) <= 1 for line in found)
    saved = np.load(out / "probabilities.npz")
    assert saved["edges"][0] == 0 and saved["edges"][-1] == pytest.approx(len(rows) * STRIDE / 25)
    assert saved["probabilities"].shape == (len(rows), 1 + len(saved["glosses"]))
    page = (out / "explanation.html").read_text()
    assert "<pre>REF:" in page and page.count("data:image/png") == 1 and "No frames" not in page

    shown = cv2.imread(str(out / "alignment.png")).shape[0]
    shutil.rmtree(made)  # the readers look for frames in several places
    explain(ExplanationOptions(known.path, FIRST, beam=4, output="again"))
    assert "No frames are shown" in capsys.readouterr().out
    assert cv2.imread("again/alignment.png").shape[0] < shown


def test_rows_alone_are_explained(folder):
    rows = np.load(next(Path("F").rglob("1.npy")))
    np.save("other.npy", rows[:, :3])
    with pytest.raises(ValueError, match=r"other\.npy: its rows have 3 channels, .* takes 16"):
        explain(ExplanationOptions("other.npy", FIRST))
    np.save("other.npy", rows)
    explain(ExplanationOptions("other.npy", FIRST))
    with open(FIRST / "explanations/other/alignment.csv", newline="") as file:
        assert {line["row"] for line in csv.DictReader(file)} == {"recognised"}
    with pytest.raises(
        ValueError, match="class_name is A, but weights/first is a run of recognition"
    ):
        explain(ExplanationOptions("other.npy", FIRST, class_name="A"))


def list_spans(folder):
    """Return [(gloss, start, end)] of what is recognized, of alignment.csv."""
    lines = [line for line in read_table(folder / "alignment.csv") if line["row"] == "recognised"]
    return [(line["gloss"], float(line["start"]), float(line["end"])) for line in lines]


def check_spans(found, expected):
    assert [gloss for gloss, *_ in found] == [gloss for gloss, *_ in expected] != []
    np.testing.assert_allclose([s[1:] for s in found], [s[1:] for s in expected], atol=1e-3)


def test_rows_alone_are_predicted(folder, capsys):
    """Of a run whose rows another program made: no video can be made into such."""
    rows = np.load(next(Path("F").rglob("1.npy")))
    np.save("alone.npy", rows.reshape(len(rows), 8, 2))  # points, as they are in a row
    predictor = open_predictor(FIRST)
    prediction = predictor.predict_video("alone.npy")
    np.testing.assert_allclose(prediction.times, np.arange(len(rows) + 1) * STRIDE / 25)
    assert prediction.duration == pytest.approx(len(rows) * STRIDE / 25)
    assert prediction.labels and "2 / 25 s a row is assumed" in prediction.note
    explain(ExplanationOptions("alone.npy", FIRST, output="same"))
    said = [(each.label, each.start, each.end) for each in prediction.intervals]
    check_spans(list_spans(Path("same")), said)
    shown = [(span.gloss, span.start, span.end) for span in predictor.explain(prediction).spans]
    assert shown == said
    predict(Options(("alone.npy",), FIRST))
    assert f"alone.npy ({prediction.duration:.1f} s): {said[0][0]} " in capsys.readouterr().out

    np.save("narrow.npy", rows[:, :3])
    np.save("gap.npy", np.where(np.arange(len(rows))[:, None] == 1, np.nan, rows))
    write_video("a.avi", np.zeros((9, 32, 32, 3), np.uint8), 25)
    Path("rows").mkdir()
    shutil.copy("alone.npy", "rows")
    for given, options, words in (
        ("narrow.npy", {}, r"narrow\.npy: its rows have 3 channels, the network takes 16"),
        ("gap.npy", {}, r"gap\.npy: some numbers are NaN"),
        ("a.avi", {}, r"cannot make them of a video\. Give the video's file of rows \(\.npy, "),
        ("alone.npy", {"overlay": "o.mp4"}, r"alone\.npy holds rows, no pictures"),
        ("rows", {}, r"contains no video\. Give files of rows by a pattern"),
    ):
        with pytest.raises(ValueError, match=words):
            predict(Options((given,), FIRST, **options))
    with pytest.raises(IncompleteError, match="1 of 2 videos failed"):
        predict(Options(("rows/*.npy", "narrow.npy"), FIRST))


SHORT = [*FEW, *"--epochs 2 --rate-epochs 1 2 --dropout 0.3 --distillation 1".split()]


# All that changes training sentences, and all places of losses.
CHANGED = (
    "--splice 0.9 --warp 0.2 --hide-rows 0.1 --hide-channels 0.1 --affine 0.1 --coordinates 2 "
    "--label-smoothing 0.01 --slow 2 --auxiliary-at rows slow"
).split()


@pytest.mark.parametrize("flags", [(), CHANGED], ids=["plain", "changed"])
def test_resumed_run_is_the_unbroken_one(folder, untraced, flags):
    name = f"{len(flags)}"
    whole, report = train("--run", f"whole{name}", *SHORT, *flags)
    break_off(train, "--run", f"parts{name}", *SHORT, *flags)
    table = Path(f"weights/parts{name}/recall.csv")
    header, *rows = table.read_text().splitlines()  # killed again, before epoch 2 was saved
    table.write_text("\n".join([f"{header},2", *(f"{row},0.5" for row in rows)]))
    parts, again = train("--run", f"parts{name}", "--resume", *SHORT, *flags)
    check_same_runs(whole, parts)
    for name in ("recall.csv", "steps.csv"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()
    assert again == report


def test_flags_of_training_sentences_are_checked(folder):
    with pytest.raises(ValueError, match="auxiliary_at names slow, but slow is 0"):
        train("--run", "no", "--auxiliary-at", "slow")
    with pytest.raises(ValueError, match="affine moves points, but rows of 16 columns with 3 coo"):
        train("--run", "no", "--affine", "0.1", "--coordinates", "3")
    with pytest.raises(ValueError, match="losses are at end; possible are rows, front, slow"):
        train("--run", "no", "--auxiliary-at", "end")
    assert not Path("weights/no").exists()


def test_training_ends_early_and_stays_ended(folder):
    flags = [*FEW, *"--learning-rates 1e-12 1e-12 1e-12 --patience 1".split()]
    for more in ((), ("--resume",)):
        run, _ = train("--run", "still", *flags, *more)
        assert len(read_history(run)) == 2


def test_too_few_steps_stop_the_run(folder):
    features = Path(shutil.copytree("F", "F16"))
    for path in features.rglob("*.npy"):
        np.save(path, np.load(path)[:: 16 // STRIDE])
    manifest = json.loads((features / "manifest.json").read_text()) | {"stride": 16}
    (features / "manifest.json").write_text(json.dumps(manifest))
    messages = []
    for flags in (("--features", "F16"), ("--row-step", 16 // STRIDE)):
        with pytest.raises(ValueError, match=r"of 72 training .* stride 16 and front K5-K5") as one:
            train(*flags, "--front", "auto", "--run", "coarse")
        messages.append(str(one.value).split("learn them. "))
    (extracted, mend), (taken, other) = messages
    assert extracted == taken and "again with --stride" in mend and "Give --row-step" in other
    assert not Path("weights/coarse").exists()
    with pytest.raises(ValueError, match=r"front K5-P2-K5-P2. .* Give --front K5-K5"):
        train("--row-step", 2, "--front", "K5-P2-K5-P2", "--run", "pooled")


def test_every_other_row_is_taken_as_told(folder, untraced, capsys):
    flags = (*FEW, "--row-step", 2, "--front", "auto", "--epochs", 1)
    _, report = train("--run", "thin", *flags)
    assert f"features have stride {2 * STRIDE}; front K5-K5" in capsys.readouterr().out
    sentences = list_sentences("few/release", needs_frames=False)[0]
    _, inputs, _ = read_features(sentences, parse_params([*FLAGS, *FEW, "--row-step", "2"]))
    features = inputs[sentences[0].path]
    whole = np.load(features.views["centre"][0])
    np.testing.assert_array_equal(read_sentence(features), whole[::2])
    assert (features.num_rows, features.channels) == (len(whole[::2]), DIM)
    dev = [s for s in sentences if s.split == "dev"]
    known = sum(gloss != "NEBEL" for s in dev for gloss in s.glosses)
    steps = sum(inputs[s.path].num_rows for s in dev)
    assert report["val_blanks_reference"] == pytest.approx(1 - known / steps)


def test_impossible_sentences_are_listed(folder):
    sentence = list_sentences("release", needs_frames=False)[0][0]
    sentences = [replace(sentence, id=str(place)) for place in range(200)]
    labels, rows = [[1, 1, 2]] * 200, np.full(200, 4)
    assert drop_impossible(sentences, labels, rows, "K5-K5", 4) == []
    rows[5] = 3
    found = drop_impossible(sentences, labels, rows, "K5-K5", 4)
    assert found == [("5", "3 time steps, but its glosses need 4")]
    rows[5:8] = 3
    with pytest.raises(ValueError, match=r"3 of 200 .*\(1.5%\).*--stride 2; --front K5-K5 "):
        drop_impossible(sentences, labels, np.where(rows == 3, 3, 9), "K5-K5", 4)
    few = np.array([4]), np.array([3])
    assert "2 times as many rows" in advise_stride(*few, None)
    assert "Give --row-step 3; --front K5-K5 fits those" in advise_stride(*few, None, 6)
    assert "Give --row-step 4;" in advise_stride(np.array([9]), np.array([5]), 16, 8)
    assert "again with --stride 1;" in advise_stride(*few, 2)


def test_features_of_another_width(folder):
    shutil.copytree("F", "narrow")
    for path in Path("narrow").rglob("*.npy"):
        np.save(path, np.load(path)[:, :3])
    with pytest.raises(ValueError, match=r"its rows have 3 channels, the network takes 16"):
        score(FIRST, split="dev", features="narrow")


def test_a_flag_of_classification():
    with pytest.raises(ValueError, match=r"mixup is 0.2, which is for classification"):
        Params(task="recognition", mixup=0.2)


def test_what_cannot_be_scored(folder):
    with pytest.raises(ValueError, match=r"eval_clips is 2, but .* is a run of recognition"):
        score(FIRST, eval_clips=2)
    with pytest.raises(ValueError, match="no sentence of split 'x'; known: train 72"):
        score(FIRST, split="x")
    shutil.copytree(FIRST, "weights/blank", ignore=shutil.ignore_patterns("evaluation"))
    network = keras.saving.load_model("weights/blank/best.keras")
    layer = network.get_layer("logits")
    layer.set_weights([np.zeros_like(layer.get_weights()[0])])
    network.save("weights/blank/best.keras")
    with pytest.raises(ValueError, match="All 9 hypotheses of dev are empty"):
        score("weights/blank", split="dev")
    assert not Path("weights/blank/evaluation").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--features", ""), "Recognition is trained on features"),
        (("--data-path", "F"), "F contains no corpus"),
        (("--network", "i3d"), r"Unknown --network i3d\. Possible: bilstm, transformer"),
        (("--front", "K7"), "Unknown --front K7"),
    ],
)
def test_impossible_flags(folder, flags, message):
    with pytest.raises(ValueError, match=message):
        train("--run", "none", *flags)
    assert not Path("weights/none").exists()


def test_rows_change_reproducibly():
    rows = np.arange(40, dtype="float32")[:, None] * np.ones(3)

    def change(changes, least=0, seed=0):
        generator = np.random.default_rng(seed)
        return change_rows(rows, changes, least, np.array([0, 1, 2]), generator)

    np.testing.assert_array_equal(change(RowChanges(0, 0, 0)), rows)
    lengths = [len(change(RowChanges(0.2, 0, 0), seed=seed)) for seed in range(50)]
    assert 32 <= min(lengths) < 35 and 45 < max(lengths) <= 48
    slow = change(RowChanges(0.2, 0, 0), seed=3)[:, 0]
    assert slow[0] == 0 and slow[-1] == 39 and (np.diff(slow) > 0).all()
    assert len(change(RowChanges(0, 0.5, 0))) < 30
    assert len(change(RowChanges(0.2, 0.9, 0), least=38)) >= 38
    noisy = change(RowChanges(0, 0, 0.5)) - rows
    assert (noisy[:, 0] == 0).all() and noisy[:, 2].std() == pytest.approx(1, abs=0.3)
    np.testing.assert_array_equal(change(RowChanges()), change(RowChanges()))


def test_batches_have_few_lengths():
    assert plan_lengths(90) == [24, 48, 68, 92]
    batch = pad_rows([np.ones((3, 2)), np.ones((30, 2))], plan_lengths(90))
    assert batch["features"].shape == (2, 48, 2) and batch["lengths"].tolist() == [3, 30]
    assert batch["features"][0].sum() == 6


@pytest.mark.parametrize("seed", range(4))
def test_batches_of_one_length_first_leave_room_for_others(seed):
    rows = [8] * 9 + [30]
    sequence = SentenceSequence(
        lambda index, epoch: np.ones((rows[index], 3), "float32"),
        [[1]] * 10,
        rows,
        30,
        lambda lengths: lengths,
        batch_size=2,
        order=TrainingOrder(seed),
    )
    inputs = {
        "features": keras.Input((None, 3), name="features"),
        "lengths": keras.Input((), dtype="int32", name="lengths"),
    }
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs["features"])[:, 0])
    model.compile("sgd", "mse")
    model.fit(sequence, epochs=2, shuffle=False, verbose=0)


def test_statistics_are_those_of_all_rows(folder):
    sentences, _ = list_sentences("release", needs_frames=False)

    params = parse_params(FLAGS)
    kept, inputs, problems = read_features(sentences, params)
    assert len(kept) == len(sentences) == 72 + 9 + 6 and not problems
    rows = np.concatenate([np.load(each.views["centre"][0]) for each in inputs.values()])
    mean, variance = measure_statistics(list(inputs.values()))
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-4)
    np.testing.assert_allclose(variance, rows.var(0), rtol=1e-3)


def test_a_language_model_is_weighed_on_dev(folder, untraced, capsys):
    train(*FEW, "--run", "spoken", "--language-model", 2, "--epochs", 1)
    kept = json.loads(Path("weights/spoken/language.json").read_text())
    assert kept["order"] == 2 and kept["beam"] == 10
    said = f"2 dev sentences: beam 10, language model of order 2, weight {kept['weight']:g}, bonus"
    assert said in capsys.readouterr().out
    with pytest.raises(ValueError, match="language_weights is"):
        train(*FEW, "--language-model", 2, "--language-weights", 1.0)


def test_all_that_reads_a_run_uses_its_language_model(folder, untraced, capsys):
    """A bonus that makes blanks the dearest: the network alone has said nothing yet."""
    flags = ("--language-model", 2, "--language-weights", 0.5, 20.0, "--epochs", 1)
    flags += ("--velocities", "--standard", "sentence", "--relative-to", 14, 15)
    train(*FEW, "--run", "given", *flags)
    found = score("weights/given", split="dev")
    said = capsys.readouterr().out
    assert "dev, beam 10, language model of order 2, weight 0.5, bonus 20:" in said
    assert found["empty"] == 0 and (Path("weights/given/evaluation/dev-beam10")).is_dir()
    name = list_sentences("few/release", needs_frames=False)[0][0].id
    explain(ExplanationOptions(name, Path("weights/given")))
    assert f"{name}: no gloss" not in capsys.readouterr().out
    with pytest.raises(ValueError, match="are empty"):
        score("weights/given", split="dev", beam=1)
    Path("weights/given/language.json").write_text('{"order": "two"}')
    with pytest.raises(
        ValueError, match=r"language\.json is damaged: it needs numbers order, beam"
    ):
        score("weights/given", split="dev")


def test_templates_answer_before_the_network_has_learned(folder, untraced, capsys):
    train(*FEW, "--run", "parts_of", "--templates", "--epochs", 1)
    said = capsys.readouterr().out
    assert "Chosen on 2 dev sentences: templates of 8 sentences, network " in said
    run = Path("weights/parts_of")
    found = score(run, split="dev")
    assert (run / "evaluation/dev-templates").is_dir() and found["empty"] == 0
    assert "dev, templates of 8 sentences, network" in capsys.readouterr().out
    sentence = next(s for s in list_sentences("few/release", needs_frames=False)[0])
    explain(ExplanationOptions(sentence.id, run))
    assert f"{sentence.id}: {' '.join(sentence.glosses)}" in capsys.readouterr().out
    # It is one of the templates, which are cut evenly.
    path = next(Path("few/F").rglob(f"{sentence.id}/1.npy"))
    count, rows = len(sentence.glosses), len(np.load(path))
    bounds = [*(np.arange(count) * rows // count * STRIDE / 25), rows * STRIDE / 25]
    expected = list(zip(sentence.glosses, bounds[:-1], bounds[1:], strict=True))
    out = run / "explanations" / sentence.id
    check_spans(list_spans(out), expected)
    assert "each gloss lasts until the next one begins" in (out / "explanation.html").read_text()
    said = open_predictor(run).predict_video(path).intervals
    check_spans([(each.label, each.start, each.end) for each in said], expected)
    with pytest.raises(ValueError, match="are empty"):
        score(run, split="dev", beam=1)
    kept = json.loads((run / "templates.json").read_text())
    weights = [kept[name] for name in ("network", "language", "jump")]
    train(*FEW, "--run", "told", "--templates", "--template-weights", *weights, "--epochs", 1)
    assert "Sequences are searched for with templates of 8" in capsys.readouterr().out
    assert json.loads(Path("weights/told/templates.json").read_text()) == kept
    whole = (run / "templates.npz").read_bytes()
    for damaged in (b"PK", whole[: len(whole) // 2]):
        (run / "templates.npz").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"templates\.npz is damaged or missing"):
            score(run, split="dev")
    (run / "templates.json").write_text('{"jump": 1}')
    with pytest.raises(ValueError, match=r"damaged: it needs numbers network, language, jump"):
        score(run, split="dev")
    for flags, message in (
        (("--template-weights", 1, 2), "give those of the network and of the"),
        (("--features", ""), "templates are of rows: give features"),
    ):
        with pytest.raises(ValueError, match=message):
            parse_params([*FLAGS, *FEW, "--templates", *map(str, flags)])


def test_labels_of_training_and_dev_are_as_wide(folder):
    """Of two widths TensorFlow says that a loop is not compatible."""
    corpus = Path(shutil.copytree("few", "wide"))
    path = next((corpus / "release").rglob("dev.corpus.csv"))
    path.write_text(path.read_text().rstrip("\n") + " NORD NORD NORD\n")
    plan = make_plan(parse_params([*FLAGS, *FEW, "--data-path", str(corpus / "release")]))
    job = prepare(plan, contextlib.nullcontext, 1)
    trial = job.measure.args[0]
    widths = {sequence[0][1].shape[1] for sequence in (job.training, trial.sequence)}
    assert widths == {2 + 5}


def test_settings_are_compared_by_their_wer(folder, untraced, monkeypatch, capsys):
    def run_here(name, *flags):
        return training.train_run(parse_params([*flags, "--run", name]))

    def score_here(_, run, *flags):
        return score(run, split=flags[1])

    monkeypatch.setattr(compare_settings, "train_run", run_here)
    monkeypatch.setattr(compare_settings, "run_script", score_here)
    values = ("plain=", "moving=--velocities")
    options = compare_settings.Options("c", "flags", values, ("few/release",), test=True)
    flags = [each for each in (*FLAGS, *FEW) if each not in ("--data-path", "release")]
    flags.remove("few/release")  # one epoch says nothing yet without a bonus
    flags += "--epochs 1 --language-model 2 --language-weights 0.5 20".split()
    compare_settings.compare_settings(options, flags)
    cells = json.loads(Path("weights/c.json").read_text())["values"]
    for name in ("plain", "moving"):
        run, cell = Path(f"weights/c_release_{name}_seed0"), cells[name]["few/release"]
        assert (cell["score"], cell["chance"], cell["videos"]) == ("val_wer", None, 2)
        assert cell["mean"] == float(read_history(run)[-1]["val_wer"])
        tested = json.loads((run / "evaluation/test-beam10/report.json").read_text())["wer"]
        assert cell["test"] == {"seeds": [tested], "mean": tested, "spread": None}
    said = capsys.readouterr().out
    assert "| flags | few/release | few/release, test | parameters | s an epoch |" in said
    assert (
        cells["moving"]["few/release"]["parameters"] > cells["plain"]["few/release"]["parameters"]
    )
    monkeypatch.setattr(compare_settings, "train_run", None)
    monkeypatch.setattr(compare_settings, "run_script", None)
    other = Path("weights/c_release_plain_seed0/evaluation/test/report.json")
    other.parent.mkdir()  # of another search than the run's
    other.write_text('{"wer": -1}')
    compare_settings.compare_settings(options, flags)  # all is kept
    assert json.loads(Path("weights/c.json").read_text())["values"] == cells
    with pytest.raises(ValueError, match=r"Leave out --seed; the comparison"):
        own = replace(options, values=("a=", "b=--seed 3"))
        compare_settings.compare_settings(own, flags)
    with pytest.raises(ValueError, match="'--velocities' a name: NAME=FLAGS"):
        replace(options, values=("plain=", "--velocities"))


def test_curve_over_the_number_of_sentences(folder, untraced, monkeypatch, capsys):
    def run_here(run, *flags):
        training.train_run(parse_params([*map(str, flags), "--run", run]))

    monkeypatch.setattr(few_sentences, "train_run", run_here)
    flags = [each for each in (*FLAGS[1:], *FEW) if not each.endswith("release")]
    flags = [each for each in flags if each != "--data-path"]
    flags += "--epochs 1 --language-model 2 --language-weights 0.5 20".split()
    output, picture = Path("few.json"), Path("few.png")
    recipes = ("spliced=phoenix --splice 0.5",)
    given = {"counts": (4, 0), "seeds": 1, "output": output, "picture": picture}
    few_sentences.measure(few_sentences.Options("few/release", recipes, **given), flags)
    lists = {count: load_sentences(f"weights/sentences/few-{count}.csv") for count in (4, 8)}
    small, large = ({s.id for s in each if s.split == "train"} for each in lists.values())
    assert len(small) == 4 and small < large and len(large) == 8
    assert [s.split for s in lists[4]].count("test") == 2
    rows = json.loads(output.read_text())["rows"]
    assert [(row["recipe"], row["sentences"]) for row in rows] == [
        (name, count) for name in ("spliced", "nearest") for count in (4, 8)
    ]
    folder = Path("weights/few-4-spliced-seed0/evaluation/test-beam10")
    scored = json.loads((folder / "report.json").read_text())
    assert (rows[0]["wer"], rows[0]["spread"]) == (scored["wer"], None)
    assert rows[2]["wer"] == scored["nearest"]["wer"]
    assert "4 to train on, " in capsys.readouterr().out
    with pytest.raises(ValueError, match="no curve over numbers: leave out --picture"):
        few_sentences.Options("few/release", recipes, signers=True, picture=picture)
    alone = few_sentences.Options("few/release", recipes, signers=True, with_dev=True)
    sets = few_sentences.make_sets(alone)
    for signer, sentences in sets.items():
        assert {(s.split, s.signer == signer) for s in sentences} == {
            ("test", True),
            ("train", False),
        }
    assert len(sets) > 1 and len({len(each) for each in sets.values()}) == 1


def test_a_run_without_a_manifest_goes_on_as_it_was_typed(folder, untraced):
    """Before --row-stride was asked for, such rows counted as stride 4: the front is the run's."""
    shutil.copytree("few/F", "bare", ignore=shutil.ignore_patterns("manifest.json"))
    params = parse_params([*FLAGS, *FEW, "--features", "bare", "--run", "bare", "--epochs", "1"])
    training.train_run(params)
    again = replace(params, front="auto", resume=True, epochs=2)
    assert len(training.train_run(again).history) == 2


def test_a_network_stands_beside_the_nearest_sentence(folder, scored, capsys):
    """Glosses are directions of their own here, which warping finds as well as a network."""
    report, said = scored
    assert "sentences have glosses known from training: WER of all" in said
    assert "The nearest training sentence's glosses: WER of all" in said
    known = {s.glosses for s in load_sentences(FIRST / "splits.csv") if s.split == "train"}
    dev = [s for s in list_sentences("release", needs_frames=False)[0] if s.split == "dev"]
    assert report["known"] == sum(s.glosses in known for s in dev)
    assert report["apart"]["wer"] == report["wer"] < report["nearest"]["wer"] < 100
    assert score(FIRST, split="train")["nearest"] is None
    assert "Not compared with the nearest training sentences: these are" in capsys.readouterr().out


def test_a_gloss_that_sclite_cannot_read_ends_no_scoring(folder, tmp_path, capsys):
    rows = [replace(s, glosses=("A{B", *s.glosses)) for s in load_sentences(FIRST / "splits.csv")]
    save_sentences([s for s in rows if s.split != "test"], tmp_path / "odd.csv")
    score(FIRST, split="dev", data_path=str(tmp_path / "odd.csv"), features="F")
    said = capsys.readouterr().out
    assert "No files for sclite are written. Sentence" in said and "gloss 'A{B'" in said
    (folder_of_odd,) = (FIRST / "evaluation").glob("odd-*")
    assert (folder_of_odd / "report.json").is_file()
    assert not (folder_of_odd / "references.stm").exists()
