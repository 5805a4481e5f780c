"""Score a run's best checkpoint: python evaluate.py weights/<run> [--split test] [flags]."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import keras
import tyro

from models.networks import split as split_network
from utils.commands import run_command
from utils.datasets import list_examples
from utils.features import ClipSource, predict_videos
from utils.files import atomic_path, write_atomically
from utils.inspection import inspect_videos
from utils.metrics import format_report, score_classes
from utils.params import load_params
from utils.runs import load_data
from utils.visualization import plot_classes, plot_confusion


def choose_examples(run, split, data_path):
    """Return (examples, class names, name of the split) to score, before any video is opened."""
    examples, classes = load_data(run)
    if data_path:
        examples = list_examples(data_path)
        unknown = {example.label for example in examples} - set(classes)
        if unknown:
            raise ValueError(
                f"{data_path} has classes that {run} does not know: {', '.join(sorted(unknown))}; "
                f"known: {', '.join(classes)}."
            )
    splits = sorted({example.split for example in examples} - {""})
    split = split or next((name for name in ("test", "val") if name in splits), "")
    if split and split not in splits:
        raise ValueError(f"No split {split!r} there; known: {', '.join(splits) or 'none'}.")
    return [e for e in examples if e.split == split or not split], classes, split or "all"


def save_predictions(path, examples, probabilities, classes):
    """Write one row a video: its path, true and predicted class, and every class's probability."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "predicted", *classes])
        for example, row in zip(examples, probabilities, strict=True):
            predicted = classes[row.argmax()]
            writer.writerow([example.path, example.label, predicted, *(f"{p:.6f}" for p in row)])


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
    examples, classes, split = choose_examples(run, split, data_path)
    if not (run / "best.keras").is_file():
        raise ValueError(f"{run} has no best.keras yet; let it finish an epoch.")
    params = load_params(run / "params.json")
    given = {"eval_clips": eval_clips, "eval_crops": eval_crops, "workers": workers}
    params = replace(params, **{name: value for name, value in given.items() if value})
    infos, problems = inspect_videos([e.path for e in examples], params.cache_path, params.workers)
    for _, problem in problems:
        print(f"  problem: {problem}")
    examples = [example for example in examples if example.path in infos]
    if not examples:
        raise ValueError("No readable video is left to score; see the problems above.")

    network = keras.saving.load_model(run / "best.keras", compile=False)
    keras.config.set_dtype_policy(params.precision)
    frozen, model = None, network
    if params.caches_features:
        frozen, model = split_network(network, params.trained_part)
    source = ClipSource(params.clip_format, frozen, params.cache_path, params.workers)
    videos = [(example.path, infos[example.path]) for example in examples]
    views = (params.eval_clips, params.eval_crops)
    probabilities = predict_videos(model, source, videos, views, params.batch_size)
    report = score_classes([classes.index(e.label) for e in examples], probabilities, classes)

    folder = run / "evaluation" / (split if not data_path else f"{Path(data_path).stem}-{split}")
    write_atomically(folder / "report.json", json.dumps(report, indent=1) + "\n")
    save_predictions(folder / "predictions.csv", examples, probabilities, classes)
    plot_confusion(report["confusion"], classes, folder / "confusion.png")
    plot_classes(report["per_class"], folder / "classes.png")
    print(f"{split}, {views[0]} x {views[1]} views a video:\n{format_report(report)}")
    print(f"Written to {folder}: report.json, predictions.csv, confusion.png, classes.png")
    return report


if __name__ == "__main__":
    run_command(lambda: tyro.cli(evaluate, description=__doc__))
