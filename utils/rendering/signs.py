"""The signs of the rendered signer: which way the hands go, where, and how they are held.

Points are (outwards, up, ahead) in half shoulder widths, heights of the shoulders above the hips,
and lengths of an arm; "outwards" is each hand's own side, so that one stroke with both hands is its
mirror image. These are no signs of any language: their meanings are made up.
"""

from typing import NamedTuple

import numpy as np

HANDSHAPES = {  # how far thumb, index, middle, ring and little finger are out; degrees between them
    "flat": (0.5, 1, 1, 1, 1, 2),
    "spread": (1, 1, 1, 1, 1, 16),
    "claw": (0.8, 0.55, 0.55, 0.55, 0.55, 16),
    "fist": (0, 0, 0, 0, 0, 2),
    "index": (0, 1, 0, 0, 0, 2),
    "vee": (0, 1, 1, 0, 0, 18),
    "ell": (1, 1, 0, 0, 0, 6),
    "horns": (1, 0, 0, 0, 1, 10),
    "ring": (0.5, 0.4, 1, 1, 1, 14),
    "round": (0.6, 0.45, 0.45, 0.45, 0.45, 1),
}
ORIENTATIONS = {  # where the fingers point, and the thumb's side of the hand
    "front": (0, 1, 0.15, -1, 0, 0),
    "self": (0, 1, 0.1, 1, 0, 0.1),
    "side": (0, 1, 0.3, 0, 0.1, -1),
    "in": (-1, 0.1, 0.2, 0, 1, 0),
    "flat": (-0.9, 0, 0.4, -0.2, 0.1, -1),
    "tray": (-0.8, -0.1, 0.5, 0.2, 0.1, 1),
    "up": (0.3, -0.2, 1, 1, 0.4, 0),
    "down": (-0.1, -0.5, 1, -1, 0.2, 0),
    "hang": (0, -1, 0.15, -1, 0, 0),
    "out": (1, 0.1, 0.4, 0, 1, 0),
}


class Stroke(NamedTuple):
    """What one hand does in a sign; each tuple is spread evenly over the time.

    Attributes:
        path: points of the wrist.
        shapes: keys of `HANDSHAPES`.
        orientations: keys of `ORIENTATIONS`.
    """

    path: tuple[tuple[float, float, float], ...]
    shapes: tuple[str, ...]
    orientations: tuple[str, ...]


def _circle(center, radius, points=9):
    turn = 2 * np.pi * np.arange(points) / (points - 1)
    across, up = radius * np.sin(turn), 0.45 * radius * np.cos(turn)
    return tuple((center[0] + x, center[1] + y, center[2]) for x, y in zip(across, up, strict=True))


def _stroke(shapes, orientations, *path):
    return Stroke(path, tuple(shapes.split()), tuple(orientations.split()))


IDLE = _stroke("round", "hang", (1.35, 0.3, 0.3))
READY = _stroke("round", "flat", (0.8, 0.62, 0.4))


def _one(*stroke):
    return _stroke(*stroke), IDLE


def _both(*stroke):
    return _stroke(*stroke), _stroke(*stroke)


def _turns(*stroke):
    """Both hands, the other one half a turn behind."""
    first = _stroke(*stroke)
    half = len(first.path) // 2
    return first, first._replace(path=(*first.path[half:], *first.path[1 : half + 1]))


def _sweep(*stroke):
    """Both hands side by side, the other one inwards when this one goes outwards."""
    first = _stroke(*stroke)
    return first, first._replace(path=tuple((0.9 - x, y, z) for x, y, z in first.path))


def _onto(base, *stroke):
    """One hand above the other, which keeps still, flat, at the point `base`."""
    return _stroke(*stroke), _stroke("flat", "tray", base)


SIGNS = {  # gloss: the strokes of the better hand and of the other one
    "__ON__": _both("round flat", "hang flat", (1.3, 0.2, 0.25), (0.8, 0.75, 0.45)),
    "__OFF__": _both("flat round", "flat hang", (0.8, 0.8, 0.45), (1.3, 0.15, 0.25)),
    "__PU__": _one("flat spread", "up up", (0.9, 0.8, 0.45), (1.6, 0.75, 0.5)),
    "ABER": _one("index", "front", (1.1, 1.35, 0.5), (1.8, 1.4, 0.5), (1.1, 1.35, 0.5)),
    "BERG": _both("flat", "side", (0.2, 1.85, 0.5), (0.2, 1.85, 0.5), (1.7, 1.1, 0.5)),
    "FLUSS": _one(
        "spread",
        "down",
        (-0.7, 1.15, 0.5),
        (-0.1, 0.9, 0.5),
        (0.5, 1.15, 0.5),
        (1.1, 0.9, 0.5),
        (1.8, 1.15, 0.5),
    ),
    "GEWITTER": _one(
        "index",
        "side",
        (1.7, 1.95, 0.5),
        (0.5, 1.65, 0.5),
        (1.6, 1.4, 0.5),
        (0.4, 1.05, 0.5),
    ),
    "GRAD": _onto((0.0, 0.75, 0.5), "ring", "front", *_circle((0.15, 1.15, 0.5), 0.5)),
    "HABEN": _one("spread fist", "in in", (1.7, 1.3, 0.6), (0.5, 0.9, 0.3)),
    "HEUTE": _both(
        "flat", "flat", (1.25, 1.15, 0.5), (1.25, 0.65, 0.5), (1.25, 1.15, 0.5), (1.25, 0.65, 0.5)
    ),
    "IX": _one("index", "out", (0.5, 1.0, 0.5), (1.5, 1.05, 0.6), (1.5, 1.05, 0.6)),
    "KALT": _both("fist", "side", *(((0.35, 1.1, 0.45), (1.5, 1.1, 0.45)) * 2)[:3]),
    "KOMMEN": _both("index", "front in", (1.6, 1.6, 0.7), (0.35, 0.95, 0.35)),
    "MEIN": _one("flat", "in", (1.4, 1.15, 0.6), (0.0, 0.95, 0.25), (0.0, 0.95, 0.25)),
    "MORGEN": _one("flat", "in self", (-0.7, 0.75, 0.4), (0.3, 1.1, 0.5), (1.4, 1.75, 0.5)),
    "NACHT": _both("flat", "self flat", (1.8, 1.65, 0.4), (0.0, 0.95, 0.4)),
    "NEBEL": _turns("spread", "front", *_circle((1.0, 1.3, 0.6), 0.75)),
    "NORD": _one("flat", "side", (1.1, 0.9, 0.5), (1.1, 1.95, 0.5), (1.1, 1.95, 0.5)),
    "NULL": _one("round", "side", (1.2, 1.1, 0.5), (0.2, 1.1, 0.5), (1.2, 1.1, 0.5)),
    "OST": _one("vee", "front", (-0.3, 1.3, 0.5), (2.0, 1.3, 0.5)),
    "REGEN": _both(
        "claw",
        "hang",
        (0.9, 1.75, 0.5),
        (0.9, 1.0, 0.5),
        (0.9, 1.75, 0.5),
        (0.9, 1.0, 0.5),
    ),
    "SCHNEE": _both(
        "spread", "down", (0.6, 1.7, 0.5), (1.4, 1.45, 0.5), (0.6, 1.2, 0.5), (1.4, 0.95, 0.5)
    ),
    "SCHWACH": _both("flat", "front hang", (1.3, 1.4, 0.4), (1.4, 0.85, 0.4)),
    "SONNE": _one("fist fist spread", "front front hang", *_circle((1.3, 1.7, 0.4), 0.5)),
    "STARK": _both("fist", "flat self", (0.4, 0.8, 0.4), (1.6, 1.45, 0.3), (1.6, 1.45, 0.3)),
    "SUED": _one("index", "hang", (1.1, 1.7, 0.5), (1.1, 0.8, 0.5), (1.1, 0.8, 0.5)),
    "TAG": _one(
        "ell", "front", (-0.9, 1.3, 0.5), (-0.3, 1.9, 0.5), (0.9, 1.95, 0.5), (1.7, 1.2, 0.5)
    ),
    "TEMPERATUR": _onto(
        (0.1, 0.85, 0.4), "index", "side", (0.15, 0.9, 0.6), (0.15, 1.4, 0.6), (0.15, 0.9, 0.6)
    ),
    "WARM": _one("claw spread", "self self", (0.1, 1.4, 0.35), (0.1, 1.4, 0.35), (1.0, 1.7, 0.5)),
    "WAS": _both(
        "flat", "up", (0.8, 0.85, 0.5), (1.4, 0.9, 0.5), (0.8, 0.85, 0.5), (1.4, 0.9, 0.5)
    ),
    "WEST": _one("horns", "front", (2.0, 1.4, 0.5), (-0.5, 1.4, 0.5)),
    "WIND": _sweep("spread", "side", (-0.6, 1.15, 0.5), (1.6, 1.15, 0.5), (-0.6, 1.15, 0.5)),
    "WOLKE": _turns("claw", "front", *_circle((1.0, 1.85, 0.5), 0.45)),
    "ZEIGEN-BILDSCHIRM": _both(
        "index", "front", (0.15, 1.75, 0.5), (1.5, 1.75, 0.5), (1.5, 1.0, 0.5), (0.15, 1.0, 0.5)
    ),
    "ZWANZIG": _one("ell fist ell fist", "self", (1.5, 1.15, 0.5), (1.5, 1.3, 0.5)),
}
