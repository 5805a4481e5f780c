"""Videos to features in three stages: read blocks, run them, put their rows together.

The stages are plain functions and values: reading is `utils.features.blocks.read_video`, running is
any function of a batch of blocks, and `Collector` takes rows in any order. Here they are joined in
one process, threads reading ahead of the network.
"""

import csv
import io
import queue
import threading
from contextlib import closing
from pathlib import Path

from utils.features.blocks import Failure, Part, read_video, try_digest
from utils.features.store import is_done, read_record, save_features, settings_hash
from utils.system.files import name_damaged
from utils.system.processes import open_threads
from utils.system.progress import show_progress
from utils.system.tables import read_cell, read_text, write_csv
from utils.video.image_folders import stamp_video

import numpy as np

_END = object()
FAILURES = "failures.csv"
_COLUMNS = ["path", "reason", "digest"]


class Collector:
    """Rows of videos, put together in any order, and saved as soon as a video is complete.

    Args:
        folder: an open store.
        settings: of the store.
        views: of each video.
        dtype: of the arrays.
        failures: {name: `Failure`} of the videos that failed before.

    Attributes:
        notes: {name: what is odd about the file} of videos that were saved.
    """

    def __init__(self, folder, settings, views, dtype="float32", failures=None):
        self.folder, self.settings = Path(folder), settings_hash(settings)
        self.views, self.dtype = tuple(views), dtype
        self.failures = dict(failures or {})
        self.begun, self.saved, self.rows, self.notes = {}, set(), 0, {}

    def add(self, part, rows):
        """Take the rows of a part; save the video if they were its last. A part may come twice.

        Args:
            part: a `utils.features.blocks.Part`.
            rows: float array; the first `len(part.times)` count.

        Raises:
            OSError: the disk is full or may not be written; nothing of the video is there.
        """
        if part.name in self.failures or part.name in self.saved:
            return
        if part.name not in self.begun:
            arrays = np.zeros((len(self.views), part.total, rows.shape[-1]), self.dtype)
            self.begun[part.name] = arrays, np.zeros(part.total), np.zeros(arrays.shape[:2], bool)
        arrays, times, seen = self.begun[part.name]
        end, view = part.first + len(part.times), self.views.index(part.view)
        arrays[view, part.first : end] = rows[: len(part.times)]
        times[part.first : end] = part.times
        seen[view, part.first : end] = True
        if seen.all():
            views = dict(zip(self.views, arrays, strict=True))
            record = {"source": part.digest, "settings": self.settings}
            record["times"] = times.round(4).tolist()
            if part.note:
                self.notes[part.name] = record["note"] = part.note
            save_features(self.folder, part.name, views, record)
            del self.begun[part.name]
            self.saved.add(part.name)
            self.rows += seen.size

    def fail(self, failure):
        """Drop a video, and list it in failures.csv."""
        self.begun.pop(failure.name, None)
        self.failures[failure.name] = failure
        self.save_failures()

    def save_failures(self):
        """Write failures.csv: path, reason and digest of every video that failed."""
        rows = ((each.path, each.reason, each.digest) for each in self.failures.values())
        write_csv(self.folder / FAILURES, _COLUMNS, rows)


def load_failures(folder):
    """Return {path: (reason, digest)} of a store's failures.csv, empty where there is none.

    Raises:
        ValueError: the file is damaged; it is named.
    """
    path = Path(folder, FAILURES)
    if not path.is_file():
        return {}
    with name_damaged(path):
        rows = [*csv.reader(io.StringIO(read_text(path), ""), strict=True)]
    if rows[:1] != [_COLUMNS] or any(len(row) != len(_COLUMNS) for row in rows):
        raise ValueError(
            f"{path} is damaged. Delete it; the videos that failed before are then tried again."
        )
    return {name: (why, digest) for name, why, digest in (map(read_cell, row) for row in rows[1:])}


def list_missing(names, folder, settings, retry=False, workers=2):
    """Sort videos into those whose features are missing and those that failed before.

    Videos count by content: one that has changed is missing again, done or failed. Only those that
    were done or failed before are read for it.

    Args:
        names: {path: name in the store}.
        folder: the store.
        settings: of the store.
        retry: whether to take those that failed before as missing.
        workers: threads.

    Returns:
        ({path: name} of the missing ones, {name: `Failure`} of those that failed before).
    """
    before = {} if retry else load_failures(folder)

    def look(path):
        recorded = read_record(folder, names[path])
        reason, digest = before.get(path, ("", ""))
        found = try_digest(path) if recorded or digest else ""
        if digest and digest == found:
            return Failure(names[path], path, reason, digest)
        return bool(recorded) and is_done(folder, names[path], found, settings, recorded)

    with open_threads(workers) as pool:
        looks = pool.map(look, names)
        bar = show_progress("Looking for features", "video", looks, len(names))
        found = dict(zip(names, bar, strict=True))
    failures = {each.name: each for each in found.values() if isinstance(each, Failure)}
    return {path: names[path] for path, done in found.items() if done is False}, failures


class Progress:
    """Shows how many videos and minutes of them are done; called with what is, and a context.

    A long video counts by its parts, a large one more than a small one, so that the time left is
    steady.

    Args:
        videos: {path: name}.
        views: of each video.
    """

    def __init__(self, videos, views):
        sizes = {name: (stamp_video(path) or [1])[0] or 1 for path, name in videos.items()}
        scale = len(sizes) / max(sum(sizes.values()), 1)
        self.sizes = {name: size * scale for name, size in sizes.items()}  # their mean is 1
        self.left, self.views, self.seconds = dict(self.sizes), views, 0.0
        self.bar = show_progress("Extracting features", "video", total=len(sizes), parts=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bar.close()

    def __call__(self, item):
        size = self.left[item.name]
        if isinstance(item, Part):
            share = len(item.times) / (item.total * self.views)
            size = self.sizes[item.name] * share
            self.seconds += item.seconds * share
            minutes = f"{self.seconds / 60:.1f} minutes of video done"
            self.bar.set_postfix_str(minutes, refresh=False)
        self.left[item.name] -= size
        self.bar.update(min(size, self.bar.total - self.bar.n))


def read_ahead(read, tasks, workers, capacity):
    """Yield what `read` yields for each task, from several threads, in any order.

    Args:
        read: function of a task that returns an iterable.
        tasks: iterable.
        workers: threads, each at one task.
        capacity: results that wait at most.

    Raises:
        Exception: whatever `read` raised.
    """
    waiting, stop = queue.Queue(capacity), threading.Event()
    left, lock = iter(tasks), threading.Lock()

    def put(item):
        while not stop.is_set():
            try:
                return waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
        return None

    def take():
        with lock:
            return next(left, _END)

    def work():
        try:
            while not stop.is_set() and (task := take()) is not _END:
                for item in read(task):
                    put(item)
                    if stop.is_set():
                        return
            put(_END)
        except Exception as error:  # raised again where the results are used
            put(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        while workers:
            item = waiting.get()
            if isinstance(item, Exception):
                raise item
            workers -= item is _END
            if item is not _END:
                yield item
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def batch_blocks(items, batch_frames, fail):
    """Gather blocks of equal length to batches across videos; only the last of a length are short.

    Args:
        items: iterable of `Block` and `Failure`.
        batch_frames: frames of a batch; at least one block.
        fail: function that is given each `Failure`.

    Yields:
        (parts, uint8 (blocks, length, frame_size, frame_size, channels)): a last batch is filled
        up with its last block, so that each length has one shape.
    """
    pending = {}

    def stack(blocks, size):
        frames = [block.frames for block in blocks]
        return [block.part for block in blocks], np.stack(
            frames + frames[-1:] * (size - len(frames))
        )

    for item in items:
        if isinstance(item, Failure):
            fail(item)
            continue
        length = len(item.frames)
        blocks = pending.setdefault(length, [])
        blocks.append(item)
        if len(blocks) == max(1, batch_frames // length):
            yield stack(pending.pop(length), len(blocks))
    for length, blocks in pending.items():
        yield stack(blocks, max(1, batch_frames // length))


def extract_rows(videos, row_format, infer, collector, options, progress=lambda part: None):
    """Run videos through a network and save their rows.

    Args:
        videos: list of (path, name).
        row_format: a `utils.features.blocks.RowFormat`.
        infer: function of a batch of blocks, uint8, to rows (blocks, rows, dim).
        collector: a `Collector`.
        options: (batch_frames, reading threads, bytes that may wait).
        progress: function that is given each finished `Part`, and each `Failure`.

    Raises:
        OSError: the store cannot be written.
    """
    batch_frames, workers, waiting = options
    capacity = max(1, waiting // (max(row_format.lengths) * row_format.frame_bytes))

    def fail(failure):
        collector.fail(failure)
        progress(failure)

    def read(video):
        return read_video(*video, row_format)

    with closing(read_ahead(read, videos, workers, capacity)) as items:
        for parts, blocks in batch_blocks(items, batch_frames, fail):
            for part, rows in zip(parts, infer(blocks), strict=False):
                collector.add(part, rows)
                progress(part)
