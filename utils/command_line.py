"""The parameters of a command line."""

import dataclasses
import os
import sys
from pathlib import Path
from typing import Literal

from utils.params import Params
from utils.presets import PRESETS

import tyro


def pick_fields(params, kind):
    """Make a dataclass of settings from the parameters that have its fields' names."""
    return kind(**{field.name: getattr(params, field.name) for field in dataclasses.fields(kind)})


def _find_data(params):
    """Return the parameters, the features' whole path in them; alone, they are the data too."""
    if not params.features:
        return params
    features = Path(params.features)
    if params.data_path == Params.data_path:
        if not features.is_dir() or not any(path.is_dir() for path in features.iterdir()):
            raise ValueError(
                f"features {features}: no folder of class folders (class/video.npy), so it tells "
                "no labels; give data_path too, such as a .csv (path,label[,split])."
            )
        params = dataclasses.replace(params, data_path=str(features))
    return dataclasses.replace(params, features=os.path.realpath(features))


def parse_params(arguments=None):
    """Make the `Params` from a command line.

    Args:
        arguments: list of strings; None for the program's own. The first may be a preset's name.

    Raises:
        ValueError: impossible or contradictory values, or features without labels.
        SystemExit: an unknown flag, or --help.
    """

    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments and arguments[0] in PRESETS:
        arguments = ["--preset", *arguments]

    def preset_first(preset: Literal[tuple(PRESETS)] = "default"):
        return preset

    chosen, rest = tyro.cli(preset_first, args=arguments, return_unknown_args=True, add_help=False)
    default = Params(**PRESETS[chosen])
    description = (
        "Train a video classifier, or a recognizer of signing. The defaults are those of "
        f"utils/params.py; --preset {{{','.join(PRESETS)}}} chooses another set."
    )
    return _find_data(tyro.cli(Params, args=rest, default=default, description=description))
