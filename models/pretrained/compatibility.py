"""What a checkpoint is made for and what a TimeSformer is, in the flags that choose it."""

from models.choices import SCHEMES, SIZES
from models.pretrained.download import WeightsError
from models.pretrained.hugging_face import list_windows
from models.streams import CHANNELS


def _name_size(*widths):
    names = [name for name, size in SIZES.items() if (size.dim, size.depth, size.width) == widths]
    return names[0] if names else "of {} channels, {} blocks, an MLP of {}".format(*widths)


def _name_streams(channels):
    return tuple(stream for stream, count in CHANNELS.items() if count == channels)


def describe_network(network):
    """Return {flag: value} of a TimeSformer from `models.networks.build`.

    Of one that takes two streams only that is told: nothing published does.
    """
    if not _name_streams(network.input_shape[-1]):
        return {"stream": "both"}
    head = network.get_layer("head")
    names, windows = {layer.name for layer in head.layers}, list_windows(head)
    _, patch, _, channels, dim = head.get_layer("projection").kernel.shape
    depth = sum(name.endswith("_mlp_1") for name in names)
    timed, placed = "time_positions" in names, "space_positions" in names
    return {
        "attention": next(n for n, scheme in SCHEMES.items() if [*scheme.windows] == windows),
        "positions": "space_time" if timed else "space" if placed else "none",
        "size": _name_size(dim, depth, head.get_layer("block_1_mlp_1").units),
        "patch_size": patch,
        "stream": _name_streams(channels)[0],
    }


def describe_tensors(kind, tensors):
    """Return {flag: values that suit}, the usual one first, as far as tensors tell.

    Args:
        kind, tensors: from `models.pretrained.hugging_face.recognize_tensors`.
    """
    traits = {"positions": ("space_time", "space")}
    if kind == "TimeSformer":
        timed = "embeddings.time_embeddings" in tensors
        divided = any("temporal_" in name for name in tensors)
        traits["attention"] = ("divided" if divided else "joint" if timed else "space",)
        traits["positions"] = ("space_time" if timed or divided else "space",)
    kernel = tensors.get("embeddings.patch_embeddings.projection.weight")
    hidden = tensors.get("encoder.layer.0.intermediate.dense.bias")
    if kernel is not None and hidden is not None and kernel.ndim == 4:
        blocks = {name.split(".")[2] for name in tensors if name.startswith("encoder.layer.")}
        traits["size"] = (_name_size(len(kernel), len(blocks), len(hidden)),)
        traits["patch_size"], traits["stream"] = kernel.shape[2:3], _name_streams(kernel.shape[1])
    return traits


def check_traits(network, traits, where):
    """Compare what a checkpoint is made for with what a network is.

    Args:
        network: a TimeSformer from `models.networks.build`.
        traits: {flag: values that suit}; a flag that is absent may have any.
        where: the checkpoint's name, for errors.

    Raises:
        WeightsError: naming what differs, and the flags that would agree.
    """
    differences, flags = [], []
    for flag, own in describe_network(network).items():
        suitable = traits.get(flag, (own,))
        if own not in suitable:
            theirs = suitable[0] if suitable else "of neither rgb nor flow"
            differences.append(f"{flag} {theirs} (this network: {own})")
            flags.append(f"--{flag.replace('_', '-')} {theirs}")
    if differences:
        advice = f"give {' '.join(flag for flag in flags if ' of ' not in flag)}"
        raise WeightsError(
            f"{where} has {', '.join(differences)}; "
            f"{'no flag makes them agree' if advice == 'give ' else advice}."
        )
