"""Functions by name: a table can have them as rows before their modules are imported."""

from functools import partial
from importlib import import_module


def _call(module, name, *given, **named):
    return getattr(import_module(module), name)(*given, **named)


def later(module, name):
    """Return a function that calls another one, whose module is imported only then.

    Keras takes seconds to import. Command lines need only the names of a table's rows, so that
    --help and errors do not wait for it.

    Args:
        module: its whole name.
        name: of the function or class in it.
    """
    return partial(_call, module, name)
