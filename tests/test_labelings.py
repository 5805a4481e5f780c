"""What classifiers are asked for: losses, metrics, thresholds and scores, worked by hand."""

import csv
import json
import re
from dataclasses import replace
from math import exp, log
from pathlib import Path

from evaluate import evaluate
from support.runs import save_run
from support.videos import write_dataset
from tasks.options import EvaluationOptions
from utils.data.datasets import list_examples
from utils.data.examples import Example, save_examples
from utils.params import Params
from utils.pictures.run_plots import plot_history, plot_roc
from utils.scores.labelings import (
    LABELINGS,
    choose_labeling,
    choose_thresholds,
    encode_targets,
    load_thresholds,
    to_probabilities,
)
from utils.scores.metrics import (
    DECISIONS,
    SUMMARIES,
    decide_classes,
    format_report,
    score_classes,
    spread_outputs,
)

import keras
import numpy as np
import pytest

ONE = [Example("1.avi", "no"), Example("2.avi", "yes"), Example("3.avi", "no")]
SEVERAL = [Example("1.avi", "run"), Example("2.avi", "jump; run"), Example("3.avi", "sit")]
CLASSES = ["jump", "run", "sit"]
LOGITS = {
    "single": ([[0, 1, 0], [1, 0, 0]], [[1.0, 3.0, -2.0], [0.5, 0.1, 2.0]]),
    "binary": ([[1], [0]], [[1.5], [-0.3]]),
    "multi": ([[0, 1, 1], [1, 0, 0]], [[1.0, 3.0, -2.0], [0.5, 0.1, 2.0]]),
}


def test_each_labeling_is_decided_and_summarized():
    assert set(LABELINGS) == set(DECISIONS) == set(SUMMARIES)


def test_tasks_follow_from_activation_and_labels():
    assert choose_labeling("softmax", ONE, ["no", "yes"]) == "single"
    assert choose_labeling("sigmoid", ONE, ["no", "yes"]) == "binary"
    assert choose_labeling("sigmoid", ONE, ["no", "yes", "maybe"]) == "multi"
    assert choose_labeling("sigmoid", SEVERAL[:2], ["jump", "run"]) == "multi"
    with pytest.raises(ValueError, match=r"2\.avi has several labels, jump; run, .* sigmoid"):
        choose_labeling("softmax", SEVERAL, CLASSES)
    with pytest.raises(ValueError, match="Unknown activation 'relu'; known: sigmoid, softmax"):
        choose_labeling("relu", ONE, ["no", "yes"])


def test_targets():
    np.testing.assert_array_equal(
        encode_targets("multi", SEVERAL, CLASSES), [[0, 1, 0], [1, 1, 0], [0, 0, 1]]
    )
    np.testing.assert_array_equal(
        encode_targets("single", ONE, ["yes", "no"]), [[0, 1], [1, 0], [0, 1]]
    )
    binary = encode_targets("binary", ONE, ["no", "yes"])
    np.testing.assert_array_equal(binary, [[0], [1], [0]])
    assert binary.dtype == np.float32
    np.testing.assert_array_equal(spread_outputs(binary, ["no", "yes"]), [[1, 0], [0, 1], [1, 0]])
    assert encode_targets("multi", [], CLASSES).shape == (0, 3)
    with pytest.raises(ValueError, match=r"2\.avi has several labels, jump; run; expected one"):
        encode_targets("single", SEVERAL, CLASSES)
    with pytest.raises(ValueError, match=r"3\.avi: unknown class: sit; known classes: jump, run"):
        encode_targets("multi", SEVERAL, CLASSES[:2])


@pytest.mark.parametrize("labeling", LABELINGS)
def test_losses(labeling):
    targets, logits = (np.array(values, "float32") for values in LOGITS[labeling])
    p = to_probabilities(labeling, logits)
    assert p.dtype == np.float32 and isinstance(p, np.ndarray)

    def by_hand(targets, gamma):
        if labeling == "single":
            return (-targets * (1 - p) ** gamma * np.log(p)).sum(1).mean()
        entropy = -targets * np.log(p) - (1 - targets) * np.log(1 - p)
        return ((targets * (1 - p) + (1 - targets) * p) ** gamma * entropy).mean()

    even = 0.5 if labeling != "single" else 1 / 3
    for smoothing in (0, 0.1):
        smooth = targets * (1 - smoothing) + smoothing * even
        for gamma in (0, 2):
            loss = LABELINGS[labeling].make_loss(smoothing, gamma)(targets, logits)
            assert float(loss) == pytest.approx(by_hand(smooth, gamma), rel=1e-5)
    almost = LABELINGS[labeling].make_loss(0, 1e-9)(targets, logits)
    plain = LABELINGS[labeling].make_loss()(targets, logits)
    assert float(almost) == pytest.approx(float(plain), rel=1e-5)


def test_losses_in_numbers():
    single = LABELINGS["single"].make_loss(focal_gamma=2)([[1.0, 0.0]], [[0.0, 0.0]])
    assert float(single) == pytest.approx(0.25 * log(2))
    binary = LABELINGS["binary"].make_loss()([[1.0]], [[-100.0]])
    assert float(binary) == pytest.approx(100)  # from logits: no probability that became 0
    loss = LABELINGS["binary"].make_loss()
    weighted = loss([[1.0], [1.0]], [[0.0], [9.0]], sample_weight=[1.0, 0])
    assert float(weighted) == pytest.approx(log(2))


@pytest.mark.parametrize("labeling", LABELINGS)
def test_compiled_metrics(labeling):
    targets, logits = (np.array(values, "float32") for values in LOGITS[labeling])
    inputs = keras.Input(logits.shape[1:])
    model = keras.Model(inputs, keras.layers.Identity()(inputs))
    metrics = LABELINGS[labeling].metrics(logits.shape[1])
    model.compile("sgd", LABELINGS[labeling].make_loss(0.1, 2), weighted_metrics=metrics)
    # A third example of weight 0, as in the last batch for several devices.
    logits, targets = np.vstack([logits, -9 * logits[:1]]), np.vstack([targets, targets[:1]])
    scores = model.evaluate(logits, targets, sample_weight=np.array([1, 1, 0]), return_dict=True)
    expected = {
        "single": {"accuracy": 0.5},
        "binary": {"accuracy": 1.0, "roc_auc": 1.0},
        "multi": {"accuracy": 1 / 3},
    }
    for name, value in expected[labeling].items():
        assert scores[name] == pytest.approx(value, abs=1e-4)
    assert LABELINGS[labeling].monitor.removeprefix("val_") in scores


def test_average_precision_while_training_is_close_to_the_true_one():
    generator = np.random.default_rng(0)
    targets = (generator.random((500, 4)) < 0.3).astype("float32")
    logits = (generator.normal(size=(500, 4)) + 2 * targets).astype("float32")
    metric = LABELINGS["multi"].metrics(4)[1]
    metric.update_state(targets, logits, sample_weight=np.ones(500))
    report = score_classes("multi", targets, to_probabilities("multi", logits), list("abcd"))
    assert float(metric.result()) == pytest.approx(report["mean_average_precision"], abs=0.01)


def test_six_outputs_have_a_top5():
    assert [m.name for m in LABELINGS["single"].metrics(6)] == ["accuracy", "top5"]
    assert [LABELINGS[labeling].outputs(2) for labeling in LABELINGS] == [2, 1, 2]


def test_probabilities():
    np.testing.assert_allclose(to_probabilities("binary", [[0.0], [log(3)]]), [[0.5], [0.75]])
    e = exp(1)
    np.testing.assert_allclose(to_probabilities("single", [[1, 0]]), [[e / (e + 1), 1 / (e + 1)]])
    np.testing.assert_allclose(to_probabilities("multi", [[0, 1]]), [[0.5, e / (e + 1)]])


@pytest.mark.parametrize(
    ("targets", "scores", "threshold"),
    [
        ([0, 0, 1, 1], [0.1, 0.4, 0.6, 0.9], 0.5),  # the middle of the gap
        ([0, 0, 0, 0], [0.1, 0.4, 0.6, 0.9], 0.5),  # no positive
        ([1, 1, 1, 1], [0.4, 0.4, 0.6, 0.9], 0.2),  # all of them
        ([0, 1, 0, 1], [0.1, 0.4, 0.6, 0.9], 0.25),  # F1: 2/3, 4/5, 1/2, 2/3
        ([1, 0, 0, 1], [0.1, 0.4, 0.6, 0.9], 0.75),  # F1: 2/3, 2/5, 1/2, 2/3; the wider gap
        ([0, 1, 1], [0.5, 0.5, 0.5], 0.25),  # nothing tells them apart
    ],
)
def test_thresholds(targets, scores, threshold):
    column = np.array(scores, "float32")[:, None]
    (found,) = choose_thresholds("binary", np.array(targets)[:, None], column)
    assert found == pytest.approx(threshold) and isinstance(found, float)


def test_thresholds_are_the_best():
    generator = np.random.default_rng(0)
    targets = (generator.random((60, 3)) < 0.4).astype("float32")
    scores = (generator.random((60, 3)).round(2) * 0.6 + 0.4 * targets).astype("float32")
    chosen = choose_thresholds("multi", targets, scores)
    best = score_classes("multi", targets, scores, CLASSES, chosen)["per_class"]
    for threshold in np.linspace(0, 1, 101):
        other = score_classes("multi", targets, scores, CLASSES, [threshold] * 3)["per_class"]
        assert all(best[name]["f1"] >= other[name]["f1"] for name in CLASSES)
    assert choose_thresholds("single", targets, scores) == []


def test_saved_thresholds(tmp_path):
    path = tmp_path / "thresholds.json"
    assert load_thresholds(path, "multi", CLASSES) == [0.5, 0.5, 0.5]
    assert load_thresholds(path, "binary", ["no", "yes"]) == [0.5]
    assert load_thresholds(path, "single", CLASSES) == []
    path.write_text("[0.25, 0.5, 1]")
    assert load_thresholds(path, "multi", CLASSES) == [0.25, 0.5, 1]


@pytest.mark.parametrize(
    "text", ["[0.5]", "3", "{", '["a", 0, 0]', "[0.5, 0.5, 2]", "[NaN, 0, 0]", "[null, 0, 0]"]
)
def test_bad_thresholds(tmp_path, text):
    path = tmp_path / "thresholds.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"thresholds\.json contains .*; expected a list of 3"):
        load_thresholds(path, "multi", CLASSES)


def test_decisions():
    assert decide_classes("single", [[0.2, 0.5, 0.3]]).tolist() == [[False, True, False]]
    assert decide_classes("binary", [[0.4]], [0.5]).tolist() == [[True, False]]
    assert decide_classes("binary", [[0.5]]).tolist() == [[False, True]]
    assert decide_classes("multi", [[0.4, 0.1]], [0.4, 0.2]).tolist() == [[True, False]]


def test_scores_of_one_class_of_several():
    targets = [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]]
    probabilities = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.1, 0.5, 0.4]])
    report = score_classes("single", targets, probabilities, CLASSES)
    assert (report["top1"], report["accuracy"], report["top5"]) == (0.75, 0.75, 1.0)
    assert report["confusion"] == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert report["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    jump, run, sit = report["per_class"].values()
    assert (jump["precision"], jump["recall"], jump["videos"]) == (1, 0.5, 2)
    assert (jump["average_precision"], jump["roc_auc"]) == (1, 1)
    # Ranked 0.7 yes, 0.6 no, 0.5 yes: precision 1 and 2/3; 3 of 4 pairs in order.
    assert run["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert run["roc_auc"] == 0.75
    assert (sit["average_precision"], sit["roc_auc"], sit["f1"]) == (None, None, 0)
    assert report["mean_average_precision"] == pytest.approx(11 / 12)
    assert json.loads(json.dumps(report)) == report
    lines = format_report(report).splitlines()
    assert lines[3].split() == ["sit", "0.000", "0.000", "0.000", "-", "-", "0"]
    assert lines[-1] == "top-1 0.750  macro F1 0.733  mAP 0.917  on 4 videos"
    report = score_classes("single", np.eye(6), np.eye(6), list("abcdef"))
    assert format_report(report).splitlines()[-1].startswith("top-1 1.000  top-5 1.000  macro")


def test_scores_of_yes_or_no():
    probabilities = np.array([[0.9], [0.3], [0.4], [0.1]])
    report = score_classes("binary", [[1], [1], [0], [0]], probabilities, ["no", "yes"], [0.35])
    assert report["accuracy"] == report["top1"] == 0.5
    assert report["confusion"] == [[1, 1], [1, 1]]
    assert report["per_class"]["yes"]["roc_auc"] == report["per_class"]["no"]["roc_auc"] == 0.75
    assert report["per_class"]["yes"]["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert report["thresholds"] == [0.35]
    lower = score_classes("binary", [[1], [1], [0], [0]], probabilities, ["no", "yes"], [0.2])
    assert lower["accuracy"] == 0.75 and lower["per_class"]["yes"]["recall"] == 1
    assert format_report(lower).splitlines()[-1].startswith("accuracy 0.750  macro F1 0.733  mAP")


def test_scores_of_several_classes_at_once():
    targets = [[1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]]
    probabilities = np.array([[0.9, 0.8, 0.1], [0.2, 0.6, 0.1], [0.3, 0.7, 0.1], [0.1, 0.1, 0.1]])
    report = score_classes("multi", targets, probabilities, CLASSES, [0.25, 0.5, 0.5])
    assert report["subset_accuracy"] == 0.75
    assert report["accuracy"] == pytest.approx(11 / 12)
    assert [row["f1"] for row in report["per_class"].values()] == pytest.approx([1, 0.8, 0])
    assert report["macro_f1"] == pytest.approx(0.9)  # sit neither occurs nor is predicted
    assert report["mean_average_precision"] == pytest.approx((1 + (1 + 2 / 3) / 2) / 2)
    assert "confusion" not in report and "top1" not in report
    assert format_report(report).splitlines()[-1].startswith("all labels right 0.750  each label 0")


@pytest.mark.parametrize("outputs", [1, 2, 40])
def test_roc_pictures(tmp_path, outputs):
    generator = np.random.default_rng(0)
    targets = generator.random((30, outputs)) < 0.3
    probabilities = generator.random((30, outputs))
    names = [f"class {number}" for number in range(max(outputs, 2))]
    for label, shown in (("some", targets), ("none", targets & False), ("all", targets | True)):
        plot_roc(shown, probabilities, names, tmp_path / f"{label}.png", "a run")
        assert (tmp_path / f"{label}.png").stat().st_size > 5000


def test_history_picture(tmp_path):
    rows = [{"epoch": e, "loss": 1, "accuracy": 1, "learning_rate": 0.1} for e in (1, 2)]
    plot_history(rows, tmp_path / "accuracy.png", "a run")
    rows = [row | {"average_precision": 0.2, "val_average_precision": 0.1} for row in rows]
    plot_history(rows, tmp_path / "precision.png", "a run")
    pictures = [(tmp_path / name).read_bytes() for name in ("accuracy.png", "precision.png")]
    assert pictures[0] != pictures[1]


OUTPUTS = {"single": 2, "binary": 1, "multi": 2}


@pytest.fixture
def make_run(tmp_path, monkeypatch):
    """A function labeling -> the folder of a run whose network looks at the mean color alone."""
    monkeypatch.chdir(tmp_path)
    examples = list_examples(write_dataset(tmp_path / "videos", videos=2))
    several = [*examples[:-1], replace(examples[-1], label="right; left")]
    save_examples(several, tmp_path / "several.csv")
    run = tmp_path / "run"

    def make(labeling):
        activation = LABELINGS[labeling].activation
        sizes = {"num_segments": 1, "frame_size": 112, "short_side": 112, "feature_views": 0}
        params = Params(**sizes, activation=activation)
        inputs = keras.Input((1, 8, 112, 112, 3))
        frames = keras.layers.Reshape((8, 112, 112, 3))(inputs)
        means = keras.layers.GlobalAveragePooling3D()(frames)
        logits = keras.layers.Dense(OUTPUTS[labeling], name="head")(means)
        network = keras.Model(inputs, logits)
        return save_run(run, params, network, several if labeling == "multi" else examples)

    return make


@pytest.mark.parametrize("labeling", OUTPUTS)
def test_evaluated_run(make_run, labeling):
    run = make_run(labeling)
    if labeling != "single":
        (run / "thresholds.json").write_text(json.dumps([0.0] * OUTPUTS[labeling]))
    report = evaluate(EvaluationOptions([run]))
    assert (report["labeling"], report["videos"]) == (labeling, 4)
    made = {path.name for path in (run / "evaluation/all").iterdir()}
    pictures = {"classes.png", "roc.png"} | ({"confusion.png"} if labeling != "multi" else set())
    mistakes = {"mistakes.html", "mistakes.png"}
    assert made == {"report.json", "predictions.csv"} | pictures | mistakes
    page = (run / "evaluation/all/mistakes.html").read_text()
    wrong, right = re.findall(r"<h2>.*: \d of (\d)</h2>", page)
    assert int(right) == 4 * report["subset_accuracy" if labeling == "multi" else "accuracy"]
    assert int(wrong) + int(right) == 4
    with open(run / "evaluation/all/predictions.csv") as file:
        rows = list(csv.DictReader(file))
    assert rows[3]["label"] == ("right; left" if labeling == "multi" else "right")
    predicted = {row["predicted"] for row in rows}
    assert labeling == "single" or predicted == {"right" if labeling == "binary" else "left;right"}
    for row in rows:
        total = float(row["left"]) + float(row["right"])
        assert labeling == "multi" or total == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("labeling", OUTPUTS)
def test_what_a_run_cannot_score_is_said_before_a_video_is_opened(make_run, labeling, monkeypatch):
    run = make_run(labeling)
    monkeypatch.setattr("tasks.classification.scoring.inspect", None)
    Path("other.csv").write_text("path,label\na.avi,left;up\nb.avi,down\n")
    with pytest.raises(
        ValueError, match=r"a\.avi: unknown class: down, up; known classes: left, right"
    ):
        evaluate(EvaluationOptions([run], data_path="other.csv"))
    if labeling != "multi":
        with pytest.raises(ValueError, match=r"right_01\.avi has several labels, right; left"):
            evaluate(EvaluationOptions([run], data_path="several.csv"))
    if labeling != "single":
        (run / "thresholds.json").write_text("[0.5, 0.5, 0.5]")
        with pytest.raises(
            ValueError, match=r"thresholds\.json contains \[0\.5, 0\.5, 0\.5\]; expected"
        ):
            evaluate(EvaluationOptions([run]))
