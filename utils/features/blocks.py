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
    """

    name: str
    digest: str
    view: str
    first: int
    times: tuple[float, ...]
    total: int


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


def _crop_views(frame, form, portrait, mirror):
    """Return the views of a frame, (views, frame_size, frame_size, channels)."""
    cut = []
    for side, flipped in (VIEWS[view] for view in form.views):
        crop = crop_frame(frame, form.frame_size, place_crop(side, portrait))
        cut.append(mirror(crop) if flipped else crop)
    return np.stack(cut)


def _read_rgb(video, form, places):
    frames, last = video.timeline(form.fps)[places], None
    shown = resized_frames(video.path, np.unique(frames), form.short_side, form.frame_size)
    for index in frames.tolist():
        if index != last:  # slow videos show a frame twice
            views = _crop_views(next(shown), form, video.portrait, lambda crop: crop[:, ::-1])
            views, last = np.ascontiguousarray(views[..., ::-1]), index
        yield views


def _mirror_flow(levels):
    return np.stack([0 - levels[:, ::-1, 0], levels[:, ::-1, 1]], axis=-1)  # 256 - x, in uint8


def _read_flow(video, form, places):
    kind = flow_kind(form.flow, form.fps, form.short_side)
    for levels in flow_frames(video, kind, form.flow_path, places):
        yield _crop_views(levels, form, video.portrait, _mirror_flow)


# Part of a stream: what is read; several are joined along the channels.
READERS = {"rgb": _read_rgb, "flow": _read_flow}


def _read_views(video, form, places):
    """Yield (views, frame_size, frame_size, channels) of chosen places of the resampled video."""
    parts = [READERS[part](video, form, places) for part in STREAMS[form.stream].parts]
    for arrays in zip(*parts, strict=True):
        yield arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=-1)


def _place_times(video, fps):
    """Return when the frames of a video that is not resampled begin, and the last one ends."""
    return None if fps else np.append(video.frame_times, video.end)


def read_blocks(video, name, form):
    """Read a video once and yield the blocks of all its views.

    Each frame is decoded and resized once, however many windows it is in; no more of them than
    the longest chunk has are held.

    Args:
        video: a `Video`.
        name: of the video in the store.
        form: a `RowFormat`.

    Returns:
        A generator of `Block`.

    Raises:
        VideoError: a frame that cannot be decoded; the file is named.
        ValueError: a video without a row, or stored flow that is no good.
    """
    count = len(video.timeline(form.fps))
    starts = form.place_rows(count)
    times = row_times(starts, form.window, form.fps, _place_times(video, form.fps)).tolist()
    chunks = list(plan_chunks(len(starts), form.window, form.row_stride, form.lengths))

    def see(first, length):
        return np.clip(starts[first] + np.arange(length), 0, count - 1)

    wanted = np.zeros(count, bool)
    for first, _, length in chunks:
        wanted[see(first, length)] = True
    wanted = np.flatnonzero(wanted)
    shown, held = zip(wanted.tolist(), _read_views(video, form, wanted), strict=True), {}
    for first, rows, length in chunks:
        places = see(first, length).tolist()
        held = {place: views for place, views in held.items() if place >= places[0]}
        while max(held, default=-1) < places[-1]:
            place, held[place] = next(shown)
        part = Part(name, video.digest, "", first, tuple(times[first : first + rows]), len(starts))
        for index, view in enumerate(form.views):
            frames = np.stack([held[place][index] for place in places])
            yield Block(part._replace(view=view), frames)


def read_video(path, name, form):
    """Yield the blocks of a video, and in place of those that cannot be had a `Failure`.

    The video is decoded once before, for its length and its times.

    Args:
        path: of the video.
        name, form: as `read_blocks` takes them.
    """
    try:
        yield from read_blocks(probe(path).play_images_at(form.image_fps), name, form)
    except (ValueError, OSError) as error:
        yield Failure(name, str(path), str(error).removeprefix(f"{path}: "), try_digest(path))


def try_digest(path):
    """Return the digest of a video's content; "" where it cannot be read."""
    try:
        return digest_video(path)
    except OSError:
        return ""
