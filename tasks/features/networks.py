"""Backbones that begin with published weights or a run's, or that made the features of a run."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from models.backbones import BACKBONES
from models.cutting import backbones_of
from models.dense import Extractor, Rows, build_maps
from models.end_to_end import END_TO_END, copy_units, list_units
from models.streams import CHANNELS
from tasks.features.runtimes import FOLDER, find_network, open_network, pick_clips
from utils.clips.augmentation import find_levels, list_levels
from utils.clips.inputs import fingerprint
from utils.clips.reading import ClipFormat
from utils.fitting.devices import number_format, seeded
from utils.places import PRETRAINED, WEIGHTS
from utils.runs.networks import load_network
from utils.runs.openvino import check_openvino
from utils.video.streams import STREAMS

import numpy as np


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


def pick_blocks(paths, row_format, length):
    """Return blocks to calibrate on, list of uint8 (1, length, height, width, channels).

    Args:
        paths: of the videos.
        row_format: a `RowFormat`.
        length: frames of a block.
    """
    names = "fps short_side frame_size stream flow flow_path".split()
    clips = ClipFormat(1, length, **{name: getattr(row_format, name) for name in names})
    blocks = []
    for clip in pick_clips(paths, clips):
        parts, begin = [], 0
        for part in STREAMS[row_format.stream].parts:
            end = begin + CHANNELS[part]
            parts.append(find_levels(clip[:, 0, ..., begin:end], part))
            begin = end
        blocks.append(np.concatenate(parts, axis=-1))
    return blocks


def join_networks(extractor, networks):
    """Return an `Extractor` of networks of OpenVINO, {frames of a block: network}."""
    joined = Extractor({}, {}, extractor.rows)
    joined.networks = networks
    return joined


def prepare_extractor(extractor, settings, pick):
    """Return an `Extractor` in the runtime of settings, and the settings with what they became.

    Args:
        extractor: of `make_extractor`.
        settings: `FeatureSettings` of new features.
        pick: function of frames of a block -> list of blocks (1, ...) to calibrate int8 on.
    """
    if settings.runtime == "keras":
        return extractor, settings
    networks, found = {}, {}
    for length in settings.lengths:
        built, precision = extractor.build(length), settings.precision
        networks[length], found[str(length)] = open_network(built, precision, partial(pick, length))
    settings = replace(settings, networks=found) if precision == "int8" else settings
    return join_networks(extractor, networks), settings


def open_extractor(settings, run):
    """Return the `Extractor` that made the features of a run.

    Args:
        settings: their `FeatureSettings`.
        run: its folder.

    Raises:
        ValueError: its networks are not there, or not the same.
    """
    extractor = make_extractor(load_maps(settings, run), settings)
    if not settings.networks:
        return prepare_extractor(extractor, settings, list)[0]
    check_openvino()
    networks = {
        int(length): find_network(digest, run) for length, digest in settings.networks.items()
    }
    if None in networks.values():
        raise ValueError(
            f"The features of {run} were made by int8 networks, which are neither in the run nor "
            f"in {WEIGHTS / FOLDER} any longer. Put them back, or extract the features again."
        )
    return join_networks(extractor, networks)
