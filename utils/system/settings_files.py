"""What a folder of computed arrays was made with, so that another kind is never mixed in."""

import json
from pathlib import Path

from utils.system.files import read_json, write_atomically
from utils.system.locks import wait_for_lock


def list_differences(found, wanted):
    """Return the names of the settings in which two dicts differ, as JSON tells them apart."""
    found, wanted = (json.loads(json.dumps(each)) for each in (found, wanted))
    absent = object()
    names = {**wanted, **found}
    return [name for name in names if found.get(name, absent) != wanted.get(name, absent)]


def check_kind(path, found, wanted, what):
    """Check that arrays are of the kind wanted.

    Args:
        path: of the file or folder that holds them.
        found, wanted: dicts of settings.
        what: the arrays are, in a word.

    Raises:
        ValueError: naming the path, and each setting that differs, with both values.
    """
    if names := list_differences(found, wanted):
        has, asked = (
            ", ".join(f"{name} {each.get(name)}" for name in names) for each in (found, wanted)
        )
        raise ValueError(
            f"{path} contains {what} of {has}, but {asked} was asked for. Give another "
            "folder, or the same settings."
        )


def write_first(path, settings):
    """Write a folder's settings unless there are some; of several processes only one does."""
    if not Path(path).is_file():
        with wait_for_lock(Path(path).with_name(".lock")):
            if not Path(path).is_file():
                write_atomically(path, json.dumps(settings, indent=1) + "\n")


def open_kind(path, settings, what):
    """Write a folder's settings where there are none; such as are there already are checked.

    Args:
        path: of the JSON file.
        settings: dict.
        what: as in `check_kind`.

    Raises:
        ValueError: as `check_kind`, or the file is no JSON object.
    """
    write_first(path, settings)
    check_kind(Path(path).parent, read_kind(path), settings, what)


def read_kind(path):
    """Return the settings that `open_kind` wrote.

    Raises:
        ValueError: the file is no JSON object; it is named.
    """
    settings = read_json(path)
    if not isinstance(settings, dict):
        raise ValueError(f"{path} is damaged: it contains no JSON object.")
    return settings
