"""Texts for the screen: lists in sentences, and names from files, which may hold anything."""

import re

# What moves the cursor, begins a line or turns the direction of writing.
_STEERING = re.compile(r"[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def escape(text):
    r"""Return a text as one line that steers no screen: with \n, \x1b or \u202e for what would."""
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], str(text))


def print_line(*lines, **options):
    """Print lines, each as `escape` gives it; options as in `print`."""
    print("\n".join(map(escape, lines)), **options)


def list_some(names, most=5):
    """Return the first names, separated by commas, and how many more there are."""
    names = list(map(str, names))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
