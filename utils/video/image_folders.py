"""Folders of images that are videos, a numbered image a frame; all videos below a folder."""

import hashlib
import re
from pathlib import Path

from utils.video.resampling import FPS
from utils.video.video import VideoError

import cv2

IMAGE_FPS = FPS
VIDEO_SUFFIXES = set(
    ".3gp .asf .avi .divx .flv .gif .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogv .ts .vob "
    ".webm .wmv .y4m".split()
)
IMAGE_SUFFIXES = set(".bmp .jpeg .jpg .png .ppm .tif .tiff .webp".split())


def _visible(folder):
    return sorted(path for path in Path(folder).iterdir() if not path.name.startswith("."))


def _numbers(path):
    return [int(number) for number in re.findall(r"\d+", path.stem)]


def list_images(folder):
    """Return the images of a folder that holds nothing but numbered ones, in order of the numbers.

    Args:
        folder: a path.

    Returns:
        List of `Path`; empty where it is no folder, or holds anything else. Hidden files are not
        looked at.
    """
    if not Path(folder).is_dir():
        return []
    found = _visible(folder)
    if not all(path.suffix.lower() in IMAGE_SUFFIXES and _numbers(path) for path in found):
        return []
    return sorted(found, key=lambda path: (_numbers(path), path.name))


def list_videos(folder):
    """Yield the files and the folders of images below a folder, in order, without hidden ones."""
    for path in _visible(folder):
        if path.is_dir() and not list_images(path):
            yield from list_videos(path)
        else:
            yield path


def is_video(path):
    """Say whether one of `list_videos` is a video, by its suffix, or a folder of images."""
    return path.is_dir() or path.suffix.lower() in VIDEO_SUFFIXES


def find_videos(folder):
    """Return the videos below a folder, known by their suffixes, and its folders of images."""
    return list(filter(is_video, list_videos(folder)))


def digest_video(path):
    """Return a hash of a file's bytes; of a folder of images, of their names and bytes.

    Args:
        path: of the file or folder.

    Raises:
        OSError: it cannot be read.
    """
    images = list_images(path)
    digest = hashlib.blake2b()
    for file in images or [Path(path)]:
        if images:
            digest.update(f"{file.name} {file.stat().st_size} ".encode())
        with open(file, "rb") as opened:
            while piece := opened.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()[:32]


def stamp_video(path):
    """Return [bytes, last change] of a file or a folder of images; None where it is missing."""
    try:
        stats = [file.stat() for file in list_images(path) or [Path(path)]]
    except OSError:
        return None
    return [sum(stat.st_size for stat in stats), max(stat.st_mtime_ns for stat in stats)]


class ImageFolder:
    """A folder of images, read as a `utils.video.decoding.VideoFile` is.

    Args:
        images: of `list_images`.

    Attributes:
        decoded: images that were decoded so far.
    """

    rate, codec = IMAGE_FPS, ""

    def __init__(self, images):
        self.images, self.promised, self.decoded = images, len(images), 0

    def frames(self):
        """Yield the images, as paths."""
        yield from self.images

    def show(self, path):
        """Return (an image in BGR, uint8 (height, width, 3), its width and height).

        Raises:
            VideoError: an image that cannot be read.
        """
        frame = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if frame is None:
            raise VideoError(f"{path.parent}: {path.name} is no image that OpenCV can read.")
        self.decoded += 1
        return frame, frame.shape[1::-1]

    def inspect(self):
        """Decode everything; return what is found, the fields of a `Video`."""
        sizes = [self.show(path)[1] for path in self.images]
        return {"num_frames": len(sizes), "fps": self.rate} | dict(
            zip(("width", "height"), sizes[0], strict=True)
        )

    def close(self):
        """Do nothing: no file is open."""
