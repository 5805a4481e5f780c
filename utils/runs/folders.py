"""A run's folder: all that is needed to go on with it, score it or use it."""

import json
import platform
import re
from dataclasses import replace
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from utils.data.examples import save_examples
from utils.data.lists import list_csv
from utils.features.store import find_manifest
from utils.places import WEIGHTS
from utils.runs.networks import best_network
from utils.runs.saved_params import load_params, save_params
from utils.system.files import atomic_path, fit_name, read_json, write_atomically
from utils.system.hashing import hash_text
from utils.system.locks import take_lock
from utils.system.settings_files import list_differences, read_kind
from utils.system.words import escape, list_some, print_line
from utils.version import VERSION

RUNS = WEIGHTS
# What may differ when a run goes on: none of it changes what an epoch computes.
# Features count by content (`keep_features`).
_FREE = (
    "epochs workers windows resume run cache_path flow_path features eval_clips eval_crops pictures"
).split()
LOCK = ".lock"  # in a run's folder: who trains it
_ROOM = len("-9999")  # bytes that a run's number takes
_PACKAGES = ("keras", "tensorflow", "jax", "numpy", "opencv-contrib-python-headless")


# Parameters that name files, which began in the folder where the run was started.
_PATHS = ("data_path", "video_root", "weights", "flow_weights", "flow_path", "features")
# What a run decides when it begins, and keeps.
_DECIDED = (("precision", "auto"), ("front", "auto"), ("corpus", ""))


def _name_run(params):
    """Return the name that a run is given, or that of the first of several."""
    stem = re.sub("[\udc80-\udcff]", "_", Path(params.data_path).stem)  # bytes that are no UTF-8
    return params.run or fit_name(f"{stem}_{params.network}", _ROOM)


def _list_runs(run, automatic=""):
    """Return [(number, folder)] of the runs of a name: of an automatic one, `name-2`, ... too."""
    pattern = re.compile(re.escape(run) + "()" if run else re.escape(automatic) + r"(?:-(\d+))?")
    folders = [path.parent for path in RUNS.glob("*/params.json")]
    found = [(pattern.fullmatch(folder.name), folder) for folder in folders]
    return sorted((int(match[1] or 1), folder) for match, folder in found if match)


def find_begun(run, automatic=""):
    """Return the folder of the newest run of a name.

    Args:
        run: its name; "" for one that was named automatically.
        automatic: that name; behind it the run's has perhaps a number.

    Raises:
        ValueError: there is none.
    """
    runs = _list_runs(run, automatic)
    if not runs:
        name = run or automatic
        raise ValueError(
            f"There is no run {name} in {RUNS}/ to resume. Leave out --resume to start a new run."
        )
    return runs[-1][1]


def load_begun(folder):
    """Return a run's parameters; its paths begin where the run was started.

    Paths that are in the current folder too are as they were given.
    """
    params, path = load_params(folder / "params.json"), folder / "environment.json"
    start = read_kind(path).get("folder", "") if path.is_file() else ""
    given = {name: getattr(params, name) for name in _PATHS}
    moved = {name: str(Path(start, value)) for name, value in given.items() if value}
    return replace(
        params,
        **{n: v for n, v in moved.items() if Path(v).exists() and not Path(given[n]).exists()},
    )


def _differs(name, was, now):
    if name in _PATHS and Path(was).exists() and Path(now).exists():
        return not Path(was).samefile(now)
    return was != now and (name, now) not in _DECIDED


def find_params(params):
    """Return the `Params` of the run that parameters go on with."""
    return load_begun(find_begun(params.run, _name_run(params)))


def find_run(params):
    """Return the folder of the run to go on with.

    Raises:
        ValueError: there is none, or its parameters differ; each is named.
    """
    folder = find_begun(params.run, _name_run(params))
    old = load_begun(folder)
    # A cosine ends with the last epoch: other epochs would be another schedule.
    free = set(_FREE) - ({"epochs"} if params.schedule == "cosine" else set())
    pairs = {name: (getattr(old, name), now) for name, now in vars(params).items()}
    differing = [
        f"{name} {was}, not {now}"
        for name, (was, now) in pairs.items()
        if name not in free and _differs(name, was, now)
    ]
    if differing:
        raise ValueError(
            f"{folder} was started with {'; '.join(differing)}. Resume it with the same "
            f"parameters (--run {folder.name} --resume reads them from the run), or leave out "
            "--resume to start a new run."
        )
    return folder


def _keep_epochs(folder, epochs):
    """Write how many epochs a run is to have now, so that the next --resume knows it."""
    path = folder / "params.json"
    values = read_kind(path)
    if values["epochs"] < epochs:
        write_atomically(path, json.dumps(values | {"epochs": epochs}, indent=1) + "\n")


def open_run(params):
    """Make the folder of a new run, or find the one to go on with; no other process may train it.

    Returns:
        The folder; `params.json` is in it.

    Raises:
        ValueError: a named run that is there already, none to go on with, one whose parameters
            differ, or one that another process trains.
    """
    folder = find_run(params) if params.resume else _make_run(params)
    take_lock(folder / LOCK, f"The run {folder}")
    _keep_epochs(folder, params.epochs)
    return folder


def _make_run(params):
    """Return the folder of a new run, made whole at once: of several processes only one makes it.

    Raises:
        ValueError: a named run that is there already.
    """
    name = _name_run(params)
    number = max((number for number, _ in _list_runs(params.run, name)), default=0)
    while True:
        number = 1 if params.run else number + 1
        folder = RUNS / (f"{name}-{number}" if number > 1 else name)
        try:
            with atomic_path(folder) as temporary:
                temporary.mkdir()
                save_params(params, temporary / "params.json")
                versions = json.dumps(_environment(), indent=1) + "\n"
                (temporary / "environment.json").write_text(versions)
            return folder
        except (FileExistsError, NotADirectoryError) as error:
            if params.run and folder.exists():
                known = (folder / "params.json").is_file()
                advice = (
                    "give --resume to continue it, or another --run"
                    if known
                    else "choose another --run"
                )
                raise ValueError(f"{folder} exists already; {advice}.") from error
            if not folder.exists():  # something else is in the way
                raise


def _environment():
    versions = {
        "version": VERSION,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "folder": str(Path.cwd()),
    }
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return versions


def keep_features(folder, features, videos):
    """Write which features a run is trained on; one that goes on must have the same.

    Args:
        folder: the run's.
        features: where they are; "" for a run on videos.
        videos: {path: what was found of it}; of features, `VideoFeatures`.

    Raises:
        ValueError: the run was begun on others, or on videos.
    """
    path, digests = folder / "features.json", sorted(video.digest for video in videos.values())
    digest = hash_text(" ".join(digests))
    if (folder / "splits.csv").is_file():
        began = read_kind(path)["digest"] if path.is_file() else ""
        if began != (digest if features else ""):
            has = "other features" if began and features else "features" if began else "videos"
            raise ValueError(
                f"{folder} was started on {has}, not on {features or 'videos'}. Resume it on "
                "the same data, or leave out --resume to start a new run."
            )
    elif features:
        kept = {"features": features, "digest": digest}
        kept["manifest"] = find_manifest(features) or None
        write_atomically(path, json.dumps(kept, indent=1) + "\n")


def save_data(folder, examples, classes, problems, save=save_examples):
    """Write a run's split lists, class names and problem report.

    Args:
        folder: the run's.
        examples: list of `Example`, or what `save` takes.
        classes: names, in the order of the outputs.
        problems: [(path or id, one line about it)].
        save: function (examples, path) that writes the lists.
    """
    write_atomically(folder / "problems.txt", "".join(f"{escape(text)}\n" for _, text in problems))
    write_atomically(folder / "classes.json", json.dumps(classes, indent=1) + "\n")
    with atomic_path(folder / "splits.csv") as temporary:
        save(examples, temporary)


def _suggest_run(folder):
    """Return the end of a sentence that says which run may be meant."""
    if Path(folder).is_file():
        return ", but a file. Give the folder of a run, weights/<run>."
    runs = [str(path.parent) for path in RUNS.glob("*/params.json")]
    if similar := get_close_matches(str(folder), runs, n=1):
        return f". Did you mean {similar[0]}?"
    there = f" There are: {list_some(sorted(runs))}." if runs else ""
    return f". Give the folder of a run, weights/<run>.{there}"


def check_run(folder):
    """Raise a ValueError unless a folder is a run that has come as far as its lists."""
    for name in ("params.json", "splits.csv", "classes.json"):
        if not Path(folder, name).is_file():
            raise ValueError(f"{folder}: not a run ({name} is missing){_suggest_run(folder)}")


def load_state(folder):
    """Return what `fitting.SaveRun` left in a run's folder, or None before its first epoch.

    Raises:
        ValueError: a damaged file, or one that lacks something; it is named.
    """
    path = Path(folder) / "state.json"
    if not path.is_file():
        return None
    state = read_kind(path)
    if missing := [name for name in ("epoch", "history") if name not in state]:
        raise ValueError(f"{path} is damaged or from another version: it has no {missing[0]}.")
    return state


def load_data(folder, read=list_csv):
    """Return (examples, classes) of a run.

    Args:
        folder: the run's.
        read: function of a path that reads the lists.

    Raises:
        ValueError: the folder is no run, or it has not come so far.
    """
    check_run(folder)
    folder = Path(folder)
    classes = read_json(folder / "classes.json")
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ValueError(f"{folder / 'classes.json'} is damaged: it contains no list of names.")
    return read(folder / "splits.csv"), classes


def load_changed(folder, **given):
    """Return a run's parameters, with what is given in place of some of them.

    Whether features that are given were made with other settings is printed.

    Args:
        folder: the run's.
        given: values of parameters, empty or 0 for what the run's say.

    Raises:
        ValueError: no run, no finished epoch yet, or features for a run on videos.
    """
    check_run(folder)
    best_network(folder)
    params = load_params(Path(folder, "params.json"))
    given = {name: value for name, value in given.items() if value}
    features = given.get("features", "")
    if features and not params.features:
        raise ValueError(
            f"{folder} was trained on videos, so it cannot read features ({features}). Leave "
            "out --features."
        )
    if features and (manifest := find_manifest(features)):
        trained = read_kind(Path(folder, "features.json"))["manifest"] or {}
        differing = list_differences(trained, manifest)
        others = f"other {', '.join(differing)}" if differing else "no other settings"
        print_line(f"{features}: made with {others} than the features that {folder} was trained on")
    return replace(params, **given)


def evaluation_folder(run, split, data_path="", features=""):
    """Return where a run's scores on a split go.

    Args:
        run: its folder.
        split: what was scored, and how.
        data_path, features: given in place of the run's own; "" for those.
    """
    given = (Path(path).stem for path in (data_path, features) if path)
    return Path(run) / "evaluation" / fit_name("-".join([*given, split]), _ROOM)


def explanation_folder(run, name, output=""):
    """Return where an explanation goes.

    Args:
        run: its folder.
        name: of what is explained.
        output: another place; "" for the run's own.
    """
    stem = Path(name).stem
    return Path(output or Path(run, "explanations", "dots" if stem == ".." else stem))
