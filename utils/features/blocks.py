"""From a video to uint8 blocks of frames, in one pass from front to back at bounded memory.

A block is a chunk of one view with the labels that lead its rows back to their video: blocks can
be run in any order, beside those of other videos, anywhere.
"""

from typing import NamedTuple

from utils.features.rows import plan_chunks, row_starts, row_times
from utils.video.flow import flow_kind
from utils.video.flow_store import flow_frames
from utils.video.frames import crop_frame
from utils.video.image_folders import IMAGE_FPS, digest_video
from utils.video.reading import probe, resized_frames
from utils.video.resampling import FPS
from utils.video.streams import STREAMS
from utils.video.views import CENTER, VIEWS, place_crop

import numpy as np


class RowFormat(NamedTuple):
    """What the rows of all videos have in common; plain values.

    Attributes:
        window, stride, edges: see `utils.features.rows.row_starts`.
        lengths: frames of a chunk, see `utils.features.rows.plan_chunks`.
        views: keys of `utils.video.views.VIEWS`.
        stream: a key of `utils.video.streams.STREAMS`.
        fps: frames per second after resampling; 0 keeps the file's own frames.
        image_fps: frames per second of folders of images.
        short_side, frame_size: pixels before and after cropping.
        flow, flow_path: as in `utils.clips.reading.ClipFormat`.
        step: from a row that is read to the next; 1 reads all.
    """

    window: int = 16
    stride: int = 4
    edges: str = "replicate"
    lengths: tuple[int, ...] = (16,)
    views: tuple[str, ...] = (CENTER,)
    stream: str = "rgb"
    fps: float = FPS
    image_fps: float = IMAGE_FPS
    short_side: int = 256
    frame_size: int = 224
    flow: str = "tvl1"
    flow_path: str = ""
    step: int = 1

    @property
    def row_stride(self):
        """Frames from a row that is read to the next."""
        return self.stride * self.step

    def place_rows(self, num_frames):
        """Return where the rows that are read begin, as `utils.features.rows.row_starts`."""
        return row_starts(num_frames, self.window, self.stride, self.edges)[:: self.step]

    @property
    def frame_bytes(self):
        """Bytes of a frame of a block."""
        return self.frame_size**2 * STREAMS[self.stream].channels


class Part(NamedTuple):
    """Which rows of which video a block gives; plain values.

    Attributes:
        name: the video's in the store.
        digest: of its content.
        view: a key of `utils.video.views.VIEWS`.
        first: the first of the rows.
        times: the rows' centers in seconds.
        total: rows of the whole view.
        note: what is odd about the file, or "".
        seconds: of the whole video.
    """

    name: str
    digest: str
    view: str
    first: int
    times: tuple[float, ...]
    total: int
    note: str = ""
    seconds: float = 0.0


class Block(NamedTuple):
    """Frames of a part: uint8 (length, frame_size, frame_size, channels), RGB before flow."""

    part: Part
    frames: np.ndarray


class Failure(NamedTuple):
    """A video that could not be read: its name and path, why, and the digest of its content."""

    name: str
    path: str
    reason: str
    digest: str


def _crop_views(frame, row_format, portrait, mirror):
    """Return the views of a frame, (views, frame_size, frame_size, channels)."""
    cut = []
    for side, flipped in (VIEWS[view] for view in row_format.views):
        crop = crop_frame(frame, row_format.frame_size, place_crop(side, portrait))
        cut.append(mirror(crop) if flipped else crop)
    return np.stack(cut)


def _read_rgb(video, row_format, places):
    frames, last = video.timeline(row_format.fps)[places], None
    shown = resized_frames(video, np.unique(frames), row_format.short_side, row_format.frame_size)
    for index in frames.tolist():
        if index != last:  # slow videos show a frame twice
            views = _crop_views(next(shown), row_format, video.portrait, lambda crop: crop[:, ::-1])
            last = index
        yield views


def _mirror_flow(levels):
    return np.stack([0 - levels[:, ::-1, 0], levels[:, ::-1, 1]], axis=-1)  # 256 - x, in uint8


def _read_flow(video, row_format, places):
    kind = flow_kind(row_format.flow, row_format.fps, row_format.short_side)
    for levels in flow_frames(video, kind, row_format.flow_path, places):
        yield _crop_views(levels, row_format, video.portrait, _mirror_flow)


# Part of a stream: what is read; several are joined along the channels.
READERS = {"rgb": _read_rgb, "flow": _read_flow}


def _read_views(video, row_format, places):
    """Yield (views, frame_size, frame_size, channels) of chosen places of the resampled video."""
    parts = [READERS[part](video, row_format, places) for part in STREAMS[row_format.stream].parts]
    for arrays in zip(*parts, strict=True):
        yield arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=-1)


def _place_times(video, fps):
    """Return when the frames of a video that is not resampled begin, and the last one ends."""
    return None if fps else np.append(video.frame_times, video.end)


def read_blocks(video, name, row_format):
    """Read a video once and yield the blocks of all its views.

    Each frame is decoded and resized once, however many windows it is in; no more of them than
    the longest chunk has are held.

    Args:
        video: a `Video`.
        name: of the video in the store.
        row_format: a `RowFormat`.

    Returns:
        A generator of `Block`.

    Raises:
        VideoError: a frame that cannot be decoded; the file is named.
        ValueError: a video without a row, or stored flow that is no good.
    """
    count = len(video.timeline(row_format.fps))
    starts = row_format.place_rows(count)
    times = row_times(
        starts, row_format.window, row_format.fps, _place_times(video, row_format.fps)
    ).tolist()
    seconds = video.duration(row_format.fps)
    chunks = list(
        plan_chunks(len(starts), row_format.window, row_format.row_stride, row_format.lengths)
    )

    def see(first, length):
        return np.clip(starts[first] + np.arange(length), 0, count - 1)

    wanted = np.zeros(count, bool)
    for first, _, length in chunks:
        wanted[see(first, length)] = True
    wanted = np.flatnonzero(wanted)
    shown, held = zip(wanted.tolist(), _read_views(video, row_format, wanted), strict=True), {}
    for first, rows, length in chunks:
        places = see(first, length).tolist()
        held = {place: views for place, views in held.items() if place >= places[0]}
        while max(held, default=-1) < places[-1]:
            place, held[place] = next(shown)
        own = tuple(times[first : first + rows])
        part = Part(name, video.digest, "", first, own, len(starts), video.note, seconds)
        for index, view in enumerate(row_format.views):
            frames = np.stack([held[place][index] for place in places])
            yield Block(part._replace(view=view), frames)


def read_video(path, name, row_format):
    """Yield the blocks of a video, and a `Failure` for each that cannot be read.

    The video is decoded once before, for its length and its times.

    Args:
        path: of the video.
        name, row_format: as `read_blocks` takes them.
    """
    try:
        yield from read_blocks(probe(path).play_images_at(row_format.image_fps), name, row_format)
    except (ValueError, OSError) as error:
        yield Failure(name, str(path), str(error).removeprefix(f"{path}: "), try_digest(path))


def try_digest(path):
    """Return the digest of a video's content; "" where it cannot be read."""
    try:
        return digest_video(path)
    except OSError:
        return ""
