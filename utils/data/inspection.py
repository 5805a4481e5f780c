"""Every file of a dataset read once, so that a broken one is named before training begins."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from utils.features.lookup import check_lengths, locate_features, open_features
from utils.system.files import write_atomically
from utils.video.image_folders import stamp_video
from utils.video.reading import probe
from utils.video.video import Video, VideoError

from tqdm import tqdm


# Of what `probe` finds: what an older one wrote down is found anew.
_READER = 2


def _load(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def _duplicates(found):
    """Yield (path, problem) for files whose content is that of an earlier one."""
    first = {}
    for path, each in found.items():
        if first.setdefault(each.digest, path) != path:
            yield path, f"{path}: the same content as {first[each.digest]}"


def inspect_features(paths, features, workers=2):
    """Read the features of videos once; the videos need not be there.

    Args:
        paths: of the videos.
        features: as in `utils.features.lookup.index_features`.
        workers: threads.

    Returns:
        ({path: `VideoFeatures`} of those that can be read, [(path, problem)]).

    Raises:
        ValueError: features that do not fit together, or none at all.
    """
    located = locate_features(paths, features)

    def look(path):
        if path not in located:
            return None, f"no features in {features}"
        try:
            return open_features(path, located[path]), ""
        except ValueError as error:
            return None, str(error).removeprefix(f"{path}: ")

    with ThreadPoolExecutor(workers) as pool:
        looks = tqdm(pool.map(look, paths), total=len(paths), desc="Reading features", unit="video")
        looked = dict(zip(paths, looks, strict=True))
    problems = [(path, f"{path}: {reason}") for path, (_, reason) in looked.items() if reason]
    found = {path: each for path, (each, _) in looked.items() if each}
    if missing := len(looked) - len(located):
        print(f"{missing} of {len(looked)} videos have no features in {features}")
    check_lengths(list(found.values()))
    return found, problems + list(_duplicates(found))


def inspect_videos(paths, cache_path, workers=2):
    """Probe files, remembering the results of those that have not changed since.

    Args:
        paths: the files.
        cache_path: folder of the memory, `videos.json`.
        workers: threads.

    Returns:
        ({path: `Video`} of the readable files, [(path, problem)]): problems are unreadable files,
        and what is odd about readable ones (they are used).
    """
    memory_path = Path(cache_path) / "videos.json"
    memory = _load(memory_path)

    def look(path):
        key, stamp = str(Path(path).resolve()), [_READER, *(stamp_video(path) or ())]
        known = memory.get(key)
        if known and known[0] == stamp:
            fields = known[1]
            times = fields["times"] and tuple(fields["times"])
            keys = tuple(map(tuple, fields["keys"]))
            return Video(**fields | {"path": path, "times": times, "keys": keys})
        try:
            video = probe(path)
        except VideoError as error:
            return error
        memory[key] = [stamp, {name: v for name, v in vars(video).items() if name != "path"}]
        return video

    videos, problems = {}, []
    pool = ThreadPoolExecutor(workers)
    try:
        looks = tqdm(pool.map(look, paths), total=len(paths), desc="Checking videos", unit="video")
        for path, video in zip(paths, looks, strict=True):
            if isinstance(video, VideoError):
                problems.append((path, str(video)))
            else:
                videos[path] = video
                if video.note:
                    problems.append((path, f"{path}: {video.note}"))
    finally:  # stopped by Ctrl-C too
        pool.shutdown(cancel_futures=True)
        write_atomically(memory_path, json.dumps(memory))
    return videos, problems + list(_duplicates(videos))
