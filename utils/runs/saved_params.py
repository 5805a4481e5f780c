"""A run's parameters on disk, and those of older versions."""

import dataclasses
import json
import sys
from functools import cache
from pathlib import Path

from utils.checks import suits
from utils.params import Params
from utils.system.settings_files import read_kind
from utils.system.words import print_line


def save_params(params, path):
    """Write the parameters as JSON."""
    Path(path).write_text(json.dumps(dataclasses.asdict(params), indent=1) + "\n")


_tell_once = cache(lambda text: print_line(text, file=sys.stderr))


def _list_foreign(values):
    """Yield what this version does not know of a dict of saved parameters."""
    kinds = {field.name: field.type for field in dataclasses.fields(Params)}
    if "network" not in values:
        yield "parameters without a network"
    for name, value in values.items():
        if name not in kinds:
            yield name
        elif not suits(value, kinds[name]):
            yield f"{name} {value!r}"


def load_params(path):
    """Read the parameters that `save_params` wrote.

    What an older version did not know gets today's default; a note on stderr says so. Where things
    are kept that can be computed again, `cache_path`, is not the run's to say, which may be
    somebody else's: it is the default.

    Raises:
        ValueError: no parameters, or another version's; the file and what is foreign are named.
    """
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in read_kind(path).items()}
    foreign = list(_list_foreign(values))
    values["cache_path"] = Params.cache_path
    try:
        if not foreign:
            params = Params(**values)
            if missing := [name for name in vars(params) if name not in values]:
                _tell_once(f"{path} is an older version's; as by default: {', '.join(missing)}")
            return params
    except TypeError as error:  # a value of another type, where numbers are compared
        foreign = [str(error)]
    except ValueError as error:  # out of its range, or against another one
        raise ValueError(f"{path} is damaged or from another version: {error}") from error
    raise ValueError(
        f"{path} is from another version. This version does not know: "
        f"{', '.join(foreign)}. Use the version that wrote it, or train the run again."
    )
