"""From a video to the array a network sees; everything that decides its values in one place."""

import json
from dataclasses import asdict, dataclass

from utils.clips.augmentation import UNCHANGED, Transform, apply_flow, apply_rgb, draw_transform
from utils.clips.sampling import SAMPLINGS
from utils.system.hashing import hash_text
from utils.video.flow import flow_kind
from utils.video.flow_store import check_store, read_flow
from utils.video.reading import read_rgb, resized_frames
from utils.video.resampling import FPS
from utils.video.streams import STREAMS
from utils.video.views import VIEWS, place_crop, spread_views

import numpy as np


@dataclass(frozen=True)
class ClipFormat:
    """What all clips of a run have in common.

    Attributes:
        segments, frames: segments per video, frames per segment.
        sampling: a key of `SAMPLINGS`.
        fps: frames per second after resampling; 0 keeps the file's own frames.
        short_side, frame_size: pixels before and after cropping.
        stream: a key of `utils.video.streams.STREAMS`.
        flow: a key of `utils.video.flow.FLOWS`.
        flow_path: folder of stored flow; what is not there, or all for "", is computed.
    """

    segments: int
    frames: int
    sampling: str = "segments"
    fps: float = FPS
    short_side: int = 256
    frame_size: int = 224
    stream: str = "rgb"
    flow: str = "tvl1"
    flow_path: str = ""

    @property
    def flow_kind(self):
        """All that decides the flow's values; `utils.video.flow_store.check_store` compares it."""
        return flow_kind(self.flow, self.fps, self.short_side)


@dataclass(frozen=True)
class Clip:
    """One clip to be read.

    Attributes:
        video: a `Video`, or a `utils.features.video_features.VideoFeatures`.
        place: of its segments in time, in [0, 1), or of each segment.
        transform: of its pixels.
    """

    video: object
    place: tuple[float, ...] | float = 0.5
    transform: Transform = UNCHANGED


def list_views(video, clips=1, crops=1):
    """Return the clips x crops views of a video that are averaged when testing.

    Args:
        video: a `Video`.
        clips: views in time; one is centered.
        crops: a key of `utils.video.views.CROPS`.
    """
    return [
        Clip(video, place, Transform(place_crop(VIEWS[view].side, video.portrait)))
        for place, view in spread_views(clips, crops)
    ]


def random_clip(video, segments, generator, augmentation):
    """Return a random clip for training.

    Args:
        video: of the `Clip`.
        segments: segments per video; each gets its own place in time.
        generator: a `numpy.random.Generator`.
        augmentation: an `Augmentation`.
    """
    place = tuple(generator.uniform(size=segments).tolist())
    return Clip(video, place, draw_transform(generator, **vars(augmentation)))


def choose_frames(clip, clip_format):
    """Return the resampled video, as the file's frame indices, and which of those are read.

    Args:
        clip, clip_format: a `Clip` and a `ClipFormat`.

    Returns:
        (indices of the file's frames, places in that array: segments x frames in a row).
    """
    frames = clip.video.timeline(clip_format.fps)
    places = SAMPLINGS[clip_format.sampling](
        len(frames), clip_format.segments, clip_format.frames, clip.place
    )
    return frames, places.ravel()


def time_frames(clip, clip_format):
    """Return the file's frames that a clip shows, segments x frames in a row, and their seconds."""
    frames, places = choose_frames(clip, clip_format)
    return frames[places], clip.video.frame_times[frames[places]]


def _read_rgb(clip, clip_format):
    frames, chosen = choose_frames(clip, clip_format)
    size = (clip_format.short_side, clip_format.frame_size, clip.transform.crop)
    return apply_rgb(read_rgb(clip.video, frames[chosen], *size), clip.transform)


def _read_flow(clip, clip_format):
    _, chosen = choose_frames(clip, clip_format)
    size = (clip_format.frame_size, clip.transform.crop)
    flow = read_flow(clip.video, chosen, clip_format.flow_kind, clip_format.flow_path, *size)
    return apply_flow(flow, clip.transform)


# Part of a stream: what is read; several are joined along the channels.
READERS = {"rgb": _read_rgb, "flow": _read_flow}


def read_clip(clip, clip_format):
    """Read a clip.

    Args:
        clip: a `Clip`.
        clip_format: a `ClipFormat`.

    Returns:
        float32 (segments, frames, frame_size, frame_size, channels) in [-1, 1]; channels are red,
        green and blue, or flow's x and y, or all five. Flow leads from a frame to the next one of
        the resampled video, and RGB of both streams has the same crop and flip.

    Raises:
        VideoError: the file cannot be decoded; it is named.
        ValueError: random operations on optical flow, or stored flow that is no good.
    """
    arrays = [READERS[part](clip, clip_format) for part in STREAMS[clip_format.stream].parts]
    array = arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=-1)
    return array.reshape(clip_format.segments, clip_format.frames, *array.shape[1:])


def read_whole(clip, clip_format):
    """Read the frames of a clip as the file has them.

    Returns:
        uint8 RGB (segments, frames, height, width, 3), the file's height and width.

    Raises:
        VideoError: the file cannot be decoded; it is named.
    """
    frames, chosen = choose_frames(clip, clip_format)
    wanted, places = np.unique(frames[chosen], return_inverse=True)
    short_side = min(clip.video.height, clip.video.width)
    shown = np.stack(list(resized_frames(clip.video, wanted, short_side)))[places]
    return shown.reshape(clip_format.segments, clip_format.frames, *shown.shape[1:])


def check_flow(clip_format):
    """Raise a ValueError where a `ClipFormat` takes flow from a folder that holds another kind."""
    if STREAMS[clip_format.stream].has_flow and clip_format.flow_path:
        check_store(clip_format.flow_path, clip_format.flow_kind)


def describe_format(clip_format):
    """Return all of a `ClipFormat` that a clip's values depend on, ready for JSON."""
    values = asdict(clip_format)
    del values["flow"], values["flow_path"]  # wherever it lies, it is the same flow
    return values | (
        {"flow": clip_format.flow_kind} if STREAMS[clip_format.stream].has_flow else {}
    )


def clip_key(clip, clip_format, network):
    """Return a name for a clip's features: a hash of everything they depend on.

    Args:
        clip, clip_format: the clip; its file counts by content, not by name.
        network: a string that stands for the weights and the precision.
    """
    transform = clip.transform if clip.transform.operations else clip.transform[:-1]
    parts = [clip.video.digest, clip.place, transform, describe_format(clip_format), network]
    return hash_text(json.dumps(parts))
