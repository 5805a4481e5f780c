"""Start a network from another one: whatever has the same name and shape is taken over."""

from models.timesformer import RESIZERS

import keras


def _list_weights(model, prefix=""):
    """Yield (layer's name, position among its weights, variable) of a model's inner layers."""
    for layer in model.layers:
        inner = getattr(layer, "layer", layer)  # what a TimeDistributed repeats
        if isinstance(inner, keras.Model):
            yield from _list_weights(inner, f"{prefix}{layer.name}/")
        else:
            for position, variable in enumerate(layer.weights):
                yield f"{prefix}{layer.name}", position, variable


def _fit_positions(name, here, there):
    """Return position embeddings `there` interpolated to the shape of `here`, or None."""
    resize = RESIZERS.get(name.rsplit("/")[-1])
    if resize and here.shape[2] == there.shape[2]:
        return resize(keras.ops.convert_to_numpy(there[0]), here.shape[1])[None]
    if not resize and name.endswith("positions"):
        raise ValueError(
            f"The saved network has {there.shape[1]} positions in its {name}, but this one "
            f"has {here.shape[1]}. Give the same number of segments and frames, and the "
            "same patches."
        )
    return None


def _keep_stream(weights, stream):
    """Yield what belongs to a stream of two, under the name it has in a network of that alone."""
    for name, position, variable in weights:
        parts = name.split("/")
        if parts[1:2] == [stream]:
            yield "/".join([parts[0], *parts[2:]]), position, variable


def warm_start(network, source, stream=""):
    """Copy a network's weights into another: the backbone, and what fits of the head.

    Args:
        network: from `models.networks.build`, to be filled.
        source: a trained one; its classes, head or network may be others.
        stream: where the network takes two, the one that a source of one fills.

    Returns:
        (loaded, fresh, left): names of layers that were loaded whole (with the numbers, where
        positions were interpolated), that keep their initial weights (with the shapes, where
        they differ), and that only the source has.

    Raises:
        ValueError: position embeddings for another number of segments or tokens that cannot be
            interpolated, a backbone that is not loaded whole, or nothing in common.
    """
    saved = {(name, position): v for name, position, v in _list_weights(source)}
    matched, fresh, fitted = [], {}, {}
    here = _list_weights(network)
    for name, position, variable in _keep_stream(here, stream) if stream else here:
        there = saved.get((name, position))
        if there is None:
            fresh.setdefault(name, "")
        elif there.shape == variable.shape:
            matched.append((name, variable, there))
        elif (positions := _fit_positions(name, variable, there)) is not None:
            matched.append((name, variable, positions))
            fitted[name] = f" ({there.shape[1]} interpolated to {variable.shape[1]})"
        else:
            fresh.setdefault(name, f" {tuple(variable.shape)}, not {tuple(there.shape)}")
    loaded = {name: None for name, _, _ in matched if name not in fresh}
    missing = [name for name in fresh if name.startswith("backbone/")]
    if missing or not loaded:
        what = f"its backbone lacks {missing[0]}{fresh[missing[0]]}" if missing else "nothing fits"
        raise ValueError(f"The saved {source.name} cannot start this {network.name}: {what}.")
    for name, variable, there in matched:
        if name in loaded:
            variable.assign(there)
    left = {name: None for name, _ in saved if name not in loaded and name not in fresh}
    loaded = [name + fitted.get(name, "") for name in loaded]
    return loaded, [name + note for name, note in fresh.items()], list(left)
