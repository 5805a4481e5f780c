"""Hugging Face's tensors of TimeSformer and ViT as the variables of our TimeSformer.

Names are those of transformers' TimesformerForVideoClassification and ViTForImageClassification.
A ViT starts a TimeSformer as in the authors' code (facebookresearch/TimeSformer, `load_pretrained`
and `VisionTransformer`): every attention of a block begins as the image network's, what the
earlier ones add passes zeros, and the embeddings of time are zero.
"""

from typing import NamedTuple

from models.attention import WindowAttention
from models.pretrained.download import WeightsError
from models.timesformer import RESIZERS

import numpy as np

# Layer here: there.
_LAYERS = {
    "class_token": "embeddings.cls_token",
    "space_positions": "embeddings.position_embeddings",
    "time_positions": "embeddings.time_embeddings",
    "projection": "embeddings.patch_embeddings.projection",
    "norm": "layernorm",
    "logits": "classifier",
}
# The same of a block, of its last window, and of the windows before.
_BLOCK = {
    "mlp_norm": "layernorm_after",
    "mlp_1": "intermediate.dense",
    "mlp_2": "output.dense",
}
_LAST = {
    "_norm": "layernorm_before",
    "/qkv": "attention.attention.qkv",
    "/projection": "attention.output.dense",
}
_TEMPORAL = {
    "_norm": "temporal_layernorm",
    "/qkv": "temporal_attention.attention.qkv",
    "/projection": "temporal_attention.output.dense",
    "/entry": "temporal_dense",
}
_SUFFIXES = {
    "kernel": ".weight",
    "gamma": ".weight",
    "bias": ".bias",
    "beta": ".bias",
    "tokens": "",
}


class Kind(NamedTuple):
    """A kind of checkpoint.

    Attributes:
        prefix: of its tensors' names, where there is one.
        earlier: what fills the windows before a block's last.
        zeros: ends of the names of layers that begin at zero.
        extras: beginnings of the names of tensors that are left out.
        normalization: (mean, standard deviation) of the pixels in [0, 1] that it expects.
    """

    prefix: str
    earlier: dict[str, str]
    zeros: tuple[str, ...]
    extras: tuple[str, ...]
    normalization: tuple[float, float]


KINDS = {
    "TimeSformer": Kind("timesformer.", _TEMPORAL, (), (), (0.45, 0.225)),
    "ViT": Kind("vit.", _LAST, ("time_positions", "/entry"), ("classifier", "pooler"), (0.5, 0.5)),
}


def recognize_tensors(tensors, where):
    """Say what a file holds.

    Args:
        tensors: {Hugging Face's name: array}.
        where: the file's name, for errors.

    Returns:
        (kind, tensors): a key of `KINDS`; the tensors without its prefix, a ViT's queries, keys
        and values joined.

    Raises:
        WeightsError: neither of the two.
    """
    queries = [name for name in tensors if ".attention.query." in name]
    is_vit = bool(queries) or any(name.startswith(KINDS["ViT"].prefix) for name in tensors)
    kind = "ViT" if is_vit else "TimeSformer"
    tensors = dict(tensors)
    for query in queries:
        parts = [query.replace(".query.", f".{part}.") for part in ("query", "key", "value")]
        if all(part in tensors for part in parts):
            joined = np.concatenate([tensors.pop(part) for part in parts])
            tensors[query.replace(".query.", ".qkv.")] = joined
    tensors = {name.removeprefix(KINDS[kind].prefix): array for name, array in tensors.items()}
    if not any(name.startswith(("embeddings.", "encoder.layer.")) for name in tensors):
        raise WeightsError(
            f"{where} contains neither a TimeSformer nor a ViT with Hugging Face's names. "
            f"Its first tensors are {', '.join(sorted(tensors)[:3]) or 'none'}."
        )
    return kind, tensors


def list_windows(head):
    """Return the names of a block's windows, in order, of a model from `build_timesformer`."""
    return [
        layer.name.removeprefix("block_1_")
        for layer in head.layers
        if isinstance(layer, WindowAttention) and layer.name.startswith("block_1_")
    ]


def _list_sources(head, kind):
    """Return {variable's path: its tensor's name, or None where it begins at zero}."""
    row, (*earlier, last) = KINDS[kind], list_windows(head)
    names = dict(_LAYERS)
    for block in range(sum(layer.name.endswith("_mlp_1") for layer in head.layers)):
        prefix, there = f"block_{block + 1}_", f"encoder.layer.{block}."
        parts = _BLOCK | {last + part: name for part, name in _LAST.items()}
        parts |= {window + part: name for window in earlier for part, name in row.earlier.items()}
        names |= {prefix + part: there + name for part, name in parts.items()}
    sources = {}
    for variable in head.weights:
        layer, leaf = variable.path.rsplit("/", 1)
        sources[variable.path] = (
            None if layer.endswith(row.zeros) else names[layer] + _SUFFIXES[leaf]
        )
    return sources


def _check_complete(wanted, tensors, where):
    problems = [
        f"{len(names)} tensors {what}, such as {', '.join(sorted(names)[:3])}"
        for what, names in (
            ("missing", wanted - set(tensors)),
            ("left over", set(tensors) - wanted),
        )
        if names
    ]
    if problems:
        raise WeightsError(f"{where} does not fit this network: {'; '.join(problems)}.")


def _convert(name, array, variable, where):
    """Return (array in the variable's layout, what was interpolated or "")."""
    layer, leaf = variable.path.rsplit("/", 1)
    shape, note = tuple(variable.shape), ""
    fitted = array.astype("float32")
    if leaf == "kernel":
        fitted = fitted.transpose(2, 3, 1, 0)[None] if fitted.ndim == 4 else fitted.T
    elif layer in RESIZERS and fitted.shape[::2] == shape[::2] and fitted.shape != shape:
        fitted = RESIZERS[layer](fitted[0], shape[1])[None]
        note = f"{layer} interpolated from {array.shape[1]} to {shape[1]}"
    if fitted.shape != shape:
        raise WeightsError(
            f"{where}: {name} is {array.shape}, which does not fit {variable.path}, {shape}."
        )
    return fitted, note


def fold_normalization(kernel, bias, mean, deviation):
    """Let a patch embedding for normalized pixels take pixels in [-1, 1].

    Args:
        kernel: array (..., channels, dim).
        bias: array (dim,).
        mean, deviation: of pixels in [0, 1], one number, or one for each channel.

    Returns:
        (kernel, bias), float32, that give exactly the same tokens.
    """
    columns = kernel.shape[-2], 1
    scale = np.broadcast_to(np.reshape(np.divide(0.5, deviation), (-1, 1)), columns)
    shift = np.broadcast_to(np.reshape(np.subtract(0.5, mean) / deviation, (-1, 1)), columns)
    bias = bias + (kernel.astype("float64") * shift).sum(axis=tuple(range(kernel.ndim - 1)))
    return (kernel * scale).astype("float32"), bias.astype("float32")


def set_tensors(network, kind, tensors, where, normalization=None):
    """Fill a TimeSformer with the tensors of a checkpoint, every one of them.

    Args:
        network: a TimeSformer from `models.networks.build`; it takes clips in [-1, 1].
        kind, tensors: from `recognize_tensors`.
        where: the checkpoint's name, for errors.
        normalization: (mean, standard deviation) of the pixels in [0, 1] that the checkpoint
            expects, folded into the patch embedding; None: that of its kind.

    Returns:
        Sentences: what was loaded, interpolated, left out.

    Raises:
        WeightsError: tensors missing, left over or of other shapes; the network is unchanged.
    """
    row, head = KINDS[kind], network.get_layer("head")
    sources, extras = _list_sources(head, kind), row.extras
    if extras or len(tensors.get("classifier.bias", ())) != network.output_shape[-1]:
        extras = ("classifier", *extras)
        sources = {path: n for path, n in sources.items() if not path.startswith("logits/")}
    left_out = [name for name in tensors if name.startswith(extras)]
    used = {name: array for name, array in tensors.items() if name not in left_out}
    _check_complete(set(filter(None, sources.values())), used, where)
    arrays, notes = {}, [f"{kind}, all {len(used)} tensors"]
    variables = {v.path: v for v in head.weights if v.path in sources}
    for path, variable in variables.items():
        arrays[path], note = np.zeros(variable.shape, "float32"), ""
        if name := sources[path]:
            arrays[path], note = _convert(name, used[name], variable, where)
        notes += [note] * bool(note)
    embedding = [arrays[f"projection/{leaf}"] for leaf in ("kernel", "bias")]
    folded = fold_normalization(*embedding, *(normalization or row.normalization))
    arrays["projection/kernel"], arrays["projection/bias"] = folded
    for path, variable in variables.items():
        variable.assign(arrays[path])
    notes += ["the classifier starts at random"] * bool(extras)
    notes += [f"left out: {', '.join(sorted(left_out))}"] * bool(left_out)
    return notes
