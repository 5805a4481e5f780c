"""Pictures of a run, from arrays."""

from utils.pictures.lettering import spell
from utils.pictures.saving import save_figure, write_title

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import LogFormatter
from sklearn.metrics import auc, roc_curve


def find_score(history):
    """Return the score that counts in a history: average_precision, wer or accuracy.

    Args:
        history: list of one dict an epoch, as `SaveRun` keeps it.
    """
    known = {name.removeprefix("val_") for name in history[0]}
    return next((s for s in ("average_precision", "wer") if s in known), "accuracy")


def _use_log(axis):
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(LogFormatter())
    axis.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.4)))


def plot_history(history, path, title):
    """Draw loss, accuracy (or average precision, or WER) and learning rate over the epochs.

    Args:
        history: list of one dict an epoch, as `SaveRun` keeps it.
        path: of the PNG.
        title: over all.
    """
    epochs = [row["epoch"] for row in history]
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    score = find_score(history)
    for axis, name in zip(axes, ("loss", score, "learning_rate"), strict=True):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            if key in history[0]:
                axis.plot(epochs, [row[key] for row in history], marker=".", label=label)
        axis.set(title=name.replace("_", " "), xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
    write_title(figure, title)
    axes[0].legend()
    axes[1].set_ylim(0, None if score == "wer" else 1.02)
    if any(row["learning_rate"] for row in history):
        _use_log(axes[2])
    save_figure(figure, path, tight=True)


def plot_runs(histories, path):
    """Draw the curves of several runs side by side, validation solid, training dashed.

    Args:
        histories: {name, and what it was validated on: history, as `plot_history` takes it}.
        path: of the PNG.
    """
    scores = {name: find_score(history) for name, history in histories.items()}
    shown = ("loss", *dict.fromkeys(scores.values()), "learning_rate")
    size = (4.2 * len(shown), max(4, 0.17 * len(histories)))
    figure, axes = plt.subplots(1, len(shown), figsize=size, layout="constrained")
    write_title(figure, f"runs: {len(histories)}; scores of training and validation")
    several = plt.cm.turbo(np.linspace(0.05, 0.95, len(histories)))
    colors = plt.cm.tab10.colors if len(histories) <= 10 else several
    for color, (name, history) in zip(colors, histories.items(), strict=False):
        for axis, key in zip(axes, shown, strict=True):
            lines = [(key, "-" if key == "learning_rate" else "--"), (f"val_{key}", "-")]
            for column, style in lines if key in ("loss", scores[name], "learning_rate") else ():
                points = [(row["epoch"], row[column]) for row in history if column in row]
                if points:
                    how = {"marker": ".", "markersize": 3, "linewidth": 1, "color": color}
                    axis.plot(*zip(*points, strict=True), style, **how)
        axes[-1].plot([], [], color=color, label=spell(name))
    for axis, key in zip(axes, shown, strict=True):
        axis.set(title=key.replace("_", " "), xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
    for style, label in (("-", "validation"), ("--", "training")):
        axes[-1].plot([], [], style, color="gray", label=label)
    _use_log(axes[-1])
    axes[-1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8)
    save_figure(figure, path, tight=True)


def plot_confusion(confusion, classes, path, title):
    """Draw a confusion matrix, rows normalized, counts written where there is room.

    Args:
        confusion: (classes, classes) counts, rows true, columns predicted.
        classes: names.
        path: of the PNG.
        title: over all.
    """
    confusion = np.asarray(confusion)
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    size = min(max(4.0, 0.45 * len(classes) + 2), 40)
    figure, axis = plt.subplots(figsize=(size + 1, size), layout="constrained")
    write_title(figure, title)
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axis, label="share of the true class", shrink=0.8)
    names = list(map(spell, classes))
    axis.set_xticks(range(len(names)), names, rotation=90)
    axis.set_yticks(range(len(names)), names)
    axis.set(xlabel="predicted", ylabel="true")
    if len(classes) <= 40:
        for row, column in np.argwhere(confusion):
            color = "white" if shares[row, column] > 0.5 else "black"
            axis.text(column, row, confusion[row, column], ha="center", va="center", color=color)
    save_figure(figure, path, tight=True)


def plot_classes(per_class, path, title):
    """Draw precision, recall and F1 of each class as bars.

    Args:
        per_class: of a report of `score_classes`.
        path: of the PNG.
        title: over all.
    """
    names = list(per_class)
    figure, axis = plt.subplots(figsize=(7, min(1.5 + 0.5 * len(names), 60)), layout="constrained")
    write_title(figure, title)
    places = np.arange(len(names))
    for offset, column in enumerate(("precision", "recall", "f1")):
        values = [per_class[name][column] for name in names]
        axis.barh(places + 0.27 * (offset - 1), values, height=0.25, label=column)
    axis.set_yticks(places, map(spell, names))
    axis.invert_yaxis()
    axis.set_xlim(0, 1)
    axis.grid(axis="x", alpha=0.3)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    save_figure(figure, path, tight=True)


def plot_roc(targets, probabilities, classes, path, title, named=10):
    """Draw the ROC curve of each class that has positives and negatives, and their mean.

    Args:
        targets: (videos, outputs) of zeros and ones.
        probabilities: (videos, outputs).
        classes: names; with one output the last one is meant.
        path: of the PNG.
        title: over all.
        named: classes that get a color and a name, those with the lowest areas first.
    """
    truth = np.asarray(targets).T > 0.5
    grid, curves = np.linspace(0, 1, 201), []
    for name, true, scores in zip(classes[-len(truth) :], truth, probabilities.T, strict=True):
        if true.any() and not true.all():
            false_rate, true_rate, _ = roc_curve(true, scores)
            curves.append((auc(false_rate, true_rate), name, false_rate, true_rate))
    curves.sort(key=lambda curve: curve[0])
    figure, axis = plt.subplots(figsize=(8, 5), layout="constrained")
    write_title(figure, title)
    axis.plot([0, 1], [0, 1], color="gray", linestyle=":", label="chance 0.500")
    for place, (area, name, *rates) in enumerate(curves):
        shown = (
            {"label": f"{spell(name)} {area:.3f}"}
            if place < named
            else {"color": "0.85", "zorder": 1}
        )
        axis.plot(*rates, linewidth=1.2, **shown)
    if len(curves) > 1:
        mean = np.mean([np.interp(grid, *rates) for _, _, *rates in curves], axis=0)
        area = np.mean([curve[0] for curve in curves])
        axis.plot([0, *grid], [0, *mean], color="black", linewidth=2.5, label=f"mean {area:.3f}")
    axis.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    legend = "area under the curve"
    if len(curves) > named:
        legend += f",\nlowest {named} of {len(curves)} classes"
    axis.legend(title=legend, loc="center left", bbox_to_anchor=(1.02, 0.5))
    axis.grid(alpha=0.3)
    save_figure(figure, path, tight=True)


def plot_comparison(cells, vary, path, title):
    """Draw the scores of each value and dataset as bars, seeds as dots, chance as a line.

    Args:
        cells: {value: {data: {"score": its name, "seeds": scores, "mean", "chance": None for a
            WER}}}.
        vary: what the values are of.
        path: of the PNG.
        title: over all.
    """
    names = list(next(iter(cells.values())))
    width = 0.8 / len(names)
    letters = max(map(len, cells))  # a value may be a folder's name
    size = (max(5, len(cells) * max(1.2 * len(names), 0.11 * min(letters, 20))), 4)
    figure, axis = plt.subplots(figsize=size, layout="constrained")
    write_title(figure, title)
    chance = None
    for column, name in enumerate(names):
        places = np.arange(len(cells)) + (column - (len(names) - 1) / 2) * width
        found = [row[name] for row in cells.values()]
        bars = axis.bar(places, [cell["mean"] for cell in found], 0.9 * width, label=spell(name))
        for place, cell, bar in zip(places, found, bars, strict=True):
            axis.plot([place] * len(cell["seeds"]), cell["seeds"], "k.", markersize=5)
            left, right = bar.get_x(), bar.get_x() + bar.get_width()
            if cell["chance"] is not None:
                chance = axis.hlines(cell["chance"], left, right, "k", "--")
    if chance:
        chance.set_label("chance")
    turned = {"rotation": 20, "ha": "right"} if letters > 20 else {}
    axis.set_xticks(range(len(cells)), map(spell, cells), **turned)
    top = 1.02 if chance else None  # a WER in percent, which may be above 100
    score = {"val_wer": "WER on dev in %"}.get(found[0]["score"])
    axis.set(xlabel=vary, ylabel=score or found[0]["score"].replace("_", " "), ylim=(0, top))
    if chance or len(names) > 1:
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1))
    axis.grid(axis="y", alpha=0.3)
    axis.set_axisbelow(True)
    save_figure(figure, path, tight=True)


def plot_by_number(curves, path, title):
    """Draw WER over the number of training sentences: means as lines, seeds as dots.

    Args:
        curves: {name: {sentences: [WER in percent, one a seed]}}.
        path: of the PNG.
        title: over all.
    """
    figure, axis = plt.subplots(figsize=(7, 4.5), layout="constrained")
    write_title(figure, title)
    for name, curve in curves.items():
        counts = list(curve)
        means = [np.mean(scores) for scores in curve.values()]
        (line,) = axis.plot(counts, means, marker="o", markersize=4, label=spell(name))
        for count, scores in curve.items():
            axis.plot([count] * len(scores), scores, ".", color=line.get_color(), alpha=0.4)
    axis.set_xscale("log")
    axis.set_xticks(counts, [f"{count:,}" for count in counts])
    axis.minorticks_off()
    axis.set(xlabel="training sentences", ylabel="WER in %", ylim=(0, None))
    axis.grid(alpha=0.3)
    axis.legend()
    save_figure(figure, path)
