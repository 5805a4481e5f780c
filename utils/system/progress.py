"""Progress of long work: a bar on a terminal, elsewhere a plain line every so often."""

import sys

from utils.system.words import escape, print_line

from tqdm import tqdm

_PAUSE = 20.0  # seconds from one plain line to the next
_PLAIN = "{desc}: {n_fmt} of {total_fmt}, {remaining} left{postfix}"
# Where parts of items count.
_PARTS = "{desc}: {n:.1f} of {total_fmt} {unit}s, {remaining} left{postfix}"
_PARTS_BAR = "{l_bar}{bar}| {n:.1f}/{total_fmt} [{elapsed}<{remaining}{postfix}]"


def format_seconds(seconds):
    """Return a time as text: "4.29 s", or from a minute on "01:15"."""
    return f"{seconds:.3g} s" if seconds < 60 else tqdm.format_interval(round(seconds))


class _Lines:
    """A file for tqdm, which writes each text over the last one: here each new one is a line."""

    def __init__(self, screen):
        self.screen, self.last = screen, ""

    def write(self, text):
        """Print a text, unless it is empty or the last one again."""
        if (line := text.strip()) not in ("", self.last):
            print_line(line, file=self.screen, flush=True)
            self.last = line

    def flush(self):
        """Do nothing: lines are flushed as they are printed."""


def show_progress(title, unit, items=None, total=None, parts=False):
    """Show on stderr how far long work is, as tqdm does.

    On a terminal it is a bar, which is gone when the work is done. In a file, a pipe or a notebook
    it is a line every 20 seconds, such as "Checking videos: 120 of 500, 00:40 left"; work that
    takes less prints nothing. A single item is not counted.

    Args:
        title: what is done, such as "Checking videos".
        unit: one of what is counted, such as "video".
        items: iterable to go through; None: the caller counts by `update`.
        total: how many there are; None: as many as `items` has.
        parts: whether parts of items count, too: "3.4 of 30 videos". Then one item is counted.

    Returns:
        A `tqdm`: an iterable of the items, and a context that ends the bar.
    """
    if sys.stderr.isatty():
        style = {"file": sys.stderr, "leave": False, "dynamic_ncols": True, "smoothing": 0.1}
    else:
        pace = {"delay": _PAUSE, "mininterval": _PAUSE, "miniters": 0}
        style = {"file": _Lines(sys.stderr), "bar_format": _PLAIN, **pace}
    if parts:
        style["bar_format"] = _PARTS_BAR if sys.stderr.isatty() else _PARTS
    style["unit"] = unit
    total = len(items) if total is None else total
    return tqdm(items, escape(title), total, disable=total == 1 and not parts, **style)
