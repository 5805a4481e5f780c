"""The flags of training.py: their groups, presets, and possible values, which the tables say."""

import dataclasses
import os
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Literal

from models.backbones import BACKBONES
from models.choices import (
    EMBEDDERS,
    ENCODERS,
    FRONTS,
    FUSIONS,
    NETWORKS,
    POOLINGS,
    POSITIONS,
    RECOGNIZERS,
    SCHEMES,
    SIZES,
)
from utils.command_line import describe_fields, describe_group, name_flag, parse, read_flag
from utils.fitting.optimization import OPTIMIZERS, SCHEDULES
from utils.params import GROUPS, Params, Recognition, Run
from utils.presets import PRESETS
from utils.signing.corpora import CORPORA, find_corpus
from utils.version import VERSION

import tyro

# By task: its networks.
TASK_NETWORKS = {"classification": NETWORKS, "recognition": RECOGNIZERS}
# By task: parameters that it does not read. --help leaves them out. Those of recognition are
# refused for classification, the others are not: command lines have had them since before.
UNREAD = {
    "classification": [field.name for field in dataclasses.fields(Recognition)],
    "recognition": (
        "class_names group_pattern val_fraction test_fraction balance stream flow flow_path "
        "num_segments frames_per_segment sampling fps short_side frame_size mixup cutmix "
        "activation flow_weights fusion stochastic_depth pooling embedder encoder attention "
        "positions size patch_size focal eval_clips eval_crops"
    ).split(),
}
_GROUPS = {group.__name__.lower(): group for group in GROUPS if group is not Run}
_NAMES = {field.name for field in dataclasses.fields(Params)}
_DESCRIPTION = {
    "classification": (
        "Train a video classifier. Flags override the preset, and the preset overrides the "
        "defaults in utils/params.py. Continuous sign language recognition has flags of its own: "
        "python training.py phoenix --help"
    ),
    "recognition": (
        "Train a recognizer of continuous sign language. Flags override the preset, and the preset "
        "overrides the defaults in utils/params.py."
    ),
}


def list_choices(task):
    """Return {parameter: its possible values}, where the types in utils/params.py do not say them.

    They are the rows of tables, as they are now.
    """
    stages = [stage.name for row in BACKBONES.values() for stage in row.stages if stage.learns]
    return {
        "network": TASK_NETWORKS[task],
        "fusion": FUSIONS,
        "finetune": ("auto", "none", "all", *dict.fromkeys(stages)),
        "pooling": POOLINGS,
        "embedder": EMBEDDERS | BACKBONES,
        "encoder": ENCODERS,
        "attention": SCHEMES,
        "positions": POSITIONS,
        "size": SIZES,
        "front": ("auto", *FRONTS),
        "corpus": ("", *CORPORA),
        "optimizer": OPTIMIZERS,
        "schedule": SCHEDULES,
    }


@dataclasses.dataclass(frozen=True)
class _First:
    """What is read before all other flags."""

    preset: Literal[tuple(PRESETS)] = "default"
    """A named set of parameters; see the list below. "python training.py NAME" is the same."""
    version: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the version and exit."""


def list_presets(width):
    """Return the lines that describe the presets, of at most `width` characters."""
    lines = ["", "Presets: python training.py NAME. Times are those of two CPU cores."]
    wrapper = textwrap.TextWrapper(width, subsequent_indent=" " * 26, break_on_hyphens=False)
    for name, row in PRESETS.items():
        wrapper.initial_indent = f"  {name:<24}"
        lines += wrapper.wrap(f"{row.trains} {row.cost} {row.score}")
    return lines


def _refuse_path(name):
    """Raise a ValueError where a path is given in place of a preset; it says what is meant."""
    path = Path(name)
    if Path(path, "params.json").is_file():
        raise ValueError(
            f"{name} is a run, not a preset. To go on with it: --run {path.name} --resume. To "
            f"start a new run from its weights: --weights {name}"
        )
    if path.exists():
        raise ValueError(f"{name} is not a preset. Give your data as --data-path {name}.")
    if len(path.parts) > 1 or path.suffix:
        raise ValueError(
            f"{name} is neither a preset nor a file or folder that is there. Give your data as "
            "--data-path FOLDER; --help lists the presets."
        )


def _load_begun(run):
    """Return {parameter: value} of a run that is to go on."""
    from utils.runs.folders import find_begun, load_begun  # slow; only --resume needs it

    return vars(load_begun(find_begun(run)))


def _read_first(arguments):
    """Return (preset, parameters' defaults, arguments) of a command line.

    It may begin with a preset's name. With --run and --resume the defaults are the run's own.
    """
    if arguments and not arguments[0].startswith("-"):
        if arguments[0] not in PRESETS:
            _refuse_path(arguments[0])
        arguments = ["--preset", *arguments]
    fields = describe_fields(_First) + describe_fields(Run)
    kind = dataclasses.make_dataclass("First", fields)
    first, _ = parse(kind, arguments, with_rest=True)
    if first.version:
        print(VERSION)
        sys.exit()
    given = {read_flag(each) for each in arguments}
    values = PRESETS[first.preset].changes
    if first.run and first.resume:
        values = _load_begun(first.run) | (values if "--preset" in given else {})
    values = {"task": Run.task} | values | ({"task": first.task} if "--task" in given else {})
    return first.preset, values, arguments


def _make_kind(preset, defaults, without):
    """Return the dataclass of all flags but some, for `parse`; a group is a field of it."""
    choices = list_choices(defaults["task"])
    fields = describe_fields(_First, defaults={"preset": preset})
    fields += describe_fields(Run, choices, defaults)
    for name, group in _GROUPS.items():
        if described := describe_fields(group, choices, defaults, without):
            fields.append(describe_group(name, group.__doc__, described))
    return dataclasses.make_dataclass("Flags", fields, kw_only=True)


def read_flags(arguments, known=()):
    """Return {parameter: value} of training.py's flags; whether values fit together is not checked.

    Args:
        arguments: list of strings. The first may be a preset's name.
        known: other flags of the command, for suggestions.

    Raises:
        ValueError: an unknown flag or preset, a value that is not possible, or a flag of the
            other task.
        SystemExit: after --help or --version.
    """
    preset, values, arguments = _read_first(arguments)
    task = values["task"]
    asked = {"-h", "--help"} & {*arguments}
    without = UNREAD[task] if asked or task == "classification" else ()
    reason = "is for sign language recognition: add --task recognition, or the preset phoenix."
    elsewhere = {name_flag(name): reason for name in UNREAD["classification"]}
    found = parse(
        _make_kind(preset, values, without),
        arguments,
        _DESCRIPTION[task],
        below=list_presets(shutil.get_terminal_size().columns),
        known=known,
        elsewhere={} if task == "recognition" else elsewhere,
    )
    groups = [found, *(getattr(found, name) for name in _GROUPS if hasattr(found, name))]
    parsed = {name: value for group in groups for name, value in vars(group).items()}
    return {name: value for name, value in (values | parsed).items() if name in _NAMES}


def check_recognition_flags(arguments, known=()):
    """Return a list of flags for training.py phoenix as it is; errors as of `check_flags`."""
    return check_flags(["phoenix", *arguments], known)[1:]


def check_flags(arguments, known=()):
    """Return a list of flags for training.py as it is.

    Raises:
        ValueError: as `read_flags`.
        SystemExit: after --help or --version.
    """
    read_flags(arguments, known)
    return arguments


def read_params(arguments, known=()):
    """Make the `Params` of training.py's flags; data and features need not exist.

    Raises:
        ValueError: as `read_flags`, or values that contradict each other.
        SystemExit: after --help or --version.
    """
    return Params(**read_flags(arguments, known))


def _find_data(params):
    """Return the parameters, the features' whole path in them; alone, they are the data too."""
    if not params.features:
        return params
    features = Path(params.features)
    if params.data_path == Params.data_path:
        if not features.is_dir() or not any(path.is_dir() for path in features.iterdir()):
            raise ValueError(
                f"features {features}: not a folder of class folders (class/video.npy), so "
                "the labels are unknown. Give data_path too, such as a .csv "
                "(path,label[,split])."
            )
        params = dataclasses.replace(params, data_path=str(features))
    return dataclasses.replace(params, features=os.path.realpath(features))


def check_data(params):
    """Return the parameters of a training whose data are there.

    Raises:
        ValueError: they are not; what can be given is named.
    """
    if params.task == "recognition":
        find_corpus(params.data_path, params.corpus)
    elif not params.features and params.data_path != Params.data_path:
        from utils.data.datasets import find_dataset  # it imports OpenCV

        find_dataset(params.data_path)
    return params


def parse_params(arguments=None, known=()):
    """Make the `Params` of a command line.

    Args:
        arguments: list of strings; None for the program's own. The first may be a preset's name.
        known: other flags of the command, for suggestions.

    Raises:
        ValueError: as `read_params`, features without labels, or a run to resume that is not there
            or was started with other parameters.
        SystemExit: after --help or --version.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    params = _find_data(read_params(arguments, known))
    if params.resume:
        from utils.runs.folders import find_run  # slow; only --resume needs it

        find_run(params)
    return params
