"""Figures as PNG, drawn without a screen."""

import os
from io import BytesIO
from textwrap import fill

from utils.pictures.lettering import spell  # sets the fonts of all figures, too
from utils.system.files import atomic_path

import matplotlib
import matplotlib.pyplot as plt
from PIL import Image

if "MPLBACKEND" not in os.environ:  # which a notebook sets, to show figures
    matplotlib.use("Agg")

_LETTERS = 12  # of a title in an inch


def name_scope(run, split, count, unit="video"):
    """Say what a picture is of: the run, the split and how many videos, or what else is counted."""
    return f"{run}, {split}, {count} {unit}{'s' * (count != 1)}"


def name_splits(run, members, unit):
    """Say what a picture of a training is of: the run, and how many of what each split has.

    Args:
        run: its name.
        members: {split: list of its examples}.
        unit: what they are, such as "videos".
    """
    counts = ", ".join(f"{len(each)} {split}" for split, each in members.items() if each)
    return f"{run}, {unit}: {counts}"


def write_title(figure, text):
    """Write over a figure what it is of, in as many lines as that takes."""
    figure.suptitle(fill(spell(text), int(_LETTERS * figure.get_figwidth())), fontsize=10)


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


def encode_frame(frame):
    """Return the bytes of a JPEG of a frame, uint8 RGB (height, width, 3)."""
    file = BytesIO()
    Image.fromarray(frame).save(file, format="jpeg", quality=80)
    return file.getvalue()
