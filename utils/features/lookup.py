"""Features in place of clips: which file is a video's, and the rows that a network is shown.

Files are found by the video's name: FEATURES/run/a.npy or FEATURES/a.npy is DATA/run/a.mp4's; one
.npz or HDF5 file may hold an array for each name. Or a list names the files of features themselves.
"""

from collections import Counter
from pathlib import Path

from utils.features.layouts import READERS, list_arrays, load_features
from utils.features.row_memory import RowMemory
from utils.features.store import fit_features
from utils.features.video_features import VideoFeatures
from utils.system.files import explain_missing
from utils.system.hashing import hash_bytes
from utils.video.listing import list_tree
from utils.video.views import BESIDE_CENTER, CENTER

import numpy as np

_LOOKS = 5  # files that tell how long a row is
_HOLD_MANY = (".npz", ".h5", ".hdf5")


def _strip(name):
    known = [suffix for suffix in READERS if name.lower().endswith(suffix)]
    return name[: -len(known[0])] if known else name


def own_features(paths, data_path):
    """Return the whole path of data that are files of features themselves, "" for any other.

    Args:
        paths: of all of the data's files.
        data_path: what lists them.
    """
    own = bool(paths) and all(Path(path).suffix.lower() in READERS for path in paths)
    return str(Path(data_path).resolve()) if own else ""


def index_features(features):
    """List the features in a folder, or in one .npz or HDF5 file.

    Args:
        features: its path.

    Returns:
        {name: (file, name of the array in it)}; names are relative, without the file's suffix.
        None for a list (a .csv) of videos that are files of features themselves.

    Raises:
        ValueError: nothing there, or the one file cannot be read.
    """
    root = Path(features)
    if root.is_dir():
        tree = list_tree(root)
        found = (path for path in (*tree.videos, *tree.others) if path.suffix.lower() in READERS)
        index = {}
        for path in sorted(found, key=lambda path: (_rank(path), path)):
            index.setdefault(_strip(path.relative_to(root).as_posix()), (str(path), ""))
        return index
    if root.is_file() and root.suffix.lower() in _HOLD_MANY:
        return {name.removesuffix("/features"): (str(root), name) for name in list_arrays(root)}
    if root.is_file():
        return None
    raise ValueError(
        f"features {features}: {explain_missing(features)}. Give a folder of "
        f"{', '.join(READERS)} files named like the videos, or one "
        f"{' or '.join(_HOLD_MANY)} file with an array for each video."
    )


def _rank(path):
    """Return the place of a file's layout in `READERS`: the first wins where a name has two."""
    return list(READERS).index(path.suffix.lower())


def _locate(index, path):
    """Return {view: (file, name of the array)} of a video's features, {} where there are none."""
    path = Path(path)
    if index is None:
        if path.suffix.lower() not in READERS or not path.is_file():
            return {}
        siblings = {v: path.with_name(f"{path.stem}.{v}{path.suffix}") for v in BESIDE_CENTER}
        views = {CENTER: path} | {v: file for v, file in siblings.items() if file.is_file()}
        return {view: (str(file), "") for view, file in views.items()}
    for start in range(len(path.parts)):  # the longest name first: folders tell namesakes apart
        whole = "/".join(path.parts[start:])
        # PHOENIX-2014 keeps the frames of a sentence in <id>/1.
        names = (whole, whole.removesuffix(path.suffix), whole.removesuffix("/1"))
        for name in (*names, *map(fit_features, names)):
            if name in index:
                views = {v: index[f"{name}.{v}"] for v in BESIDE_CENTER if f"{name}.{v}" in index}
                return {CENTER: index[name]} | views
    return {}


def locate_features(paths, features):
    """Find the features of videos.

    Args:
        paths: of the videos, which need not be there.
        features: as in `index_features`.

    Returns:
        {path: {view: (file, name of the array in it)}} of those that have features.

    Raises:
        ValueError: as `index_features`, none of the videos has features, or two have the same.
    """
    index = index_features(features)
    located = {path: views for path in paths if (views := _locate(index, path))}
    if not located:
        example = f"such as {paths[0]}" if paths else "none"
        held = f"{len(index)} names, such as {next(iter(index))}" if index else "no names"
        raise ValueError(
            f"{features} has no features of any of the {len(paths)} videos ({example}). It "
            f"has features of {held}. Names must be equal except for the suffix."
        )
    counts = Counter(views[CENTER] for views in located.values())
    (file, name), count = counts.most_common(1)[0]
    if count > 1:
        same = [path for path, views in located.items() if views[CENTER] == (file, name)]
        raise ValueError(
            f"{file} {name}: the name fits two videos, {same[0]} and {same[1]}. Put the "
            "features into folders like those of the videos."
        )
    return located


def open_features(path, views, memory, gaps=None):
    """Read all of a video's features once.

    Args:
        path: of the video.
        views: {view: (file, name of the array in it)}.
        memory: a `RowMemory`, which keeps them where they fit.
        gaps: `utils.features.gaps.Gaps`, where points may be missing; None for none.

    Returns:
        The `VideoFeatures`.

    Raises:
        ValueError: a file that cannot be read, or numbers that are not finite; it is named.
    """
    for file, name in reversed(views.values()):  # the center last
        array = np.ascontiguousarray(memory.read(load_features, file, name))
        odd = np.isinf(gaps.fill(array)) if gaps else ~np.isfinite(array)
        if odd.any():
            raise ValueError(f"{file}: some numbers are NaN or infinite.")
    digest = hash_bytes([array.tobytes(), str(array.dtype).encode()])
    return VideoFeatures(path, views, *array.shape, digest, memory, gaps=gaps)


def find_features(path, features, gaps=None):
    """Read the features of one video.

    Args:
        path: of the video, which need not be there, or of its file of features.
        features: as in `index_features`; not looked at for a file of features.
        gaps: as in `open_features`.

    Returns:
        The `VideoFeatures`.

    Raises:
        ValueError: as `locate_features` and `open_features`.
    """
    views = _locate(None, path) or locate_features([path], features)[path]
    return open_features(path, views, RowMemory(), gaps)


def find_length(paths, features):
    """Return the channels of a row: of most of the first videos whose features can be read.

    Args:
        paths: of the videos; None for all that the features name.
        features: as in `index_features`.

    Raises:
        ValueError: as `locate_features`, or none can be read.
    """
    paths, lengths = list(index_features(features) or ()) if paths is None else paths, []
    for views in locate_features(paths, features).values():
        try:
            lengths.append(load_features(*views[CENTER]).shape[1])
        except ValueError as error:
            last = error
        if len(lengths) == _LOOKS:
            break
    if not lengths:
        raise ValueError(f"None of the features in {features} can be read: {last}")
    return Counter(lengths).most_common(1)[0][0]


def check_lengths(videos, length=0):
    """Check that all features have rows of one length.

    Args:
        videos: list of `VideoFeatures`.
        length: channels expected; 0 for those of the first.

    Raises:
        ValueError: naming a file whose rows differ.
    """
    for each in videos:
        first = videos[0]
        wanted = length or first.channels
        if each.channels != wanted:
            there = "the network takes" if length else f"those of {first.views[CENTER][0]}"
            raise ValueError(
                f"{' '.join(each.views[CENTER]).strip()}: its rows have {each.channels} "
                f"channels, {there} {wanted}. All must have the same number, and every "
                "array must be (rows, channels)."
            )
