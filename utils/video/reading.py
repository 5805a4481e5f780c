"""Videos, files or folders of images: what is in them, and their frames. Their only reader.

OpenCV's FFmpeg backend decodes; the published preprocessing (kinetics-i3d README) is
here: RGB, resampled in time, short side resized bilinearly with the aspect ratio kept, cropped.
"""

from pathlib import Path

from utils.system.files import explain_missing
from utils.video.frames import crop_frame, resize_frame
from utils.video.image_folders import IMAGE_FPS, ImageFolder, digest_video, list_images
from utils.video.resampling import FPS
from utils.video.video import Video

import cv2
import numpy as np

_CODECS = {".avi": "MJPG", ".mp4": "mp4v", ".webm": "VP80"}


class VideoError(ValueError):
    """A file that is no readable video; the message begins with its path."""


def _read_image(path):
    frame = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if frame is None:
        raise VideoError(f"{path.parent}: {path.name} is no image that OpenCV can read.")
    return frame


def _open(path):
    path = Path(path)
    if images := list_images(path):
        facts = {cv2.CAP_PROP_FPS: IMAGE_FPS, cv2.CAP_PROP_FRAME_COUNT: len(images)}
        return ImageFolder(images, _read_image, facts)
    if not path.is_file():
        kind = "; a folder must hold numbered images and nothing else" if path.is_dir() else ""
        raise VideoError(f"{path}: {explain_missing(path, f'no such file{kind}')}.")
    if path.stat().st_size == 0:
        raise VideoError(f"{path}: the file is empty.")
    # Clips are read by several threads at once; threads inside the decoder would only compete.
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    if not capture.isOpened():
        raise VideoError(f"{path}: not a video that OpenCV can open.")
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return capture


def open_camera(number):
    """Return the open `cv2.VideoCapture` of a camera, whose driver keeps no more than a frame back.

    Raises:
        VideoError: no such camera, or another program has it.
    """
    capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        raise VideoError(f"webcam:{number}: no such camera, or another program is using it.")
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


def _frame_rate(seconds, header_fps):
    """Return (fps, times); times is None when the frames are evenly spaced."""
    if len(seconds) > 1 and np.all(np.diff(seconds) > 0):
        seconds = seconds - seconds[0]
        fps = (len(seconds) - 1) / seconds[-1]
        even = np.abs(seconds - np.arange(len(seconds)) / fps).max() < 2e-3
        return float(fps), None if even else tuple(np.round(seconds, 4).tolist())
    return (header_fps if 0 < header_fps <= 240 else FPS), None


def probe(path):
    """Decode a video once from end to end; return the `Video`.

    Args:
        path: a video in any container that OpenCV's FFmpeg reads, or a folder of images, which has
            `IMAGE_FPS` frames per second.

    Raises:
        VideoError: missing, empty, not a video, or without a frame that decodes.
    """
    capture = _open(path)
    try:
        decoded, frame = capture.read()
        if not decoded:
            raise VideoError(f"{path}: no frame can be decoded.")
        seconds = [capture.get(cv2.CAP_PROP_POS_MSEC) / 1000]
        while capture.grab():
            seconds.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        expected = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        fps, times = _frame_rate(np.array(seconds), capture.get(cv2.CAP_PROP_FPS))
    finally:
        capture.release()
    note = ""
    if expected > 0 and abs(expected - len(seconds)) > 1:
        note = f"the header says {expected} frames, {len(seconds)} decode"
    height, width = frame.shape[:2]
    digest = digest_video(path)
    return Video(str(path), len(seconds), fps, width, height, digest, times, note)


def skim(path, places=16, side=160):
    """Read a file's header and a few pairs of neighboring frames; `probe` decodes everything.

    Places far apart are sought; near ones are decoded up to: a short clip often has one keyframe.

    Args:
        path: a video.
        places: how many, spread evenly over the video.
        side: pixels of the longer side of the frames returned, at most.

    Returns:
        (`Video` of the header, unproven; FourCC; uint8 RGB (places, 2, height, width, 3)).

    Raises:
        VideoError: as `probe`.
    """
    capture = _open(path)
    try:
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        count = count if count > 0 else probe(path).num_frames
        starts = np.unique(((np.arange(places) + 0.5) * max(count - 1, 1) / places).astype(int))
        frames, position = {}, 0
        for index in np.unique([starts, starts + 1]).tolist():
            if index - position > 48 and capture.set(cv2.CAP_PROP_POS_FRAMES, index):
                position = index
            while position < index and capture.grab():
                position += 1
            decoded, frame = capture.read()
            if not decoded:
                break
            position += 1
            height, width = frame.shape[:2]
            size = [max(1, round(n * min(1, side / max(height, width)))) for n in (width, height)]
            frames[index] = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)[..., ::-1]
        if not frames:
            raise VideoError(f"{path}: no frame can be decoded.")
        codec = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode("latin-1")
        fps, _ = _frame_rate((), capture.get(cv2.CAP_PROP_FPS))
    finally:
        capture.release()
    lost = index not in frames and index < count
    note = f"the header says {count} frames, but frame {index} cannot be decoded" if lost else ""
    pairs = [(frames[i], frames.get(i + 1, frames[i])) for i in starts.tolist() if i in frames]
    video = Video(str(path), count, fps, width, height, "", None, note)
    return video, codec.strip("\0 "), np.array(pairs)


def resized_frames(path, indices, short_side, square=0):
    """Yield chosen frames of a video, resized bilinearly; one at a time is in memory.

    Args:
        path: the file.
        indices: of the file's frames, sorted and distinct.
        short_side, square: as of `utils.video.frames.resize_frame`.

    Returns:
        A generator of uint8 (height, width, 3), BGR.

    Raises:
        VideoError: a frame that cannot be decoded; the file is named.
    """
    capture = _open(path)
    position = 0
    try:
        for index in indices:
            while position < index and capture.grab():
                position += 1
            decoded, frame = capture.read()
            if not decoded:
                raise VideoError(f"{path}: frame {index} cannot be decoded; was the file changed?")
            position += 1
            yield resize_frame(frame, short_side, square)
    finally:
        capture.release()


def read_rgb(path, frames, short_side=256, frame_size=224, crop=(0.5, 0.5)):
    """Read chosen frames of a video; nothing larger than the result is kept in memory.

    Args:
        path: the file.
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
    for slot, frame in enumerate(resized_frames(path, wanted, short_side, frame_size)):
        clip[slot] = crop_frame(frame, frame_size, crop)[..., ::-1]
    return clip if np.array_equal(wanted, frames) else clip[places]


def write_video(path, frames, fps, codec=""):
    """Write RGB frames, uint8 (height, width, 3), as MJPEG `.avi`, MPEG-4 `.mp4`, VP8 `.webm`.

    `codec` is another FourCC. Browsers play `.webm`, and "vp09" in `.mp4`, which takes six times as
    long to write.

    Raises:
        VideoError: the file cannot be written.
    """
    path, writer = Path(path), None
    for frame in frames:
        if writer is None:
            fourcc = cv2.VideoWriter_fourcc(*(codec or _CODECS[path.suffix]))
            writer = cv2.VideoWriter(str(path), fourcc, fps, frame.shape[1::-1])
        if not writer.isOpened():
            raise VideoError(f"{path}: cannot be written.")
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    if writer is None:
        raise VideoError(f"{path}: no frames to write.")
    writer.release()
