"""I3Ds that begin with published weights or a run's, or that made the features of a run."""

from pathlib import Path

from models.cutting import backbones_of
from models.dense import SHARED, Extractor, build_maps
from models.end_to_end import END_TO_END, copy_units, list_units
from models.pretrained.i3d_weights import INFLATED, PRETRAINED, load_pretrained
from utils.clips.augmentation import list_levels
from utils.clips.inputs import fingerprint
from utils.features.blocks import RowFormat
from utils.runs.networks import load_network
from utils.system.settings_files import read_kind

import keras

ROWS = "rows.json"  # in a run's folder: the settings of the features that stage 2 began with
SETTINGS = (
    "window stride edges route endpoint stream fps image_fps short_side frame_size dtype precision "
    "chunk shared flow weights fingerprint"
).split()  # of scripts.extract_features: all that a row's numbers depend on


def find_units(network):
    """Return {stream: {name: layer}} of the I3Ds in a run's network, {} where there is none."""
    if network.name == END_TO_END:
        return {"rgb": list_units(network)}
    found = backbones_of(network).items()
    return {stream: {layer.name: layer for layer in i3d.layers} for stream, i3d in found}


def start_maps(maps, start, stream):
    """Load published weights, or those of a run's I3D, into an I3D; return their name.

    Args:
        maps: of `models.dense.build_maps`.
        start: as `models.pretrained.i3d_weights.load_pretrained` takes it, a run, or none.
        stream: rgb or flow.

    Raises:
        ValueError: a run without an I3D for the stream, or weights that cannot be had.
    """
    if start == "none":
        return start
    if not Path(start, "best.keras").is_file():
        return load_pretrained(maps, start, stream)
    found = find_units(load_network(start, ("head", "recognizer")))
    if stream not in found:
        raise ValueError(f"{start} has no I3D for {stream}; it has {', '.join(found) or 'none'}.")
    copy_units(found[stream], maps)
    return str(start)


def read_settings(run):
    """Return the settings of the features that a run began with, at least `SETTINGS`.

    Raises:
        ValueError: nothing tells them.
    """
    path = Path(run, ROWS)
    if path.is_file():
        return read_kind(path)
    path = Path(run, "features.json")
    settings = (read_kind(path).get("manifest") if path.is_file() else None) or {}
    if missing := [name for name in SETTINGS if name not in settings]:
        raise ValueError(
            f"{run}: nothing tells how its features were made (no {missing[0]} in {path.name}), "
            "for scripts.extract_features did not write them. Extract features with it and train "
            "on those."
        )
    return settings


def make_form(settings, row_step=1):
    """Return the `RowFormat` of the rows that a run sees.

    On the route dense all rows are computed, and those between left out afterwards: fewer of them
    would be cut into other chunks.

    Args:
        settings: of `read_settings`.
        row_step: from a row that is taken to the next.
    """
    same = {name: settings[name] for name in RowFormat._fields if name in settings}
    flow = settings["flow"]["method"] if settings["flow"] else RowFormat().flow
    dense = settings["route"] == "dense"
    lengths = tuple(settings["chunk"] if dense else [settings["window"]])
    own = {"lengths": lengths, "views": RowFormat().views, "step": 1 if dense else row_step}
    return RowFormat(**same | own | {"flow": flow})


def _find_start(name):
    """Return what `start_maps` takes, of the name that it gave."""
    if name in PRETRAINED:
        return PRETRAINED[name]["weights"]
    return INFLATED if f" {INFLATED} " in name else name


def load_maps(settings, run):
    """Return {stream: `build_maps`} of the I3Ds that made the features of a run.

    Args:
        settings: of `read_settings`.
        run: its folder, for messages.

    Raises:
        ValueError: their weights are not there, or not the same.
    """
    policy, maps = keras.config.dtype_policy(), {}
    keras.utils.set_random_seed(0)  # as in scripts.extract_features, for weights none
    keras.config.set_dtype_policy(settings["precision"])
    try:
        for stream, name in settings["weights"].items():
            maps[stream] = build_maps(stream, settings["frame_size"], settings["endpoint"])
            start_maps(maps[stream], _find_start(name), stream)
            if fingerprint(maps[stream]) != settings["fingerprint"][stream]:
                raise ValueError(
                    f"The features of {run} were made by an I3D that began with {name}, but the "
                    f"weights {name} ({stream}) are not the same now; put back those that the "
                    "features were made with."
                )
    finally:
        keras.config.set_dtype_policy(policy)
    return maps


def make_extractor(maps, settings):
    """Return the `Extractor` that makes rows of some settings with I3Ds, {stream: I3D}."""
    rows = (settings[name] for name in ("window", "stride", "endpoint"))
    levels = {stream: list_levels(stream) for stream in maps}
    return Extractor(maps, levels, *rows, settings["shared"] or SHARED)
