"""Glosses over time: when each is signed, drawn with probabilities and a frame of the video."""

from typing import NamedTuple

from utils.pictures.lettering import spell
from utils.pictures.saving import save_figure, write_title
from utils.system.tables import write_csv

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import ConnectionPatch

_BLANK = "no gloss"


class Span(NamedTuple):
    """A gloss, its beginning and end in seconds, and its mean probability in between."""

    gloss: str
    start: float
    end: float
    probability: float

    @property
    def middle(self):
        """Seconds."""
        return (self.start + self.end) / 2


def save_spans(path, rows):
    """Write a line a gloss: which row it is of, the gloss, from when to when, its probability.

    Args:
        path: of the CSV.
        rows: {name: list of `Span`}.
    """
    lines = (
        (name, span.gloss, f"{span.start:.3f}", f"{span.end:.3f}", f"{span.probability:.4f}")
        for name, spans in rows.items()
        for span in spans
    )
    write_csv(path, ("row", "gloss", "start", "end", "probability"), lines)


def _draw_frames(axis, below, spans, frames, colors):
    """Draw a frame for each gloss side by side, and a line from it to its time in `below`."""
    height = 0.92 * frames[0].shape[0] / frames[0].shape[1]
    for place, (span, frame) in enumerate(zip(spans, frames, strict=True)):
        axis.imshow(frame, extent=(place + 0.04, place + 0.96, 0, height))
        axis.text(
            place + 0.5, 1.04 * height, spell(span.gloss), ha="center", fontsize=8, rotation=20
        )
        line = ConnectionPatch(
            (place + 0.5, 0),
            (span.middle, 1),
            axis.transData,
            below.get_xaxis_transform(),
            color=colors[span.gloss],
        )
        line.set_in_layout(False)
        axis.figure.add_artist(line)
    axis.set(xlim=(0, max(len(spans), 5)), ylim=(0, 1.4 * height), aspect="equal")
    axis.axis("off")


def _draw_rows(axis, rows, colors):
    for place, spans in enumerate(rows.values()):
        for span in spans:
            width, style = span.end - span.start, {"fontsize": 8, "rotation_mode": "anchor"}
            axis.barh(place, width, left=span.start, height=0.4, color=colors[span.gloss])
            axis.text(span.start, place - 0.25, spell(span.gloss), rotation=25, **style)
    axis.set_yticks(range(len(rows)), list(rows))
    axis.set(ylim=(len(rows) - 0.6, -0.95), xlabel="seconds")
    axis.grid(axis="x", alpha=0.3)


def plot_alignment(path, edges, curves, rows, frames, title):
    """Draw the probability of each gloss over time, and when each is signed.

    Args:
        path: of the PNG.
        edges: (steps + 1,) seconds, where the steps begin and end.
        curves: {gloss: (steps,) probabilities}; "" for the blank.
        rows: {name: list of `Span`}, whose glosses are all in `curves`.
        frames: uint8 (height, width, 3) for each gloss of the first row; empty for none.
        title: over all.
    """
    first = next(iter(rows.values()))
    colors = {gloss: plt.get_cmap("tab20")(i % 20) for i, gloss in enumerate(filter(None, curves))}
    heights = [1.9] * bool(len(frames)) + [1.7, 0.4 + 0.8 * len(rows)]
    width = np.clip(1.1 * max(map(len, rows.values())) + 2, 8, 30)
    figure, axes = plt.subplots(
        len(heights), 1, figsize=(width, 0.6 + sum(heights)), height_ratios=heights,
        layout="constrained",
    )  # fmt: skip
    write_title(figure, title)
    *above, curved, barred = axes
    for gloss, values in curves.items():
        style = {"color": colors[gloss]} if gloss else {"color": "0.6", "linestyle": ":"}
        curved.stairs(values, edges, baseline=None, label=spell(gloss or _BLANK), **style)
    curved.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.02), ylabel="probability")
    curved.grid(alpha=0.3)
    place = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
    curved.legend(fontsize=7, ncols=1 + len(curves) // 12, **place)
    barred.sharex(curved)
    _draw_rows(barred, rows, colors)
    for axis in above:
        _draw_frames(axis, curved, first, frames, colors)
    save_figure(figure, path, dpi=110)
