"""Every file of a dataset decoded once, so that a broken one is named before training begins."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from utils.features.lookup import check_lengths, locate_features, read_info
from utils.system.files import write_atomically
from utils.video.image_folders import stamp_video
from utils.video.reading import VideoError, probe
from utils.video.video import Video

from tqdm import tqdm


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


def _inspect_features(paths, features, workers):
    """Read the features of videos; arguments and result as of `inspect_videos`."""
    located = locate_features(paths, features)

    def look(path):
        try:
            return read_info(path, located[path])
        except KeyError:
            return f"no features in {features}"
        except ValueError as error:
            return str(error).removeprefix(f"{path}: ")

    with ThreadPoolExecutor(workers) as pool:
        looks = tqdm(pool.map(look, paths), total=len(paths), desc="Reading features", unit="video")
        found = dict(zip(paths, looks, strict=True))
    problems = [(path, f"{path}: {why}") for path, why in found.items() if isinstance(why, str)]
    infos = {path: info for path, info in found.items() if not isinstance(info, str)}
    if missing := len(found) - len(located):
        print(f"{missing} of {len(found)} videos have no features in {features}")
    check_lengths(list(infos.values()))
    return infos, problems + list(_duplicates(infos))


def inspect_videos(paths, cache_path, workers=2, features=""):
    """Probe files, remembering the results of those that have not changed since.

    Args:
        paths: the files.
        cache_path: folder of the memory, `videos.json`.
        workers: threads.
        features: as in `utils.features.lookup.index_features`: those are read, in place of the
            videos, which need not be there; "" for the videos.

    Returns:
        ({path: `Video`} of the readable files, or {path: `FeatureInfo`}; [(path, problem)]):
        problems are unreadable files, and what is odd about readable ones (they are used).

    Raises:
        ValueError: features that do not fit together, or none at all.
    """
    if features:
        return _inspect_features(paths, features, workers)
    memory_path = Path(cache_path) / "videos.json"
    memory = _load(memory_path)

    def look(path):
        key, stamp = str(Path(path).resolve()), stamp_video(path)
        known = memory.get(key)
        if known and known[0] == stamp:
            fields = known[1]
            times = fields["times"] and tuple(fields["times"])
            return Video(**fields | {"path": path, "times": times})
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
