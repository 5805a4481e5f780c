"""Scores of a classifier, from arrays."""

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support


def top_k(labels, probabilities, k):
    """Return the share of rows whose true class is among the k most probable."""
    ranks = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float(np.mean(np.any(ranks == np.asarray(labels)[:, None], axis=1)))


def score_classes(labels, probabilities, classes):
    """Return a report of a classifier's predictions.

    Args:
        labels: (videos,) true classes as numbers.
        probabilities: (videos, classes).
        classes: class names.

    Returns:
        A dict that JSON can hold: videos, top1, top5, macro_f1 (over the classes that occur
        among labels or predictions), per_class {name: {precision, recall, f1, videos}}, and
        confusion, rows true, columns predicted.
    """
    predicted = probabilities.argmax(1)
    numbers = np.arange(len(classes))
    columns = precision_recall_fscore_support(labels, predicted, labels=numbers, zero_division=0)
    occurring = np.union1d(labels, predicted)
    names = ("precision", "recall", "f1", "videos")
    per_class = {
        name: {column: float(values[row]) for column, values in zip(names, columns, strict=True)}
        for row, name in enumerate(classes)
    }
    return {
        "videos": len(labels),
        "top1": top_k(labels, probabilities, 1),
        "top5": top_k(labels, probabilities, 5),
        "macro_f1": float(np.mean(columns[2][occurring])),
        "per_class": per_class,
        "confusion": confusion_matrix(labels, predicted, labels=numbers).tolist(),
    }


def format_report(report):
    """Return a report of `score_classes` as a table for the screen."""
    width = max(len("class"), *(len(name) for name in report["per_class"]))
    lines = [f"{'class':<{width}}  precision  recall     F1  videos"]
    for name, row in report["per_class"].items():
        lines.append(
            f"{name:<{width}}  {row['precision']:9.3f}  {row['recall']:6.3f}  {row['f1']:5.3f}"
            f"  {row['videos']:6.0f}"
        )
    lines.append(
        f"top-1 {report['top1']:.3f}  top-5 {report['top5']:.3f}  "
        f"macro F1 {report['macro_f1']:.3f}  on {report['videos']} videos"
    )
    return "\n".join(lines)
