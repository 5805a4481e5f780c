"""Published TimeSformer and ViT weights: where they lie, and whether they fit a network.

Bertasius et al., ICML 2021; accuracies from the README of facebookresearch/TimeSformer. The files
are transformers' conversions on Hugging Face; only safetensors are read.
"""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from models.pretrained.compatibility import check_traits, describe_tensors
from models.pretrained.digests import check_first, hash_file
from models.pretrained.download import (
    TIMEOUT,
    Bar,
    WeightsError,
    fetch_first,
    reachable,
)
from models.pretrained.hugging_face import recognize_tensors, set_tensors

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
        revisions: in the order tried, commits where they are known; Hugging Face's bot offers
            safetensors in `refs/pr/N`.
        frames, frame_size: of a clip.
        classes: outputs of its classifier; 0: none.
        accuracy: top-1 and top-5 on the validation set of the data that it was trained on.
        megabytes: of the file.
        mean, deviation: of the pixels in [0, 1] that it expects.
        traits: what a network must have.
        sha256: of the file; "": not known, the first file that came is held on to.
        protocol: how the accuracy was measured (the paper, section 4).
        license: of the weights.
    """

    weights: str
    repository: str
    revisions: tuple[str, ...]
    frames: int
    frame_size: int
    classes: int
    accuracy: tuple[float, float] | None
    megabytes: int
    mean: float = 0.45
    deviation: float = 0.225
    traits: dict[str, tuple] = _DIVIDED
    sha256: str = ""
    protocol: str = "validation set; one clip, three crops"
    license: str = "CC BY-NC 4.0"


_BASE, _HR = "facebook/timesformer-base-finetuned", "facebook/timesformer-hr-finetuned"
_LARGE = "fcakyon/timesformer-large-finetuned"
_VIT16, _VIT_TRAITS = "google/vit-base-patch16-224", (0.5, 0.5, _VIT)
_VIT_LICENSE = {"protocol": "", "license": "Apache-2.0"}
_MAIN = ("main",)
_K400_COMMIT = "8aaf40ea7d3d282dcb0a5dea01a198320d15d6c0"
_VIT_COMMIT = ("3f49326eb077187dfe1c2a2bb15fbd74e6ab91e3",)
_VIT_21K_COMMIT = ("b4569560a39a0f1af58e3ddaf17facf20ab919b0",)
_VIT_21K_SHA256 = "fd4e1169c7aa6c2dbfa8a6448be13b35abc0ee256190857c90009d12c094619b"
PUBLISHED = {
    "timesformer_base_k400": Checkpoint(
        "kinetics", f"{_BASE}-k400", (_K400_COMMIT, "refs/pr/5"), 8, 224, 400, (77.9, 93.2), 486
    ),
    "timesformer_hr_k400": Checkpoint(
        "kinetics", "fcakyon/timesformer-hr-finetuned-k400", _MAIN, 16, 448, 400, (79.6, 94.0), 488
    ),
    "timesformer_l_k400": Checkpoint(
        "kinetics", f"{_LARGE}-k400", _MAIN, 96, 224, 400, (80.6, 94.7), 487
    ),
    "timesformer_base_k600": Checkpoint(
        "kinetics600", f"{_BASE}-k600", ("main", "refs/pr/7"), 8, 224, 600, (79.1, 94.4), 487
    ),
    "timesformer_hr_k600": Checkpoint(
        "kinetics600", f"{_HR}-k600", ("main", "refs/pr/4"), 16, 448, 600, (81.8, 95.8), 489
    ),
    "timesformer_l_k600": Checkpoint(
        "kinetics600", f"{_LARGE}-k600", ("main", "refs/pr/1"), 96, 224, 600, (82.2, 95.6), 487
    ),
    "timesformer_base_ssv2": Checkpoint(
        "ssv2", f"{_BASE}-ssv2", ("main", "refs/pr/5"), 8, 224, 174, (59.1, 85.6), 486
    ),
    "timesformer_hr_ssv2": Checkpoint(
        "ssv2", f"{_HR}-ssv2", ("main", "refs/pr/5"), 16, 448, 174, (61.8, 86.9), 487
    ),
    "timesformer_l_ssv2": Checkpoint(
        "ssv2", f"{_LARGE}-ssv2", ("main", "refs/pr/1"), 64, 224, 174, (62.0, 87.5), 486
    ),
    "vit_base_imagenet": Checkpoint(
        "imagenet", _VIT16, _VIT_COMMIT, 1, 224, 1000, None, 346, *_VIT_TRAITS, **_VIT_LICENSE
    ),
    "vit_base_imagenet21k": Checkpoint(
        "imagenet21k",
        f"{_VIT16}-in21k",
        _VIT_21K_COMMIT,
        1,
        224,
        0,
        None,
        346,
        *_VIT_TRAITS,
        _VIT_21K_SHA256,
        **_VIT_LICENSE,
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


def _check_digest(path, row):
    found = hash_file(path)
    if not row.sha256:
        check_first(path, found)
    elif found != row.sha256:
        raise WeightsError(
            f"{path} is not the {FILE} of {row.repository}: its SHA-256 is {found}, not "
            f"{row.sha256}. Delete the file and run again, or give your own: --weights "
            "<file>."
        )
    return path


def fetch(name, folder="weights/pretrained"):
    """Return the path of a published checkpoint's file, downloading it on first use.

    Args:
        name: a key of `PUBLISHED`.
        folder: where downloads are kept; `<folder>/<name>/model.safetensors`, also put there by
            hand, is taken.

    Raises:
        WeightsError: it cannot be fetched (the message says what to put where), or its SHA-256 is
            not the published one, or not that of its first use.
    """
    row, target = PUBLISHED[name], Path(folder, name)
    if (target / FILE).is_file():
        return _check_digest(target / FILE, row)
    # Slow, and in a notebook it warns that its bars lack widgets; few runs need it.
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import HTTPError, XetDownloadError

    links = {
        f"{constants.ENDPOINT}/{row.repository}/resolve/{quote(revision, safe='')}/{FILE}": revision
        for revision in row.revisions
    }

    def download(revision):
        reachable(constants.ENDPOINT)  # without a network the hub itself tries for half a minute
        options = {"revision": revision, "local_dir": target, "etag_timeout": TIMEOUT}
        try:
            return Path(hf_hub_download(row.repository, FILE, tqdm_class=Bar, **options))
        except (HTTPError, XetDownloadError) as error:
            raise WeightsError(f"{type(error).__name__}: {error}".splitlines()[0]) from error

    try:
        path = fetch_first(f"the weights {name} ({row.megabytes} MB)", links, download)
    except WeightsError as error:
        raise WeightsError(
            f"{name} could not be fetched:\n{error}\n"
            f"Download {FILE} from one of these addresses into {target}/, or give a local copy: "
            "--weights <file>.\n"
            "If there is only a pytorch_model.bin, weights/README.md says how to convert it.\n"
            "To train from scratch: --weights none."
        ) from error
    path = _check_digest(path, row)
    proof = "has the published SHA-256" if row.sha256 else f"SHA-256 noted in {path}.sha256"
    print(f"Saved as {path}; {proof}", flush=True)
    return path


def read_file(path):
    """Return {name: array} of a .safetensors file, or of a folder that holds one.

    Raises:
        WeightsError: nothing there, or not such a file; the path is named.
    """
    path = Path(path, FILE) if Path(path).is_dir() else Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such file. Give a .safetensors file, or its folder.")
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
                f"{where} is not {row.repository}: its {tensor} has {found} numbers, not "
                f"{size}. Delete the file and run again."
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
        WeightsError: another network, unknown weights, weights that cannot be fetched, or a
            checkpoint of another attention, size and so on; the network is unchanged.
    """
    if network.name != "timesformer":
        raise WeightsError(
            f"weights is {weights}, but {network.name} has no published weights. Give "
            "none, or a run (weights/<run>)."
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
