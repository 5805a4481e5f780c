"""Score a run's best checkpoint: python evaluate.py weights/<run> [--split test] [flags]."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

from models.networks import split as split_network
from utils.commands import run_command
from utils.datasets import list_examples, select_split
from utils.features import ClipSource, predict_videos
from utils.files import atomic_path, write_atomically
from utils.inspection import inspect_videos
from utils.metrics import decide_classes, format_report, score_classes, spread_outputs
from utils.params import load_params
from utils.runs import best_network, load_data
from utils.tasks import choose_task, encode_targets, load_thresholds
from utils.visualization import plot_classes, plot_confusion, plot_roc

import keras
import numpy as np
import tyro


def choose_examples(examples, split, data_path):
    """Return (examples, name of the split) to score, of other data where a path is given."""
    if data_path:
        examples = list_examples(data_path)
    splits = {example.split for example in examples}
    split = split or next((name for name in ("test", "val") if name in splits), "")
    return select_split(examples, split), split or "all"


def save_predictions(path, examples, predicted, probabilities, classes):
    """Write one row a video: its path, its labels, the predicted ones, and every probability.

    Args:
        path: of the CSV.
        examples: the videos.
        predicted: bool (videos, classes).
        probabilities: (videos, classes).
        classes: names.
    """
    with atomic_path(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "predicted", *classes])
        for example, chosen, row in zip(examples, predicted, probabilities, strict=True):
            names = ";".join(np.array(classes)[chosen])
            writer.writerow([example.path, example.label, names, *(f"{p:.6f}" for p in row)])


def save_evaluation(folder, report, examples, targets, probabilities):
    """Write a report of `score_classes`, the predictions and the pictures; return their names."""
    classes, task = list(report["per_class"]), report["task"]
    predicted = decide_classes(task, probabilities, report["thresholds"])
    spread = spread_outputs(probabilities, classes)
    write_atomically(folder / "report.json", json.dumps(report, indent=1) + "\n")
    save_predictions(folder / "predictions.csv", examples, predicted, spread, classes)
    plot_classes(report["per_class"], folder / "classes.png")
    plot_roc(targets, probabilities, classes, folder / "roc.png")
    names = ["report.json", "predictions.csv", "classes.png", "roc.png"]
    if "confusion" in report:
        plot_confusion(report["confusion"], classes, folder / "confusion.png")
        names.append("confusion.png")
    return names


def evaluate(
    run: tyro.conf.Positional[Path],
    /,
    split: str = "",
    data_path: str = "",
    eval_clips: int = 0,
    eval_crops: Literal[0, 1, 3] = 0,
    workers: int = 0,
):
    """Score a run's best checkpoint; its folder is all that is needed.

    Args:
        run: the run's folder, weights/<run>.
        split: train, val or test; empty: test, or val where there is no test split.
        data_path: other data with the same classes; empty: the run's own lists.
        eval_clips: views in time that are averaged; 0: as the run's parameters say.
        eval_crops: views in space, 1 or 3; 0: as the run's parameters say.
        workers: threads that read videos; 0: as the run's parameters say.
    """
    own, classes = load_data(run)
    examples, split = choose_examples(own, split, data_path)
    best = best_network(run)
    params = load_params(run / "params.json")
    given = {"eval_clips": eval_clips, "eval_crops": eval_crops, "workers": workers}
    params = replace(params, **{name: value for name, value in given.items() if value})
    task = choose_task(params.activation, own, classes)
    thresholds = load_thresholds(run / "thresholds.json", task, classes)
    targets = encode_targets(task, examples, classes)  # refuses labels that the run cannot score
    infos, problems = inspect_videos([e.path for e in examples], params.cache_path, params.workers)
    for _, problem in problems:
        print(f"  problem: {problem}")
    targets = targets[[example.path in infos for example in examples]]
    examples = [example for example in examples if example.path in infos]
    if not examples:
        raise ValueError("No readable video is left to score; see the problems above.")

    network = keras.saving.load_model(best, compile=False)
    keras.config.set_dtype_policy(params.precision)
    frozen, model = split_network(network, params.cut)
    source = ClipSource(params.clip_format, frozen, params.cache_path, params.workers)
    videos = [(example.path, infos[example.path]) for example in examples]
    views = (params.eval_clips, params.eval_crops)
    probabilities = predict_videos(model, source, videos, views, params.batch_size, task)
    report = score_classes(task, targets, probabilities, classes, thresholds)
    folder = run / "evaluation" / (split if not data_path else f"{Path(data_path).stem}-{split}")
    names = save_evaluation(folder, report, examples, targets, probabilities)
    print(f"{split}, {views[0]} x {views[1]} views a video:\n{format_report(report)}")
    print(f"Written to {folder}: {', '.join(names)}")
    return report


if __name__ == "__main__":
    run_command(lambda: tyro.cli(evaluate, description=__doc__))
