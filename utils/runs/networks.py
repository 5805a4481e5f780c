"""The networks in a run's folder, loaded without executing anything that is in the file."""

from contextlib import contextmanager
from pathlib import Path

from utils.system.settings_files import read_kind


def best_network(folder):
    """Return the path of a run's best checkpoint.

    Raises:
        ValueError: there is none yet.
    """
    path = Path(folder) / "best.keras"
    if not path.is_file():
        raise ValueError(f"{folder} has no best.keras yet. Train it for at least one epoch.")
    return path


def _written_by(folder):
    path = Path(folder, "environment.json")
    keras_version = read_kind(path).get("keras") if path.is_file() else None
    return f"; Keras {keras_version} wrote it" if keras_version else ""


@contextmanager
def _name_refused(path):
    """Turn whatever Keras raises into a ValueError that names the file."""
    import keras  # slow; most of what is asked of a run needs no network

    try:
        yield keras
    except Exception as error:  # each layout has its own kinds; the file is what matters
        said = " ".join(str(error).split()) or type(error).__name__
        message = f"{path} cannot be loaded by Keras {keras.__version__}: {said[:200]}"
        raise ValueError(message) from error


def load_weights(network, path):
    """Load the weights of a .keras or .weights.h5 file into a network, or a compiled model.

    Raises:
        ValueError: a damaged file, or another network's; it is named.
    """
    with _name_refused(path):
        network.load_weights(path)


def read_network(path):
    """Load a network from a .keras file, uncompiled; nothing in it is executed (Keras' safe mode).

    Args:
        path: the file.

    Raises:
        ValueError: Keras cannot load it, or refuses to: a Python function in it, a layer that is
            not this project's or Keras' own, a damaged file.
    """
    with _name_refused(path) as keras:
        return keras.saving.load_model(path, compile=False, safe_mode=True)


def load_network(folder, layers=("head",)):
    """Load a run's best checkpoint, as `read_network` does.

    Args:
        folder: the run's.
        layers: one of which it has: "head" is a classifier's, "logits" a recognizer's on features,
            "recognizer" one's with a backbone in it.

    Raises:
        ValueError: none yet, a damaged file, or another version's or program's network.
    """
    path, mend = best_network(folder), "Use the version that wrote it, or train the run again."
    try:
        network = read_network(path)
    except ValueError as error:
        raise ValueError(f"{error}{_written_by(folder)}. {mend}") from error
    if not {layer.name for layer in network.layers} & set(layers):
        raise ValueError(
            f"{path} contains a network {network.name!r} without a layer "
            f"{' or '.join(layers)}, which this version needs. {mend}"
        )
    return network
