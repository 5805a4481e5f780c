"""I3Ds that begin with published weights, or with those of a run."""

from pathlib import Path

from models.end_to_end import END_TO_END, copy_units, list_units
from models.networks import backbones_of
from models.pretrained import load_pretrained
from utils.runs import load_network


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
        start: as `models.pretrained.load_pretrained` takes it, a run, or none.
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
