"""Figures as PNG, drawn without a screen."""

import os
from io import BytesIO

from utils.pictures import lettering  # noqa: F401 (the fonts of all figures)
from utils.system.files import atomic_path

import matplotlib
import matplotlib.pyplot as plt

if "MPLBACKEND" not in os.environ:  # which a notebook sets, to show figures
    matplotlib.use("Agg")


def save_figure(figure, path, dpi=120, tight=False):
    """Write a figure to a PNG, whole or not at all, and close it.

    Args:
        figure: of matplotlib.
        path: of the file.
        dpi: pixels an inch.
        tight: whether the picture grows or shrinks to what is drawn.
    """
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=dpi, bbox_inches="tight" if tight else None)
    plt.close(figure)


def encode_figure(figure, dpi=100):
    """Return a figure as the bytes of a PNG of so many pixels an inch, and close it."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    plt.close(figure)
    return file.getvalue()
