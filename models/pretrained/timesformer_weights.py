"""Published TimeSformer and ViT weights: where they lie, and whether they fit a network.

Bertasius et al., ICML 2021; accuracies from the README of facebookresearch/TimeSformer. The files
are transformers' conversions on Hugging Face; only safetensors are read.
"""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from models.pretrained.compatibility import check_traits, describe_tensors
from models.pretrained.download import TIMEOUT, WeightsError, reachable
from models.pretrained.hugging_face import recognize_tensors, set_tensors

from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import HTTPError, XetDownloadError
from safetensors import SafetensorError
from safetensors.numpy import load_file

FILE = "model.safetensors"
# Flag: the values of it that suit a checkpoint, the usual one first.
_VIT = {
    "positions": ("space_time", "space"),
    "size": ("base",),
    "patch_size": (16,),
    "stream": ("rgb",),
}
_DIVIDED = _VIT | {"attention": ("divided",), "positions": ("space_time",)}


class Checkpoint(NamedTuple):
    """A published checkpoint.

    Attributes:
        weights: the flag's value that asks for it.
        repository: on Hugging Face.
        revisions: in the order tried; Hugging Face's bot offers safetensors in `refs/pr/N`.
        frames, frame_size: of a clip.
        classes: outputs of its classifier; 0: none.
        accuracy: top-1 and top-5 on the data set it was trained on.
        mean, deviation: of the pixels in [0, 1] that it expects.
        traits: what a network must have.
    """

    weights: str
    repository: str
    revisions: tuple[str, ...]
    frames: int
    frame_size: int
    classes: int
    accuracy: tuple[float, float] | None
    mean: float = 0.45
    deviation: float = 0.225
    traits: dict[str, tuple] = _DIVIDED


_BASE, _HR = "facebook/timesformer-base-finetuned", "facebook/timesformer-hr-finetuned"
_LARGE = "fcakyon/timesformer-large-finetuned"
_MAIN = ("main",)
PUBLISHED = {
    "timesformer_base_k400": Checkpoint(
        "kinetics", f"{_BASE}-k400", ("main", "refs/pr/5"), 8, 224, 400, (77.9, 93.2)
    ),
    "timesformer_hr_k400": Checkpoint(
        "kinetics", "fcakyon/timesformer-hr-finetuned-k400", _MAIN, 16, 448, 400, (79.6, 94.0)
    ),
    "timesformer_l_k400": Checkpoint(
        "kinetics", f"{_LARGE}-k400", _MAIN, 96, 224, 400, (80.6, 94.7)
    ),
    "timesformer_base_k600": Checkpoint(
        "kinetics600", f"{_BASE}-k600", ("main", "refs/pr/7"), 8, 224, 600, (79.1, 94.4)
    ),
    "timesformer_hr_k600": Checkpoint(
        "kinetics600", f"{_HR}-k600", ("main", "refs/pr/4"), 16, 448, 600, (81.8, 95.8)
    ),
    "timesformer_l_k600": Checkpoint(
        "kinetics600", f"{_LARGE}-k600", ("main", "refs/pr/1"), 96, 224, 600, (82.2, 95.6)
    ),
    "timesformer_base_ssv2": Checkpoint(
        "ssv2", f"{_BASE}-ssv2", ("main", "refs/pr/5"), 8, 224, 174, (59.1, 85.6)
    ),
    "timesformer_hr_ssv2": Checkpoint(
        "ssv2", f"{_HR}-ssv2", ("main", "refs/pr/5"), 16, 448, 174, (61.8, 86.9)
    ),
    "timesformer_l_ssv2": Checkpoint(
        "ssv2", f"{_LARGE}-ssv2", ("main", "refs/pr/1"), 64, 224, 174, (62.0, 87.5)
    ),
    "vit_base_imagenet": Checkpoint(
        "imagenet", "google/vit-base-patch16-224", _MAIN, 1, 224, 1000, None, 0.5, 0.5, _VIT
    ),
    "vit_base_imagenet21k": Checkpoint(
        "imagenet21k", "google/vit-base-patch16-224-in21k", _MAIN, 1, 224, 0, None, 0.5, 0.5, _VIT
    ),
}


def choose_checkpoint(weights, frames, frame_size):
    """Return the key of `PUBLISHED` nearest to a network, by frame size, then by frames.

    Raises:
        WeightsError: unknown weights.
    """
    rows = {name: row for name, row in PUBLISHED.items() if row.weights == weights}
    if not rows:
        known = ", ".join(dict.fromkeys(row.weights for row in PUBLISHED.values()))
        raise WeightsError(
            f"Unknown weights {weights!r}; known: {known}, none, a .safetensors file, or a run."
        )
    return min(
        rows,
        key=lambda name: (
            abs(rows[name].frame_size - frame_size),
            abs(rows[name].frames - frames),
        ),
    )


def fetch(name, folder="weights/pretrained"):
    """Return the path of a published checkpoint's file, downloading it on first use.

    Args:
        name: a key of `PUBLISHED`.
        folder: where downloads are kept; `<folder>/<name>/model.safetensors`, also put there by
            hand, is taken as it is.

    Raises:
        WeightsError: it cannot be had; what to put where.
    """
    row, target = PUBLISHED[name], Path(folder, name)
    if (target / FILE).is_file():
        return target / FILE
    try:
        reachable(constants.ENDPOINT)  # without a network the hub itself tries for half a minute
        failures = []
    except OSError as error:
        failures = [f"  {error}"]
    for revision in () if failures else row.revisions:
        print(f"Fetching {name} ({row.repository}, {revision})", flush=True)
        try:
            options = {"revision": revision, "local_dir": target, "etag_timeout": TIMEOUT}
            return Path(hf_hub_download(row.repository, FILE, **options))
        except (OSError, HTTPError, XetDownloadError) as error:
            failures += f"  {revision}: {type(error).__name__}: {error}".splitlines()[:1]
    links = [
        f"  {constants.ENDPOINT}/{row.repository}/resolve/{quote(revision, safe='')}/{FILE}"
        for revision in row.revisions
    ]
    raise WeightsError(
        "\n".join([f"{name} could not be fetched:", *failures, f"Fetch {FILE} from"])
        + "\n"
        + "\n  or\n".join(links)
        + f"\ninto {target}/, or name a local copy: --weights <file>.\n"
        "Where there is only a pytorch_model.bin, weights/README.md says how to convert it.\n"
        "To train from scratch: --weights none."
    )


def read_file(path):
    """Return {name: array} of a .safetensors file, or of a folder that holds one.

    Raises:
        WeightsError: nothing there, or not such a file; the path is named.
    """
    path = Path(path, FILE) if Path(path).is_dir() else Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; give a .safetensors file, or its folder.")
    try:
        return load_file(path)
    except (SafetensorError, KeyError, TypeError) as error:
        raise WeightsError(f"{path} cannot be read as safetensors: {error}") from error


def _check_published(name, tensors, where):
    row, dim = PUBLISHED[name], 768
    sizes = {
        "classifier.bias": row.classes,
        "embeddings.position_embeddings": dim * (1 + (row.frame_size // 16) ** 2),
        "embeddings.time_embeddings": dim * row.frames if row.traits is _DIVIDED else 0,
    }
    for tensor, size in sizes.items():
        found = tensors[tensor].size if tensor in tensors else 0
        if found != size:
            raise WeightsError(
                f"{where} is not {row.repository}: its {tensor} holds {found} numbers, not {size}. "
                "Delete it and run again."
            )


def load_published(network, weights, folder="weights/pretrained"):
    """Load published weights into a TimeSformer.

    Args:
        network: from `models.networks.build`.
        weights: "kinetics", "kinetics600", "ssv2", "imagenet", "imagenet21k", or the path of a
            .safetensors file or of its folder.
        folder: the download cache.

    Returns:
        (what was loaded, sentences on what was interpolated and left out).

    Raises:
        WeightsError: another network, unknown weights, not to be had, or a checkpoint of another
            attention, size and so on; the network is unchanged.
    """
    if network.name != "timesformer":
        raise WeightsError(
            f"{network.name} has no published weights; give --weights none or a run "
            f"(weights/<run>), not {weights}."
        )
    known = {row.weights for row in PUBLISHED.values()}
    if weights not in known and Path(weights).exists():
        name, row, path = weights, None, weights
    else:
        _, segments, frames, frame_size = network.input_shape[:4]
        name = choose_checkpoint(weights, segments * frames, frame_size)
        row = PUBLISHED[name]
        check_traits(network, row.traits, name)
        path = fetch(name, folder)
    kind, tensors = recognize_tensors(read_file(path), path)
    if row:
        _check_published(name, tensors, path)
    check_traits(network, describe_tensors(kind, tensors), path)
    normalization = (row.mean, row.deviation) if row else None
    return name, set_tensors(network, kind, tensors, path, normalization)
