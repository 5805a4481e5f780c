"""Folders of images that are videos, a numbered image a frame."""

import errno
import hashlib
import os
import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from utils.video.headers import Header
from utils.video.images import read_image
from utils.video.resampling import FPS
from utils.video.video_files import IMAGE_SUFFIXES, is_video_file

IMAGE_FPS = FPS
# What macOS, Synology and Windows put beside files, for themselves.
_JUNK_FOLDERS = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
_FLOW_NAME = re.compile(r"(flow.*|[xyuv])[_-]?$")  # of flow beside frames, as in mmaction2
_NUMBER_AT_END = re.compile(r"\d+$")
_COUNTED_WORD = re.compile(r"[^\W\d_][ _-]?$")  # such as the cam of cam1_0001


class ImageSeries(NamedTuple):
    """What a folder holds: its video, or why it is none.

    Attributes:
        images: paths of the frames, in order; empty where the folder is no video.
        others: paths of the other files, sorted; none beside a problem.
        folders: paths of the folders in it, sorted.
        problem: what is against a folder of images that looks like videos, or "".
    """

    images: list
    others: list
    folders: list
    problem: str = ""


def scan_folder(folder):
    """Return (files, folders) in a folder, sorted, without hidden ones and other programs' own."""
    files, folders = [], []
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if not entry.name.startswith(".") and entry.name not in _JUNK_FOLDERS:
            path = Path(entry.path)
            is_folder = path.is_dir() if entry.is_symlink() else entry.is_dir()
            (folders if is_folder else files).append(path)
    return files, folders


def _numbers(path):
    return tuple(int(number) for number in re.findall(r"\d+", path.stem))


def _split_by_words(images):
    """Return lists of images that count the same frames, told apart by the words in their names."""
    if len({_numbers(image) for image in images}) == len(images):
        return [images]
    series = defaultdict(list)
    for image in images:
        series[re.sub(r"\d+", "#", image.stem).casefold()].append(image)
    return list(series.values())


def _split_by_number(images):
    """Return lists of images that count the same frames, told apart by a number after a word."""
    words = re.split(r"\d+", images[0].stem)
    for place, word in enumerate(words[:-2]):
        if words[place + 1] == "." or not _COUNTED_WORD.search(word):
            continue
        series = defaultdict(dict)
        for image in images:
            numbers = _numbers(image)
            if place < len(numbers):
                series[numbers[place]][numbers[:place] + numbers[place + 1 :]] = image
        counted = set().union(*series.values())
        if min(map(len, series.values())) > 1 and len(images) - len(counted) > 1:
            return [list(each.values()) for each in series.values()]
    return [images]


def _name_series(images):
    """Return what the names of images begin with, before the number that counts them."""
    first, last = (pick(image.name for image in images) for pick in (min, max))
    length = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
    return first if length is None else first[:length].rstrip("0123456789")


def name_flow(path):
    """Return what an image of stored flow is called with others, such as flow_x_*.jpg; else ""."""
    begin = _NUMBER_AT_END.sub("", path.stem)
    if path.suffix.lower() in IMAGE_SUFFIXES and _FLOW_NAME.match(begin.casefold()):
        return f"{begin}*{path.suffix}"
    return ""


def sort_images(folder):
    """Say what a folder's images are: the frames of one video, or something else.

    A folder is a video where it holds numbered images, no video and no folder. Frames may have
    stored flow (`flow_x_`, `flow_y_`) and single pictures beside them, which are left out; several
    series of frames are refused. Hidden files are not looked at.

    Args:
        folder: a path.

    Returns:
        The `ImageSeries`.
    """
    if not Path(folder).is_dir():
        return ImageSeries([], [], [])
    files, folders = scan_folder(folder)
    stills = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    numbered = [image for image in stills if _numbers(image)]
    if not numbered or folders or any(map(is_video_file, sorted(set(files) - set(stills)))):
        return ImageSeries([], files, folders)
    series = [own for each in _split_by_words(numbered) for own in _split_by_number(each)]
    frames = [each for each in series if not _FLOW_NAME.match(_name_series(each).casefold())]
    several = [each for each in frames if len(each) > 1]
    images = next((each[0] for each in (series, frames, several) if len(each) == 1), None)
    if images is None:
        names = ", ".join(map(_name_series, series))
        problem = (
            f"the folder contains {len(series)} series of images ({names}); put each into its "
            "own folder"
        )
        return ImageSeries([], [], [], problem)
    others = sorted(set(files) - set(images))
    return ImageSeries(sorted(images, key=lambda path: (_numbers(path), path.name)), others, [])


def is_image_folder(folder):
    """Return whether a folder is a video, or several that are refused, and no folder of videos."""
    series = sort_images(folder)
    return bool(series.images or series.problem)


def explain_folder(folder):
    """Say why a path that is no file is no folder of images either."""
    if not Path(folder).is_dir():
        return "not a regular file" if Path(folder).exists() else "no such file"
    needed = "not a video; a folder must contain the numbered images of one video"
    return sort_images(folder).problem or needed


def list_images(folder):
    """Return the frames of a folder that is a video, in order; empty where it is none."""
    return sort_images(folder).images


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
        if not file.is_file():  # a pipe would be waited for, a device read for ever
            raise FileNotFoundError(errno.ENOENT, "no such file", str(file))
        if images:
            digest.update(os.fsencode(f"{file.name} {file.stat().st_size} "))
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

    def __init__(self, images):
        self.images, self.decoded = images, 0

    def read_header(self):
        """Return the `Header` of the folder."""
        count = len(self.images)
        return Header("", IMAGE_FPS, count, count, count / IMAGE_FPS)

    def glimpse(self, place, _rate):
        """Yield (place, image) from a place on."""
        yield from enumerate(self.images[place:], place)

    def read(self, _video, indices):
        """Yield chosen images, as `show` gives them."""
        yield from (self.show(self.images[index]) for index in indices)

    def show(self, path):
        """Return (an image in RGB, uint8 (height, width, 3), its width and height).

        Raises:
            VideoError: an image that cannot be read, or a too large one.
        """
        frame = read_image(path)
        self.decoded += 1
        return frame, frame.shape[1::-1]

    def inspect(self, _longest):
        """Decode everything; return what is found, the fields of a `Video`."""
        sizes = [self.show(path)[1] for path in self.images]
        return {"num_frames": len(sizes), "fps": IMAGE_FPS} | dict(
            zip(("width", "height"), sizes[0], strict=True)
        )

    def close(self):
        """Do nothing: no file is open."""
