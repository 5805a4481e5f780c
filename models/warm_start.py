"""Start a network from another one: whatever has the same name and shape is taken over."""

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


def _check_positions(name, here, there):
    if name.endswith("positions") and here != there:
        raise ValueError(
            f"The saved network knows {there[1]} places in its {name}, this one has {here[1]}: "
            "give it as many segments and frames, cut the same way."
        )


def warm_start(network, source):
    """Copy a network's weights into another: the backbone, and what fits of the head.

    Args:
        network: from `models.networks.build`, to be filled.
        source: a trained one; its classes, head or network may be others.

    Returns:
        (loaded, fresh, left): names of layers that were loaded whole, that keep their initial
        weights (with the shapes, where they differ), and that only the source has.

    Raises:
        ValueError: position embeddings for another number of segments or tokens, a backbone
            that is not loaded whole, or nothing in common.
    """
    saved = {(name, position): v for name, position, v in _list_weights(source)}
    matched, fresh = [], {}
    for name, position, variable in _list_weights(network):
        there = saved.get((name, position))
        if there is None:
            fresh.setdefault(name, "")
        elif there.shape != variable.shape:
            _check_positions(name, variable.shape, there.shape)
            fresh.setdefault(name, f" {tuple(variable.shape)}, not {tuple(there.shape)}")
        else:
            matched.append((name, variable, there))
    loaded = {name: None for name, _, _ in matched if name not in fresh}
    missing = [name for name in fresh if name.startswith("backbone/")]
    if missing or not loaded:
        what = f"its I3D lacks {missing[0]}{fresh[missing[0]]}" if missing else "nothing fits"
        raise ValueError(f"The saved {source.name} cannot start this {network.name}: {what}.")
    for name, variable, there in matched:
        if name in loaded:
            variable.assign(there)
    left = {name: None for name, _ in saved if name not in loaded and name not in fresh}
    return list(loaded), [f"{name}{note}" for name, note in fresh.items()], list(left)
