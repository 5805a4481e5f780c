"""How time and memory grow with the number of videos, as a picture."""

from utils.pictures.saving import save_figure

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter


def plot_scaling(rows, path):
    """Draw seconds and GiB over the number of videos, both axes logarithmic.

    Args:
        rows: list of dicts: "name" (what was done), "videos", "unit" ("s" or "GiB"), "value".
        path: of the PNG.
    """
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    panels = {"s": "seconds", "GiB": "peak memory of the process, GiB"}
    for axis, (unit, label) in zip(axes, panels.items(), strict=True):
        shown = [row for row in rows if row["unit"] == unit]
        for name in dict.fromkeys(row["name"] for row in shown):
            points = [(row["videos"], row["value"]) for row in shown if row["name"] == name]
            axis.plot(*zip(*points, strict=True), marker="o", label=name)
        axis.set(xscale="log", yscale="log" if unit == "s" else "linear")
        axis.set(xlabel="videos", ylabel=label)
        for each in (axis.xaxis, axis.yaxis):
            each.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,g}"))
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    axes[1].set_ylim(0, 1.2 * axes[1].get_ylim()[1])
    save_figure(figure, path)
