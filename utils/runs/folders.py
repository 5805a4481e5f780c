"""A run's folder: all that is needed to go on with it, score it or use it."""

import glob
import json
import platform
import re
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from utils.data.examples import save_examples
from utils.data.lists import list_csv
from utils.features.store import find_manifest
from utils.runs.networks import best_network
from utils.runs.saved_params import load_params, save_params
from utils.system.files import atomic_path, name_damaged, write_atomically
from utils.system.hashing import hash_text
from utils.system.settings_files import list_differences, read_kind

RUNS = Path("weights")
# What may differ when a run goes on: none of it changes what an epoch computes.
# Features count by content (`keep_features`).
_FREE = (
    "epochs workers windows resume run cache_path flow_path features eval_clips eval_crops pictures"
).split()
_PACKAGES = ("keras", "tensorflow", "jax", "numpy", "opencv-contrib-python-headless")


def _numbered(name):
    """Return [(number, folder)] of the runs called `name`, `name-2`, `name-3`, ..."""
    pattern = re.compile(re.escape(name) + r"(?:-(\d+))?$")
    found = ((pattern.match(path.name), path) for path in RUNS.glob(f"{glob.escape(name)}*"))
    return sorted(
        (int(match[1] or 1), path)
        for match, path in found
        if match and (path / "params.json").is_file()
    )


def open_run(params):
    """Make the folder of a new run, or find the one to go on with.

    Returns:
        The folder; `params.json` is in it.

    Raises:
        ValueError: a named run that is there already, none to go on with, or one whose
            parameters differ.
    """
    stem = re.sub("[\udc80-\udcff]", "_", Path(params.data_path).stem)  # bytes that are no UTF-8
    name = params.run or f"{stem}_{params.network}"
    runs = _numbered(name)
    if params.resume:
        if not runs:
            raise ValueError(f"No run called {name} in {RUNS}/ to resume; leave out --resume.")
        folder = runs[-1][1]
        old = load_params(folder / "params.json")
        # A cosine ends with the last epoch: other epochs would be another schedule.
        free = set(_FREE) - ({"epochs"} if params.schedule == "cosine" else set())
        for field in vars(params):
            was, now = getattr(old, field), getattr(params, field)
            if was != now and field not in free:
                raise ValueError(
                    f"{folder} was begun with {field} {was}, not {now}; resume it with the same "
                    "parameters, or leave out --resume for a new run."
                )
        return folder
    if params.run and runs:
        raise ValueError(f"{runs[0][1]} is there already; go on with --resume, or name another.")
    folder = RUNS / (f"{name}-{runs[-1][0] + 1}" if runs else name)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / "params.json") as temporary:
        save_params(params, temporary)
    write_atomically(folder / "environment.json", json.dumps(_environment(), indent=1) + "\n")
    return folder


def _environment():
    versions = {"python": platform.python_version(), "machine": platform.machine()}
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
            has, gets = f"features {began}" if began else "videos", features or "videos"
            raise ValueError(
                f"{folder} was begun on {has}, {gets} are not the same; resume it with those, or "
                "leave out --resume for a new run."
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
    write_atomically(folder / "problems.txt", "".join(f"{text}\n" for _, text in problems))
    write_atomically(folder / "classes.json", json.dumps(classes, indent=1) + "\n")
    with atomic_path(folder / "splits.csv") as temporary:
        save(examples, temporary)


def check_run(folder):
    """Raise a ValueError unless a folder is a run that has come as far as its lists."""
    for name in ("params.json", "splits.csv", "classes.json"):
        if not Path(folder, name).is_file():
            raise ValueError(f"{folder}: no run there ({name} is missing); give weights/<run>.")


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
        raise ValueError(f"{path} is damaged, or another version's: it has no {missing[0]}.")
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
    with name_damaged(folder / "classes.json"):
        classes = json.loads((folder / "classes.json").read_text(encoding="utf-8"))
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ValueError(f"{folder / 'classes.json'} is damaged: it holds no list of names.")
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
        raise ValueError(f"{folder} was trained on videos, so it takes no features, {features}.")
    if features and (manifest := find_manifest(features)):
        trained = read_kind(Path(folder, "features.json"))["manifest"] or {}
        differing = list_differences(trained, manifest)
        others = f"other {', '.join(differing)}" if differing else "no other settings"
        print(f"{features}: {others} than what {folder} was trained on")
    return replace(params, **given)


def evaluation_folder(run, split, data_path="", features=""):
    """Return where a run's scores on a split go.

    Args:
        run: its folder.
        split: what was scored, and how.
        data_path, features: given in place of the run's own; "" for those.
    """
    given = (Path(path).stem for path in (data_path, features) if path)
    return Path(run) / "evaluation" / "-".join([*given, split])


def explanation_folder(run, name, output=""):
    """Return where an explanation goes.

    Args:
        run: its folder.
        name: of what is explained.
        output: another place; "" for the run's own.
    """
    return Path(output or Path(run, "explanations", Path(name).stem))
