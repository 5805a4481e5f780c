"""Videos, files or folders of images: what is in them, and their frames. Their only reader.

The published preprocessing (kinetics-i3d README) is here: RGB, resampled in time, short side
resized bilinearly with the aspect ratio kept, cropped. `utils.video.decoding` decodes.
"""

import math
from contextlib import closing
from pathlib import Path

from utils.system.files import explain_missing
from utils.video.decoding import VideoFile
from utils.video.frames import crop_frame, resize_frame
from utils.video.image_folders import ImageFolder, digest_video, explain_folder, list_images
from utils.video.video import Video, VideoError

import cv2
import numpy as np

_FAR = 48  # frames from one that is looked at to the next: what is farther is sought


def open_camera(number):
    """Return the open `cv2.VideoCapture` of a camera, whose driver keeps no more than a frame back.

    Raises:
        VideoError: no such camera, or another program has it.
    """
    capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        raise VideoError(
            f"webcam:{number}: there is no such camera, or another program is using it."
        )
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


def _open(path, most_pixels=0):
    path = Path(path)
    if images := list_images(path):
        return ImageFolder(images)
    if not path.is_file():
        raise VideoError(f"{path}: {explain_missing(path, explain_folder(path))}.")
    if path.stat().st_size == 0:
        raise VideoError(f"{path}: the file is empty.")
    return VideoFile(path, most_pixels)


def read_length(path):
    """Return how many seconds a video lasts by its header, which may lie; 0: it does not say.

    Raises:
        VideoError: as `probe`, where nothing needs to be decoded for it.
    """
    with closing(_open(path)) as source:
        header = source.read_header()
    return (header.frames or header.likely) / header.rate


def probe(path, longest=math.inf, most_pixels=0):
    """Decode a video once from end to end; return the `Video`.

    Args:
        path: a video in any container that FFmpeg reads, or a folder of images, which has
            `IMAGE_FPS` frames per second.
        longest: seconds that it may last; no more of a file is decoded.
        most_pixels: that a frame of a file may have; 0: as many as are read of any.

    Raises:
        VideoError: missing, empty, not a video, without a frame that decodes, with time stamps
            that cannot be, or too long.
    """
    with closing(_open(path, most_pixels)) as source:
        found = source.inspect(longest)
    return Video(path=str(path), digest=digest_video(path), **found)


def skim(path, places=16, side=160, known=0):
    """Read a file's header and a few pairs of neighboring frames; `probe` decodes everything.

    Args:
        path: a video.
        places: how many, spread evenly over the video.
        side: pixels of the longer side of the frames returned, at most.
        known: how many frames the video has; 0: as the header says.

    Returns:
        (`Video` of the header, unproven; FourCC; uint8 RGB (places, 2, height, width, 3)).

    Raises:
        VideoError: as `probe`.
    """
    with closing(_open(path)) as source:
        header = source.read_header()
        count = known or header.frames or header.likely or probe(path).num_frames
        starts = np.unique(((np.arange(places) + 0.5) * max(count - 1, 1) / places).astype(int))
        position, frames, pictures, size = 0, source.glimpse(0, header.rate), {}, None
        for index in np.unique([starts, starts + 1]).tolist():
            if index - position > _FAR:
                frames = source.glimpse(index, header.rate)
            found = next((pair for pair in frames if pair[0] >= index), None)
            if not found:
                break
            position, frame = found
            picture, shown = source.show(frame)
            size = size or shown  # all have that of the first, though it may change on the way
            pictures[index] = _shrink(picture, size, side)
    lost = not found and index < count
    if lost and not known and not header.frames:  # the duration was another stream's
        return skim(path, places, side, probe(path).num_frames)
    if not pictures:
        raise VideoError(f"{path}: no frame can be decoded.")
    note = f"the header says {count} frames, but frame {index} cannot be decoded"
    shown = [index for index in starts.tolist() if index in pictures]
    pairs = [(pictures[index], pictures.get(index + 1, pictures[index])) for index in shown]
    video = Video(str(path), count, header.rate, *size, "", None, note if lost else "")
    return video, header.codec, np.array(pairs)


def _shrink(picture, shown, side):
    """Return a frame of the width and height `shown`, its longer side of at most `side` pixels."""
    size = [max(1, round(length * min(1, side / max(shown)))) for length in shown]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def resized_frames(video, indices, short_side, square=0):
    """Yield chosen frames of a video, resized bilinearly; one at a time is in memory.

    Args:
        video: a `Video`.
        indices: of the file's frames, sorted and distinct.
        short_side, square: as in `utils.video.frames.resize_frame`.

    Returns:
        A generator of uint8 (height, width, 3), RGB.

    Raises:
        VideoError: a frame that cannot be decoded; the file is named.
    """
    with closing(_open(video.path)) as source:
        for picture, shown in source.read(video, indices):
            yield resize_frame(picture, short_side, square, shown)


def read_rgb(video, frames, short_side=256, frame_size=224, crop=(0.5, 0.5)):
    """Read chosen frames of a video; nothing larger than the result is kept in memory.

    Args:
        video: a `Video`.
        frames: 1-D array of the file's frame indices, in any order, repeats allowed.
        short_side: pixels of the shorter side before cropping; 0: nothing is cut, the whole frame
            is stretched to the square.
        frame_size: height and width of the crop, at most `short_side`.
        crop: position of the crop, from top left (0, 0) to bottom right (1, 1).

    Returns:
        uint8 (len(frames), frame_size, frame_size, 3), RGB.

    Raises:
        VideoError: a frame that cannot be decoded; the file is named.
    """
    wanted, places = np.unique(frames, return_inverse=True)
    clip = np.empty((len(wanted), frame_size, frame_size, 3), np.uint8)
    for slot, frame in enumerate(resized_frames(video, wanted, short_side, frame_size)):
        clip[slot] = crop_frame(frame, frame_size, crop)
    return clip if np.array_equal(wanted, frames) else clip[places]
