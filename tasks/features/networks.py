"""I3Ds that begin with published weights or a run's, or that made the features of a run."""

from pathlib import Path

from models.cutting import backbones_of
from models.dense import SHARED, Extractor, build_maps
from models.end_to_end import END_TO_END, copy_units, list_units
from models.pretrained.i3d_weights import INFLATED, PRETRAINED, load_pretrained
from utils.clips.augmentation import list_levels
from utils.clips.inputs import fingerprint
from utils.runs.networks import load_network

import keras


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


def _find_start(name):
    """Return what `start_maps` takes, of the name that it gave."""
    if name in PRETRAINED:
        return PRETRAINED[name]["weights"]
    return INFLATED if f" {INFLATED} " in name else name


def load_maps(settings, run):
    """Return {stream: `build_maps`} of the I3Ds that made the features of a run.

    Args:
        settings: their `FeatureSettings`.
        run: its folder, for messages.

    Raises:
        ValueError: their weights are not there, or not the same.
    """
    policy, maps = keras.config.dtype_policy(), {}
    keras.utils.set_random_seed(0)  # as in scripts.extract_features, for weights none
    keras.config.set_dtype_policy(settings.precision)
    try:
        for stream, name in settings.weights.items():
            maps[stream] = build_maps(stream, settings.frame_size, settings.endpoint)
            start_maps(maps[stream], _find_start(name), stream)
            if fingerprint(maps[stream]) != settings.fingerprint[stream]:
                raise ValueError(
                    f"The features of {run} were made by an I3D that began with {name}, but the "
                    f"weights {name} ({stream}) are not the same now; put back those that the "
                    "features were made with."
                )
    finally:
        keras.config.set_dtype_policy(policy)
    return maps


def make_extractor(maps, settings):
    """Return the `Extractor` that makes rows of `FeatureSettings` with I3Ds, {stream: I3D}."""
    levels = {stream: list_levels(stream) for stream in maps}
    rows = settings.window, settings.stride, settings.endpoint
    return Extractor(maps, levels, *rows, settings.shared or SHARED)
