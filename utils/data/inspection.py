"""Every file of a dataset read once, so that a broken one is named before training begins."""

import json
import os
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from utils.features.lookup import check_lengths, locate_features, open_features
from utils.features.row_memory import RowMemory
from utils.system.files import write_atomically
from utils.system.locks import wait_for_lock
from utils.system.processes import open_threads
from utils.system.progress import show_progress
from utils.system.words import print_line
from utils.video.flow_store import find_damage, stamp_stored
from utils.video.image_folders import stamp_video
from utils.video.reading import probe
from utils.video.video import Video, VideoError
from utils.video.views import CENTER

# Of what `probe` finds: what an older one wrote down is searched again.
_READER = 2


_PAUSE = 60  # seconds after which what was found is written down
_NUMBER = (int, float)
# Of a remembered `Video`, as JSON gives it back.
_KINDS = {
    "num_frames": int,
    "fps": _NUMBER,
    "width": int,
    "height": int,
    "digest": str,
    "times": (list, type(None)),
    "note": str,
    "start": _NUMBER,
    "tick": _NUMBER,
    "length": (*_NUMBER, type(None)),
    "keys": list,
}


def _load(path):
    try:
        memory = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return memory if isinstance(memory, dict) else {}


def _restore(entry, stamp, path):
    """Return the `Video` of a remembered entry; None where the file has changed, or the entry is
    damaged or another version's."""
    match entry:
        case [found, dict(fields)] if found == stamp and fields.keys() == _KINDS.keys():
            times, keys = fields["times"], fields["keys"]
        case _:
            return None
    whole = (
        all(isinstance(fields[name], kind) for name, kind in _KINDS.items())
        and all(isinstance(each, _NUMBER) for each in times or ())
        and (times is None or len(times) == fields["num_frames"])
        and all(isinstance(each, list) and [*map(type, each)] == [int, int] for each in keys)
        and fields["num_frames"] > 0 < fields["fps"]
    )
    if not whole:
        return None
    fields = fields | {"times": times and tuple(times), "keys": tuple(map(tuple, keys))}
    return Video(path=path, **fields)


class _Memory:
    """What is known of videos, {key: entry} in a file that several processes may write."""

    def __init__(self, path):
        self.path, self.known, self.fresh = path, _load(path), {}
        self.lock, self.written = threading.Lock(), time.monotonic()

    def add(self, key, entry):
        """Remember an entry; write what is new at least every `_PAUSE`."""
        with self.lock:
            self.fresh[key] = entry
            if time.monotonic() - self.written >= _PAUSE:
                self._write()

    def close(self):
        """Write what is new."""
        with self.lock:
            if self.fresh:
                self._write()

    def _write(self):
        with wait_for_lock(self.path.with_suffix(".lock")):
            write_atomically(self.path, json.dumps(_load(self.path) | self.fresh))
        self.fresh, self.written = {}, time.monotonic()


def _duplicates(found):
    """Yield (path, problem) for files whose content is that of an earlier one."""
    first = {}
    for path, each in found.items():
        if first.setdefault(each.digest, path) != path:
            yield path, f"{path}: the same content as {first[each.digest]}"


def inspect_features(paths, features, workers=2, gaps=None):
    """Read the features of videos once, and keep them as far as memory allows.

    The videos need not be there.

    Args:
        paths: of the videos.
        features: as in `utils.features.lookup.index_features`.
        workers: threads.
        gaps: as in `utils.features.lookup.open_features`.

    Returns:
        ({path: `VideoFeatures`} of those that can be read, [(path, problem)]).

    Raises:
        ValueError: none at all, or as many of one length of rows as of others.
    """
    located, memory = locate_features(paths, features), RowMemory()

    def look(path):
        if path not in located:
            return None, f"no features in {features}"
        try:
            return open_features(path, located[path], memory, gaps), ""
        except ValueError as error:
            return None, str(error).removeprefix(f"{path}: ")

    with open_threads(workers) as pool:
        looks = pool.map(look, paths)
        bar = show_progress("Reading features", "video", looks, len(paths))
        looked = dict(zip(paths, bar, strict=True))
    problems = [(path, f"{path}: {reason}") for path, (_, reason) in looked.items() if reason]
    found = {path: each for path, (each, _) in looked.items() if each}
    if missing := len(looked) - len(located):
        print_line(f"{missing} of {len(looked)} videos have no features in {features}")
    counts = Counter(each.channels for each in found.values())
    most, count = counts.most_common(1)[0] if found else (0, 0)
    if 2 * count <= len(found):
        check_lengths(list(found.values()))
    for path in [path for path, each in found.items() if each.channels != most]:
        file, channels = found[path].views[CENTER][0], found.pop(path).channels
        text = f"{path}: {file}: its rows have {channels} channels, but most others have {most}"
        problems.append((path, text))
    return found, problems + list(_duplicates(found))


def inspect_flow(videos, kind, folder, cache_path, workers=2):
    """Read the stored flow of videos once; what is damaged counts as not stored.

    Args:
        videos: {path: `Video`}.
        kind: of `utils.video.flow.flow_kind`.
        folder: a store; "" for none.
        cache_path: folder of the memory of what is whole, `flow_checks.json`.
        workers: threads.

    Returns:
        [(path, problem)].
    """
    if not folder:
        return []
    memory = _Memory(Path(cache_path, "flow_checks.json"))

    def look(video):
        path, stamp = stamp_stored(folder, video, kind) or ("", "")
        known = memory.known.get(path)
        damage = find_damage(folder, video, kind, known)
        if damage == "" and stamp != known:
            memory.add(path, stamp)
        return damage

    problems = []
    with closing(memory), open_threads(workers) as pool:
        looks = pool.map(look, videos.values())
        bar = show_progress("Checking stored optical flow", "video", looks, len(videos))
        for path, damage in zip(videos, bar, strict=True):
            if damage:
                text = (
                    f"{path}: its stored optical flow is damaged, so it is computed again: {damage}"
                )
                problems.append((path, f"{text}. To store it again, run scripts.extract_flow"))
    return problems


def inspect_videos(paths, cache_path, workers=2):
    """Probe files, remembering the results of those that have not changed since.

    What was found is written down every minute: a killed inspection goes on where it was.

    Args:
        paths: the files.
        cache_path: folder of the memory, `videos.json`.
        workers: threads.

    Returns:
        ({path: `Video`} of the readable files, [(path, problem)]): problems are unreadable files,
        and what is odd about readable ones (they are used).
    """
    memory = _Memory(Path(cache_path, "videos.json"))

    def look(path):
        key, stamp = os.path.realpath(path), [_READER, *(stamp_video(path) or ())]
        if known := _restore(memory.known.get(key), stamp, path):
            return known
        try:
            video = probe(path)
        except VideoError as error:
            return error
        memory.add(key, [stamp, {name: v for name, v in vars(video).items() if name != "path"}])
        return video

    videos, problems = {}, []
    with closing(memory), open_threads(workers) as pool:
        looks = pool.map(look, paths)
        bar = show_progress("Checking videos", "video", looks, len(paths))
        for path, video in zip(paths, bar, strict=True):
            if isinstance(video, VideoError):
                problems.append((path, str(video)))
            else:
                videos[path] = video
                if video.note:
                    problems.append((path, f"{path}: {video.note}"))
    return videos, problems + list(_duplicates(videos))
