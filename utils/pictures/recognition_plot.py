"""How a recognizer learns, as a picture: errors, collapse, and which glosses when."""

from itertools import groupby

from utils.pictures.lettering import spell
from utils.pictures.saving import save_figure, write_title

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch

_NAMED = 36  # glosses with a row of their own; others share rows
_LETTERS = 20  # of a gloss
_LEGEND = 11  # glosses of a sentence that it names
_SIZE = 8  # of letters, in points
_WIDTH, _DPI = 5.6, 250  # inches, pixels an inch: to be read at 420 pixels, too
_SHARES = {"blanks": "C7", "empty": "C0", "glosses": "C2", "top_gloss": "C3"}  # and their colors


def _shorten(name):
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS - 3]}..."


def list_rows(table, recalls):
    """Return the rows of a map of recalls: the most frequent glosses, then bands of the others.

    A band has the glosses that are in training once, 2 or 3 times, 4 to 7 times and so on, and the
    recall of all their occurrences on dev.

    Args:
        table: `utils.signing.recall.RecallTable`.
        recalls: float (glosses, epochs), of its `stack`.

    Returns:
        (names, float (rows, epochs)).
    """
    glosses, train = table.glosses, table.train
    names = [f"{_shorten(spell(gloss))} ({train[gloss]})" for gloss in glosses[:_NAMED]]
    rows = [*recalls[:_NAMED]]
    others = range(len(rows), len(glosses))
    for _, band in groupby(others, lambda place: train[glosses[place]].bit_length()):
        places = [*band]
        most, least = (train[glosses[place]] for place in (places[0], places[-1]))
        counts = f"{least} to {most}" if most > least else f"{most}"
        names.append(f"{len(places)} others ({counts})")
        weights = [table.dev[glosses[place]] for place in places]
        rows.append(np.average(recalls[places], axis=0, weights=weights))
    return names, np.array(rows)


def _draw_lines(axis, history, lines):
    """Draw columns of a history: [(column, label, color, style)]."""
    epochs = [row["epoch"] for row in history]
    marker = "." if len(epochs) < 50 else ""
    for column, label, color, style in lines:
        values = [row.get(column, np.nan) for row in history]  # what older versions lack
        axis.plot(epochs, values, style, color=color, label=label, marker=marker, markersize=4)


def _draw_errors(axis, history):
    _draw_lines(axis, history, [("val_wer", "WER", "C3", "-")])
    axis.set(ylabel="WER on dev in %", ylim=(0, None))
    loss = axis.twinx()
    lines = ("loss", "loss, training", "C0", "--"), ("val_loss", "loss, dev", "C0", "-")
    _draw_lines(loss, history, lines)
    loss.set(ylabel="loss", ylim=(0, None))
    loss.yaxis.label.set_color("C0")
    axis.yaxis.label.set_color("C3")
    return axis.lines + loss.lines


def _draw_shares(axis, history):
    for name, color in _SHARES.items():
        _draw_lines(axis, history, [(f"val_{name}", name.replace("_", " "), color, "-")])
    lines = [*axis.lines, *axis.plot([], [], ":", color="black", label="of the references")]
    for name, color in _SHARES.items():
        if (reference := history[-1].get(f"val_{name}_reference")) is not None:
            axis.axhline(reference, color=color, linestyle=":")
    axis.set(ylabel="share on dev", ylim=(-0.03, max(1.03, axis.get_ylim()[1])))
    return lines


def _draw_recalls(figure, axis, names, recalls, epochs):
    extent = epochs[0] - 0.5, epochs[-1] + 0.5, len(names) - 0.5, -0.5
    how = {"aspect": "auto", "interpolation": "nearest", "cmap": "Blues", "vmin": 0, "vmax": 1}
    image = axis.imshow(recalls, extent=extent, **how)
    axis.set_facecolor("0.85")  # of epochs that were not measured
    axis.set_yticks(range(len(names)), names)
    axis.set_title("Glosses (and how often they are in training)", fontsize=_SIZE, loc="left")
    bar = figure.colorbar(image, ax=axis, orientation="horizontal", aspect=40, pad=0.01)
    bar.set_label("recall: share of the gloss on dev that is recognized", fontsize=_SIZE)
    bar.ax.tick_params(labelsize=_SIZE)


def _draw_path(axis, steps, epochs):
    """Draw what each step of a sentence says after each epoch; return the legend's handles."""
    glosses = list(dict.fromkeys(steps.glosses))
    colors = {"": "white"} | {g: f"C{place % 10}" for place, g in enumerate(glosses)}
    said = steps.stack(epochs)
    cells = [
        [to_rgb("0.85" if each is None else colors.get(each, "0.45")) for each in row]
        for row in said
    ]
    extent = epochs[0] - 0.5, epochs[-1] + 0.5, len(cells) - 0.5, -0.5
    if cells:
        axis.imshow(cells, aspect="auto", interpolation="nearest", extent=extent)
    axis.set(ylabel="step")
    shown = [(spell(gloss), colors[gloss]) for gloss in glosses[:_LEGEND]]
    kinds = [*((_shorten(name), color) for name, color in shown), ("another gloss", "0.45")]
    return [Patch(facecolor=color, label=name) for name, color in kinds]


def plot_recognition(history, table, steps, path, title):
    """Draw how a recognizer learns: WER and loss, shares of its answers, the recall of each gloss.

    Args:
        history: list of one dict an epoch, as `SaveRun` keeps it.
        table: `utils.signing.recall.RecallTable` of it.
        steps: `utils.signing.recall.PathTable` of it.
        path: of the PNG.
        title: over all.
    """
    epochs = [row["epoch"] for row in history]
    names, recalls = list_rows(table, table.stack(epochs))
    heights = 1.8, 1.8, 1.8, 0.7 + 0.15 * len(names)
    figure, axes = plt.subplots(
        4,
        figsize=(_WIDTH, sum(heights) + 3),
        layout="constrained",
        height_ratios=heights,
    )
    write_title(figure, title)
    for axis, draw in zip(axes, (_draw_errors, _draw_shares), strict=False):
        lines = draw(axis, history)
        place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 3, "frameon": False}
        axis.legend(handles=lines, fontsize=_SIZE, borderpad=0.1, **place)
        axis.grid(alpha=0.3)
    handles = _draw_path(axes[2], steps, epochs)
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 4, "frameon": False}
    heading = f"What each step of sentence {spell(steps.sentence.id)} says; white is the blank"
    axes[2].legend(
        handles=handles, title=heading, title_fontsize=_SIZE, fontsize=_SIZE, borderpad=0.1, **place
    )
    _draw_recalls(figure, axes[3], names, recalls, epochs)
    for axis in axes:
        axis.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
        axis.set_xlabel("epoch", fontsize=_SIZE)
        axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    for axis in figure.axes:
        axis.tick_params(labelsize=_SIZE)
        axis.yaxis.label.set_size(_SIZE)
    save_figure(figure, path, _DPI)
