"""Backbones that begin with published weights or a run's, or that made the features of a run."""

from pathlib import Path

from models.backbones import BACKBONES
from models.cutting import backbones_of
from models.dense import Extractor, Rows, build_maps
from models.end_to_end import END_TO_END, copy_units, list_units
from utils.clips.augmentation import list_levels
from utils.clips.inputs import fingerprint
from utils.fitting.devices import number_format, seeded
from utils.places import PRETRAINED
from utils.runs.networks import load_network


def find_units(network):
    """Return {stream: {name: layer}} of the backbones in a run's network, {} without any."""
    if network.name == END_TO_END:
        return {"rgb": list_units(network)}
    found = backbones_of(network).items()
    return {stream: {layer.name: layer for layer in model.layers} for stream, model in found}


def start_maps(maps, start, stream):
    """Load published weights, or those of a run's backbone, into one; return their name.

    Args:
        maps: of `models.dense.build_maps`.
        start: what the backbone's `Published.load` takes, a run, or none.
        stream: rgb or flow.

    Raises:
        ValueError: a run without such a backbone for the stream, or weights that cannot be fetched.
    """
    if start == "none":
        return start
    backbone = BACKBONES[maps.name]
    if not Path(start, "best.keras").is_file():
        return backbone.load_published(maps, start, stream, PRETRAINED)
    found = find_units(load_network(start, ("head", "recognizer")))
    if stream not in found:
        raise ValueError(
            f"{start} has no {backbone.title} for {stream}; it has {', '.join(found) or 'none'}."
        )
    copy_units(found[stream], maps)
    return str(start)


def load_maps(settings, run):
    """Return {stream: `build_maps`} of the backbones that made the features of a run.

    Args:
        settings: their `FeatureSettings`.
        run: its folder, for messages.

    Raises:
        ValueError: their weights are not there, or not the same.
    """
    maps, backbone = {}, BACKBONES[settings.backbone]
    # The seed of scripts.extract_features, for weights none.
    with seeded(0), number_format(settings.precision):
        for stream, name in settings.weights.items():
            maps[stream] = build_maps(backbone, stream, *settings.shape)
            start = backbone.published.find_weights(name) if backbone.published else name
            start_maps(maps[stream], start, stream)
            if fingerprint(maps[stream]) != settings.fingerprint[stream]:
                raise ValueError(
                    f"The features of {run} were made by {backbone.title}, with the "
                    f"weights {name} ({stream}), which have changed since then. Put back "
                    "the weights that the features were made with."
                )
    return maps


def make_extractor(maps, settings):
    """Return the `Extractor` that makes rows of `FeatureSettings` with {stream: `build_maps`}."""
    levels = {stream: list_levels(stream) for stream in maps}
    rows = Rows(settings.window, settings.stride, settings.endpoint, settings.shared or "")
    return Extractor(maps, levels, rows)
