"""What is said beside a score: few examples, ties, luck, and answers that never look."""

import json
import math

from support.runs import read_history
from tasks.recognition.transcription import Transcript, list_caveats
from utils.data.examples import Example
from utils.data.splits import assign_splits, list_missing
from utils.fitting.callbacks import SaveRun
from utils.runs.folders import load_state
from utils.scores.caveats import find_constant, say_all, say_constant, say_optimism
from utils.scores.metrics import score_classes
from utils.signing.wer import align_corpus, score_corpus
from utils.signing.wer import find_constant as find_gloss

import keras
import numpy as np
import pytest


def save_epochs(folder, rows, monitor="-val_wer", patience=0, state=None):
    """Let `SaveRun` see epochs that measured `rows`; return it."""
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    network.compile("sgd", "mse")
    saver = SaveRun(folder, network, monitor, state=state, patience=patience)
    saver.set_model(network)
    saver.on_train_begin()
    for epoch, row in enumerate(rows, saver.state["epoch"]):
        network.set_weights([np.full((1, 1), epoch + 1.0), np.zeros(1)])
        saver.on_epoch_begin(epoch)
        saver.on_epoch_end(epoch, {"loss": 1.0} | row)
    return saver


def kept(folder):
    return float(keras.models.load_model(folder / "best.keras").get_weights()[0][0, 0])


def test_of_epochs_of_one_score_the_lowest_loss_is_kept(tmp_path):
    wers = [(90.91, 88.0), (90.91, 30.0), (100.0, 3.0), (90.91, 30.0), (90.91, 40.0)]
    rows = [{"val_wer": wer, "val_loss": loss} for wer, loss in wers]
    saver = save_epochs(tmp_path, rows)
    assert saver.state["best_epoch"] == kept(tmp_path) == 2 and saver.state["best"] == 90.91
    rows = [{"val_accuracy": 0.5, "val_loss": loss} for loss in (math.nan, 2.0, 1.0, 1.5)]
    assert save_epochs(tmp_path, rows, "val_accuracy").state["best_epoch"] == 3
    rows = [{"val_accuracy": score, "val_loss": 1 / score} for score in (0.5, 0.75, 0.7)]
    assert save_epochs(tmp_path, rows, "val_accuracy").state["best_epoch"] == 2


def test_patience_counts_a_lower_loss_as_better(tmp_path):
    rows = [{"val_accuracy": 0.5, "val_loss": loss} for loss in (3.0, 2.0, 1.0, 1.0)]
    saver = save_epochs(tmp_path, rows, "val_accuracy", patience=2)
    assert not saver.ended
    saver = save_epochs(tmp_path, rows[:1], "val_accuracy", 2, saver.state)
    assert saver.state["best_epoch"] == 3 and saver.ended


@pytest.mark.parametrize(
    ("forgotten", "best"),
    # The loss of the best epoch is in its row; of recognition before, or without its number, not.
    [((), 1), (("val_loss",), 2), (("best_epoch",), 2)],
)
def test_older_runs_go_on(tmp_path, forgotten, best):
    save_epochs(tmp_path, [{"val_accuracy": 0.5, "val_loss": 1.0}], "val_accuracy")
    state = load_state(tmp_path)
    for name in forgotten:
        (state if name in state else state["history"][0]).pop(name)
    (tmp_path / "state.json").write_text(json.dumps(state))
    rows = [{"val_accuracy": 0.5, "val_loss": 2.0}]
    saver = save_epochs(tmp_path, rows, "val_accuracy", 0, load_state(tmp_path))
    assert saver.state["best_epoch"] == kept(tmp_path) == best
    assert read_history(tmp_path)[1]["val_loss"] == "2.0"


def test_without_validation_the_last_epoch_is_kept(tmp_path):
    saver = save_epochs(tmp_path, [{}, {}, {}], "val_accuracy", patience=1)
    assert saver.state["best_epoch"] == kept(tmp_path) == 3 and not saver.ended


SIZES = {"a": 15, "b": 15, "c": 2, "d": 1, "e": 3}


@pytest.mark.parametrize("seed", range(8))
def test_every_class_is_validated_and_trained_where_it_can_be(seed):
    examples = [
        Example(f"{c}{i}", c, "", f"{c}{i}") for c, size in SIZES.items() for i in range(size)
    ]
    drawn = assign_splits(examples, 0.2, seed=seed)
    assert list_missing(drawn, list(SIZES)) == {"val": ["d"]}
    drawn = assign_splits(examples, 0.2, 0.2, seed=seed)  # c has one for test, and one to train on
    assert list_missing(drawn, list(SIZES)) == {"val": ["c", "d"], "test": ["d"]}


@pytest.mark.parametrize("seed", range(8))
def test_groups_of_several_classes_stay_whole(seed):
    groups = ["abc", "ab", "ab", "ab", "c", "c;a", "b"]
    examples = [
        Example(f"{group}{label}{i}", label, "", f"g{group}")
        for group, labels in enumerate(groups)
        for label in (labels.split() if ";" in labels else labels)
        for i in range(2)
    ]
    drawn = assign_splits(examples, 0.2, seed=seed)
    assert not list_missing(drawn, list("abc"))
    for group in {example.group for example in drawn}:
        assert len({example.split for example in drawn if example.group == group}) == 1


def test_a_class_that_is_one_group_is_trained_on():
    examples = [Example(f"{c}{i}", c, "", c) for c in "ab" for i in range(4)]
    with pytest.raises(ValueError, match="each class is one group"):
        assign_splits(examples, 0.2)


def report_of(labeling, truth, probabilities, classes):
    return score_classes(labeling, np.array(truth), np.array(probabilities), classes)


ALIKE = np.full((4, 2), 0.4)
REPORTS = {
    "one class of several": (
        report_of("single", np.eye(3)[[0, 0, 0, 1]], np.eye(3)[[0, 0, 1, 1]], list("abc")),
        "always answering a (top-1 0.750",
    ),
    "yes or no": (
        report_of("binary", [[0], [0], [0], [1]], [[0.1], [0.7], [0.2], [0.6]], ["no", "yes"]),
        "always answering no (accuracy 0.750",
    ),
    "several at once": (
        report_of("multi", [[1, 1], [0, 1], [0, 0], [0, 1]], ALIKE, list("ab")),
        "giving all videos the same scores (mAP 0.500",
    ),
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_network_no_better_than_a_constant_says_so(name):
    report, answer = REPORTS[name]
    (said,) = say_constant(report, "my videos")
    assert f"no better than {answer} on these videos" in said
    assert "analyze_dataset 'my videos'." in said and "--epochs" in said
    worth, again = say_all(report, "val", "my videos")
    assert worth.startswith("Only 4 validation videos: each video is worth 25 points of ")
    assert "cross_validate --data-path 'my videos' --name folds tests on all." in worth
    assert again == said


@pytest.mark.parametrize("truth", [[0, 1, 0, 1], [0, 0, 0, 0]])
def test_a_network_that_knows_better_says_nothing(truth):
    """Of videos of one class, none can know better."""
    truth = np.eye(2)[truth]
    report = report_of("single", np.tile(truth, (13, 1)), np.tile(truth, (13, 1)), list("ab"))
    assert not say_all(report, "test", "videos")
    assert (find_constant(report) is None) == (len({*truth.argmax(1)}) == 1)


def test_videos_that_the_run_has_used_are_counted():
    splits = {"a": "train", "b": "val", "c": "val", "d": "test"}
    chosen = "the best epoch and the thresholds"
    assert not say_optimism(["d", "e"], splits, "videos", chosen)
    (said,) = say_optimism(["b", "c"], splits, "videos", chosen)
    assert "optimistic: 2 of 2 videos chose the best epoch and the thresholds. Only" in said
    (said,) = say_optimism(list("abde"), splits, "videos", chosen)
    assert "1 of 4 videos trained the network and 1 of 4 videos chose the best epoch" in said


SAID = {"1": ["WIND", "NORD"], "2": ["NORD", "SUED"]}


@pytest.mark.parametrize(
    ("heard", "wer", "said"),
    [
        ({"1": [], "2": []}, 100.0, "Every hypothesis is empty"),
        ({"1": ["NORD"], "2": ["NORD"]}, 50.0, "no better than always answering NORD (WER 50.00 %"),
        (SAID, 0.0, ""),
    ],
)
def test_a_recognizer_that_learned_nothing_says_so(heard, wer, said):
    worth, *more = list_caveats(Transcript(SAID, heard, None), wer)
    assert worth == "Only 2 sentences of 4 glosses: each gloss is worth 25 points of WER."
    assert len(more) == bool(said) and all(said in sentence for sentence in more)


def test_the_best_gloss_for_all_sentences():
    references = {"1": ["WIND", "NORD"], "2": ["NORD"], "3": [], "4": ["SUED", "WIND", "WIND"]}
    gloss, wer = find_gloss(references)
    assert gloss in ("NORD", "WIND") and wer == pytest.approx(100 * 5 / 6)
    for answer in ("NORD", "WIND", "SUED"):
        score = score_corpus(align_corpus(references, {name: [answer] for name in references}))
        assert score.wer >= wer and (answer == "SUED" or score.wer == pytest.approx(wer))
