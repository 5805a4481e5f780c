"""Pictures of a dataset: how many videos each class has, of what kind, and how they differ."""

from collections import Counter

from utils.data.examples import SPLITS
from utils.dataset_report.facts import FORMATS, PROPERTIES, measure, members
from utils.pictures.lettering import spell
from utils.pictures.saving import encode_figure

import matplotlib.pyplot as plt
import numpy as np

_SHOWN = 40  # classes in one picture
_COLORS = {"train": "#3b6ea5", "val": "#e0a030", "test": "#5a9a5a", "": "#3b6ea5"}


def _classes_shown(records):
    counts = Counter(label for record in records for label in record.example.labels)
    names = [name for name, _ in sorted(counts.items(), key=lambda row: (-row[1], row[0]))]
    videos = f"{len(records)} videos"
    if len(names) <= _SHOWN:
        return names, videos
    half = _SHOWN // 2
    few = f"the {half} largest and {half} smallest of {len(names)} classes"
    return names[:half] + names[-half:], f"{videos}, {few}"


def _short(name, length=28):
    return spell(name if len(name) <= length else name[: length - 1] + "…")


def plot_classes(records):
    """Draw the videos of each class as bars, stacked by split."""
    names, note = _classes_shown(records)
    figure, axis = plt.subplots(figsize=(9, 1.3 + 0.3 * len(names)), layout="constrained")
    left = np.zeros(len(names))
    for split in ("", *SPLITS):
        counts = np.array(
            [
                sum(split == r.example.split and name in r.example.labels for r in records)
                for name in names
            ]
        )
        if counts.any():
            axis.barh(
                range(len(names)), counts, left=left, color=_COLORS[split], label=split or "videos"
            )
            left += counts
    for place, count in enumerate(left):
        axis.text(count, place, f" {count:.0f}", va="center", fontsize=9)
    axis.set_yticks(range(len(names)), [_short(name) for name in names])
    axis.invert_yaxis()
    axis.margins(x=0.1)
    axis.set(xlabel="videos", title=note)
    axis.spines[["top", "right"]].set_visible(False)
    if any(record.example.split for record in records):
        axis.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False)
    return figure


def plot_properties(records):
    """Draw each property's spread in each class as a box (quartiles; whiskers 5 and 95 %)."""
    names, note = _classes_shown(records)
    rows = -(-len(PROPERTIES) // 4)
    height = rows * (0.9 + 0.28 * len(names)) + 0.3
    figure, axes = plt.subplots(rows, 4, figsize=(13, height), sharey=True, layout="constrained")
    chosen = [members(records, name) for name in names]
    for axis, (title, (unit, _)) in zip(axes.flat, PROPERTIES.items(), strict=False):
        values = measure(records, title)
        axis.boxplot(
            [values[inside] for inside in chosen],
            orientation="horizontal",
            whis=(5, 95),
            widths=0.6,
            patch_artist=True,
            boxprops={"facecolor": "#c9d9ea", "edgecolor": "#3b6ea5"},
            medianprops={"color": "#b03030", "linewidth": 2},
            flierprops={"marker": ".", "markersize": 3, "markeredgecolor": "#888888"},
        )
        axis.set_yticks(range(1, len(names) + 1), [_short(name) for name in names])
        axis.set_title(title, fontsize=11)
        axis.set_xlabel(unit, fontsize=8.5)
        axis.set_xlim(left=0)
        axis.grid(axis="x", alpha=0.3)
    axes.flat[0].invert_yaxis()
    for axis in axes.flat[len(PROPERTIES) :]:
        axis.set_visible(False)
    figure.suptitle(note, fontsize=10)
    return figure


def plot_formats(records, most=10):
    """Draw how often each resolution, frame rate, codec and container is, by class where few."""
    names, note = _classes_shown(records)
    names = names if len(names) <= 6 else []
    figure, axes = plt.subplots(1, len(FORMATS), figsize=(13, 3.6), layout="constrained")
    figure.suptitle(note, fontsize=10)
    for axis, (title, of) in zip(axes, FORMATS.items(), strict=True):
        values = np.array([of(record) for record in records])
        common = [value for value, _ in Counter(values.tolist()).most_common(most)]
        left = np.zeros(len(common))
        for name in names or [None]:
            inside = members(records, name) if name else np.ones(len(records), bool)
            counts = [int(np.sum(inside & (values == value))) for value in common]
            axis.barh(range(len(common)), counts, left=left, label=_short(name or ""))
            left += counts
        axis.set_yticks(range(len(common)), map(spell, map(str, common)))
        axis.set_ylim(max(len(common), 8) - 0.5, -0.5)
        kinds = len(set(values.tolist()))
        axis.set_title(title if kinds <= most else f"{title}, {most} of {kinds}", fontsize=11)
        axis.set_xlabel("videos", fontsize=8.5)
        axis.spines[["top", "right"]].set_visible(False)
    if names:
        axes[-1].legend(loc="lower right", fontsize=9)
    return figure


def plot_appearance(records):
    """Draw brightness against motion, a point a video, colored by class."""
    names, note = _classes_shown(records)
    figure, axis = plt.subplots(figsize=(8, 4.6), layout="constrained")
    brightness, motion = measure(records, "brightness"), measure(records, "motion")
    colors = plt.get_cmap("tab10" if len(names) <= 10 else "turbo")
    for place, name in enumerate(names):
        inside = members(records, name)
        color = colors(place if len(names) <= 10 else place / (len(names) - 1))
        axis.scatter(
            brightness[inside], motion[inside], 18, color=color, alpha=0.7, label=_short(name, 20)
        )
    axis.set(xlabel=f"brightness ({PROPERTIES['brightness'][0]})", title=note)
    axis.set_ylabel(f"motion ({PROPERTIES['motion'][0]})")
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    columns = -(-len(names) // 20)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8, ncols=columns)
    return figure


# Picture: (its title, from records to a figure).
PLOTS = {
    "classes": ("Videos of each class", plot_classes),
    "properties": ("Properties of each class", plot_properties),
    "formats": ("Formats", plot_formats),
    "appearance": ("Brightness and motion", plot_appearance),
}


def draw_plots(records):
    """Return {name: PNG bytes} of all `PLOTS`."""
    return {name: encode_figure(draw(records)) for name, (_, draw) in PLOTS.items()}
