"""Rows of `BACKBONES` in place of I3D's: of few layers, and with weights that are not published.

What takes seconds to import is imported where it is needed: many tests need none of it.
"""

import contextlib

import pytest


@contextlib.contextmanager
def _changed_i3d(change):
    from models.backbones import BACKBONES

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, "i3d", change(BACKBONES["i3d"]))
        yield


def _shrink(row):
    from models.backbones import make_i3d
    from models.i3d_stages import STAGES

    kept = ("Conv3d_1a_7x7", "Mixed_4f", "Mixed_5b", "Mixed_5c")

    def shrink(name, kind, arguments):
        if kind == "pool":
            return kind, arguments
        if kind == "conv":
            return kind, (arguments[0] // 8, *arguments[1:])
        if name == "Mixed_5c":
            return kind, tuple(width // 8 for width in arguments)
        return "conv", (sum(arguments[place] for place in (0, 2, 4, 5)) // 8, 1, 1)

    few = [
        (name, *shrink(name, kind, arguments))
        for name, kind, arguments in STAGES
        if kind == "pool" or name in kept
    ]
    return make_i3d(few)._replace(published=row.published)


def shrunk_i3d():
    """I3D with four of its stages, one of them mixed, and an eighth of its channels."""
    return _changed_i3d(_shrink)


def unpublished_i3d():
    """I3D whose published weights load without being there: it stays as it was initialized."""
    loaded = {"load": lambda *_: "weights that a test left random"}
    return _changed_i3d(lambda row: row._replace(published=row.published._replace(**loaded)))
