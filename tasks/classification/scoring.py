"""Scores of classifiers: a run's best checkpoint on videos or features, or two runs fused."""

import json
import os
from collections.abc import Sequence
from typing import NamedTuple

from tasks.answers import Judge
from tasks.classification.mistakes import list_mistakes
from tasks.classification.sources import inspect, open_parts, open_source
from tasks.features.runtimes import choose_runtime
from tasks.options import list_flags
from tasks.plan import make_plan
from utils.clips.inputs import predict_videos
from utils.data.datasets import list_examples
from utils.data.examples import find_split, select_split
from utils.features.lookup import own_features
from utils.pictures.mistakes import save_mistakes
from utils.pictures.run_plots import plot_classes, plot_confusion, plot_roc
from utils.pictures.saving import name_scope
from utils.runs.folders import evaluation_folder, load_changed, load_data
from utils.runs.networks import load_network
from utils.scores.caveats import say_all, say_optimism
from utils.scores.fusion import choose_weight
from utils.scores.fusion import fuse as fuse_logits
from utils.scores.labelings import (
    choose_labeling,
    choose_thresholds,
    encode_targets,
    load_thresholds,
)
from utils.scores.metrics import (
    decide_classes,
    format_report,
    format_summary,
    score_classes,
    spread_outputs,
)
from utils.system.files import write_atomically
from utils.system.tables import write_csv
from utils.system.words import print_line

import numpy as np

# Options in place of what the runs' parameters say.
_GIVEN = ("eval_clips", "eval_crops", "workers", "flow_path", "features", "cache_path")


def choose_examples(examples, split, data_path):
    """Return (examples, name of the split) to score, of other data where a path is given."""
    if data_path:
        examples = list_examples(data_path)
    splits = {example.split for example in examples}
    split = split or next((name for name in ("test", "val") if name in splits), "")
    return select_split(examples, split), split or "all"


class Scored(NamedTuple):
    """Videos that were scored.

    Attributes:
        examples: list of `Example`.
        targets: (videos, outputs) of zeros and ones.
        probabilities: (videos, outputs).
    """

    examples: list
    targets: np.ndarray
    probabilities: np.ndarray


def save_predictions(path, scored, judge):
    """Write one row a video: its path, its labels, the predicted ones, and every probability.

    Args:
        path: of the CSV.
        scored: `Scored`.
        judge: a `tasks.answers.Judge`.
    """
    classes, probabilities = judge.labels, scored.probabilities
    predicted = decide_classes(judge.labeling, probabilities, judge.thresholds)
    names = [";".join(np.array(classes)[chosen]) for chosen in predicted]
    spread = spread_outputs(probabilities, classes)
    rows = (
        (example.path, example.label, name, *(f"{p:.6f}" for p in row))
        for example, name, row in zip(scored.examples, names, spread, strict=True)
    )
    write_csv(path, ("path", "label", "predicted", *classes), rows)


def save_evaluation(folder, report, scored, runs, flags=()):
    """Write a report of `score_classes`, the predictions and the pictures; return their names.

    Args:
        folder: where.
        report: of `score_classes`.
        scored: `Scored`.
        runs: folders of the runs that were scored.
        flags: that scripts.explain needs besides to explain what was scored.
    """
    classes = list(report["per_class"])
    judge = Judge(classes, report["labeling"], report["thresholds"])
    title = name_scope(folder.parents[1].name, folder.name, len(scored.examples))
    write_atomically(folder / "report.json", json.dumps(report, indent=1) + "\n")
    save_predictions(folder / "predictions.csv", scored, judge)
    plot_classes(report["per_class"], folder / "classes.png", title)
    plot_roc(scored.targets, scored.probabilities, classes, folder / "roc.png", title)
    names = ["report.json", "predictions.csv", "classes.png", "roc.png"]
    if "confusion" in report:
        plot_confusion(report["confusion"], classes, folder / "confusion.png", title)
        names.append("confusion.png")
    return names + save_mistakes(folder, title, list_mistakes(scored, judge, runs, flags))


def inspect_examples(examples, runs):
    """Read what the examples are made of; print why some cannot be read.

    Args:
        examples: list of `Example`.
        runs: list of `Params`; each may have features of its own.

    Returns:
        (the examples that every run can read, for each run their videos or features).
    """
    found, paths = {}, [example.path for example in examples]
    for params in runs:
        if params.features not in found:
            found[params.features], problems = inspect(paths, params)
            for _, problem in problems:
                print_line(f"  problem: {problem}")
    examples = [e for e in examples if all(e.path in videos for videos in found.values())]
    if not examples:
        raise ValueError("None of the videos can be read; see the problems above.")
    each = [[found[params.features][e.path] for e in examples] for params in runs]
    return examples, each


def predict_run(run, plan, labeling, videos):
    """Return the probabilities (videos, outputs) of a run's best checkpoint."""
    params = plan.params
    network = load_network(run)
    frozen, model = open_parts(plan, network, choose_runtime(params), run=run)
    source = open_source(plan, network, frozen)
    views = (params.eval_clips, params.eval_crops)
    return predict_videos(model, source, videos, views, params.batch_size, labeling)


def check_fusible(runs):
    """Raise a ValueError unless two runs {folder: `Plan`} were trained for and on the same."""
    kinds = []
    for run, plan in runs.items():
        own, classes = load_data(run)
        videos = sorted((os.path.realpath(e.path), e.label, e.split) for e in own)
        kinds.append(
            {"videos or splits": videos, "classes": classes, "activations": plan.params.activation}
        )
    for what, first in kinds[0].items():
        if first != kinds[1][what]:
            raise ValueError(
                f"{' and '.join(map(str, runs))} differ in their {what}. Train both on the "
                "same data with the same seed. Otherwise one would be scored on videos "
                "that the other was trained on."
            )


class Fused(NamedTuple):
    """What two runs say of videos together.

    Attributes:
        probabilities: (videos, outputs), fused.
        alone: of each run.
        thresholds: one an output, or empty for 0.5.
        weight: of the second run.
    """

    probabilities: np.ndarray
    alone: list
    thresholds: Sequence
    weight: float


def predict_fused(runs, labeling, examples, videos, weight=None):
    """Fuse two runs, by a weight given or chosen on their validation videos.

    Args:
        runs: {folder: `Plan`}.
        labeling: a key of `LABELINGS`.
        examples: the runs' own, and their classes.
        videos: for each run, those to score.
        weight: of the second run, from 0 to 1; None to choose it, and thresholds.

    Returns:
        `Fused`.
    """
    if weight is not None:
        alone = [
            predict_run(run, plan, labeling, each)
            for (run, plan), each in zip(runs.items(), videos, strict=True)
        ]
        return Fused(fuse_logits(labeling, *alone, weight), alone, (), weight)
    own, classes = examples
    chosen, known = inspect_examples(
        select_split(own, "val"), [plan.params for plan in runs.values()]
    )
    targets = encode_targets(labeling, chosen, classes)
    every = [first + rest for first, rest in zip(known, videos, strict=True)]
    both = [
        predict_run(run, plan, labeling, each)
        for (run, plan), each in zip(runs.items(), every, strict=True)
    ]
    seen = [probabilities[: len(chosen)] for probabilities in both]
    alone = [probabilities[len(chosen) :] for probabilities in both]
    weight = choose_weight(labeling, targets, *seen)
    thresholds = choose_thresholds(labeling, targets, fuse_logits(labeling, *seen, weight))
    return Fused(fuse_logits(labeling, *alone, weight), alone, thresholds, weight)


def _name_videos(examples, own):
    """Return the scored videos' whole paths, and {whole path: split} of the run's own examples."""
    known = {os.path.realpath(each.path): each.split for each in own}
    return [os.path.realpath(each.path) for each in examples], known


def score_videos(options):
    """Score a classifier's best checkpoint, or two fused; their folders are all that is needed.

    Args:
        options: `tasks.options.EvaluationOptions`.

    Returns:
        The report that is written to report.json.

    Raises:
        ValueError: no run, no such split, labels that the run does not know, or nothing readable.
    """
    runs, data_path = options.runs, options.data_path
    run = runs[0]
    own, classes = load_data(run)
    examples, split = choose_examples(own, find_split(options.split), data_path)
    given = {name: getattr(options, name) for name in _GIVEN}
    if data_path and not options.features:
        given["features"] = own_features([e.path for e in examples], data_path)
    plans = {folder: make_plan(load_changed(folder, **given)) for folder in runs}
    if options.fuse:
        check_fusible(plans)
    params = plans[run].params
    labeling = choose_labeling(params.activation, own, classes)
    thresholds = load_thresholds(run / "thresholds.json", labeling, classes)
    encode_targets(labeling, examples, classes)  # refuses labels that the run cannot score
    examples, videos = inspect_examples(examples, [plan.params for plan in plans.values()])
    targets = encode_targets(labeling, examples, classes)
    folder = evaluation_folder(run, split, data_path, options.features)
    if options.fuse:
        folder = folder.with_name(f"{folder.name}-fused-{runs[1].name}")
        fused = predict_fused(plans, labeling, (own, classes), videos, options.fusion_weight)
        probabilities, thresholds = fused.probabilities, fused.thresholds
        weights = {str(run): round(1 - fused.weight, 2), str(runs[1]): fused.weight}
        fusion = {"weights": weights}
        for name, row in zip(runs, fused.alone, strict=True):
            score = format_summary(score_classes(labeling, targets, row, classes))
            print_line(f"{name} alone, weight {weights[str(name)]:.2f}: {score}")
    else:
        probabilities, fusion = predict_run(run, plans[run], labeling, videos[0]), {}
    report = score_classes(labeling, targets, probabilities, classes, thresholds) | fusion
    scored = Scored(examples, targets, probabilities)
    names = save_evaluation(folder, report, scored, runs, list_flags(options))
    views = f"{params.eval_clips} x {params.eval_crops} views a video"
    print_line(f"{split}, {views}:", *format_report(report).split("\n"))
    chosen = ["the best epoch", *(["the thresholds"] if report["thresholds"] else [])]
    if options.fuse and options.fusion_weight is None:
        chosen.append("the fusion weights")
    for sentence in (
        *say_optimism(*_name_videos(examples, own), "videos", " and ".join(chosen)),
        *say_all(report, split, data_path or params.data_path),
    ):
        print_line(sentence)
    print_line(f"Written to {folder}: {', '.join(names)}")
    return report
