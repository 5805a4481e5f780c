"""Scores of a classifier, from arrays; `labeling`: a key of `utils.scores.labelings.LABELINGS`."""

from utils.scores.labelings import TOP
from utils.system.words import escape

import numpy as np

# Labeling: function (probabilities (videos, outputs), thresholds) -> bool (videos, classes).
DECISIONS = {
    "single": lambda probabilities, _: np.eye(probabilities.shape[1], dtype=bool)[
        probabilities.argmax(1)
    ],
    "binary": lambda probabilities, thresholds: (probabilities >= thresholds) == [False, True],
    "multi": lambda probabilities, thresholds: probabilities >= thresholds,
}
# Labeling: the last line of its report, words and what they show.
SUMMARIES = {
    "single": {"top-1": "top1", "top-5": "top5"},
    "binary": {"accuracy": "accuracy"},
    "multi": {"all labels right": "subset_accuracy", "each label": "accuracy"},
}
_COLUMNS = ("precision", "recall", "f1", "average_precision", "roc_auc")


def decide_classes(labeling, probabilities, thresholds=()):
    """Return which classes are predicted, bool (videos, classes).

    Args:
        labeling: "single": the most probable; "binary": the second class from its threshold on,
            else the first; "multi": all from their thresholds on.
        probabilities: (videos, outputs).
        thresholds: one an output; empty for 0.5.
    """
    thresholds = np.asarray(thresholds if len(thresholds) else 0.5, float)
    return DECISIONS[labeling](np.asarray(probabilities), thresholds)


def spread_outputs(values, classes):
    """Return (videos, classes) from (videos, outputs); one output is the second class of two."""
    values = np.asarray(values, float)
    return values if values.shape[1] == len(classes) else np.hstack([1 - values, values])


def top_k(labels, probabilities, k):
    """Return the share of rows whose true class is among the k most probable."""
    # Of equal scores the first goes first, as in decisions; with top_k_accuracy_score the last.
    ranks = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float(np.mean(np.any(ranks == np.asarray(labels)[:, None], axis=1)))


def _score_class(truth, predicted, scores):
    """Return the row of one class, from its columns; null where a curve is undefined."""
    from sklearn.metrics import (  # slow, and predictions need none of it
        average_precision_score,
        precision_recall_fscore_support,
        roc_auc_score,
    )

    scored = precision_recall_fscore_support(truth, predicted, average="binary", zero_division=0)
    curves = truth.any(), truth.any() and not truth.all()
    return {
        **{name: float(value) for name, value in zip(_COLUMNS, scored[:3], strict=False)},
        "videos": int(truth.sum()),
        "average_precision": float(average_precision_score(truth, scores)) if curves[0] else None,
        "roc_auc": float(roc_auc_score(truth, scores)) if curves[1] else None,
    }


def score_classes(labeling, targets, probabilities, classes, thresholds=()):
    """Return a report of a classifier's predictions.

    Args:
        labeling: "single", "binary" or "multi".
        targets: (videos, outputs) of zeros and ones.
        probabilities: (videos, outputs).
        classes: names; with one output the negative and the positive.
        thresholds: one an output; empty for 0.5. "single" has none.

    Returns:
        A dict that JSON can hold: labeling, videos, thresholds, accuracy (of the labels, one by
        one), macro_f1 (over the classes that occur among labels or predictions),
        mean_average_precision (over those that occur among labels), and per_class {name:
        {precision, recall, f1, videos, average_precision, roc_auc}}, the last two None where
        undefined. Where one label is true also top1, top5 and confusion, rows true, columns
        predicted; for "multi" instead subset_accuracy, the share of videos with every label right.
    """
    predicted = decide_classes(labeling, probabilities, thresholds)
    truth, scores = spread_outputs(targets, classes) > 0.5, spread_outputs(probabilities, classes)
    per_class = {
        name: _score_class(truth[:, column], predicted[:, column], scores[:, column])
        for column, name in enumerate(classes)
    }
    f1, precisions = ([row[c] for row in per_class.values()] for c in ("f1", "average_precision"))
    whole = float(np.all(truth == predicted, axis=1).mean())
    report = {"labeling": labeling, "videos": len(truth), "thresholds": list(thresholds)}
    if labeling == "multi":
        report |= {"accuracy": float(np.mean(truth == predicted)), "subset_accuracy": whole}
    else:
        top5 = top_k(truth.argmax(1), scores, TOP)
        confusion = truth.T.astype(int) @ predicted
        report |= {"accuracy": whole, "top1": whole, "top5": top5, "confusion": confusion.tolist()}
    return report | {
        "macro_f1": float(np.mean(np.array(f1)[(truth | predicted).any(0)])),
        "mean_average_precision": float(np.mean([p for p in precisions if p is not None])),
        "per_class": per_class,
    }


def format_summary(report):
    """Return the numbers of a report of `score_classes` that are over all classes, as a line.

    Top-5 is left out of five classes or fewer, where it is always 1.
    """
    summary = SUMMARIES[report["labeling"]]
    summary = summary | {"macro F1": "macro_f1", "mAP": "mean_average_precision"}
    shown = (
        f"{words} {report[key]:.3f}"
        for words, key in summary.items()
        if key != "top5" or len(report["per_class"]) > TOP
    )
    scores = "  ".join(shown)
    return f"{scores}  on {report['videos']} videos"


def format_report(report):
    """Return a report of `score_classes` as a table for the screen."""
    rows = {escape(name): row for name, row in report["per_class"].items()}
    width = max(len("class"), *map(len, rows))
    lines = [f"{'class':<{width}}  precision  recall     F1     AP  ROC AUC  videos"]
    for name, row in rows.items():
        cells = zip((9, 6, 5, 5, 7), (row[column] for column in _COLUMNS), strict=True)
        numbers = (f"{'-' if x is None else f'{x:.3f}':>{size}}" for size, x in cells)
        lines.append(f"{name:<{width}}  {'  '.join(numbers)}  {row['videos']:6d}")
    return "\n".join([*lines, format_summary(report)])
