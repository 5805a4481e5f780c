"""All videos below a folder."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from utils.system.words import list_some
from utils.video.image_folders import name_flow, sort_images
from utils.video.video_files import is_video_file


class Listing(NamedTuple):
    """What lies below a folder, each path once, sorted.

    Attributes:
        videos: paths of the video files and the folders of images, broken ones too.
        others: paths of the other files, and of links to folders that are listed already.
    """

    videos: list
    others: list


def list_tree(folder):
    """List the videos below a folder, itself included; links are followed, in circles too.

    Args:
        folder: a path.

    Returns:
        The `Listing`.

    Raises:
        OSError: a folder that may not be read.
    """
    videos, others, seen = [], [], set()
    waiting, links = [Path(folder)], []
    while waiting or links:
        here = (waiting or links).pop()  # links last: what lies in the tree itself goes first
        series = sort_images(here)
        if series.images or series.problem:
            videos.append(here)
            others += series.others
            continue
        stat = here.stat()
        if (stat.st_dev, stat.st_ino) in seen:
            others.append(here)
            continue
        seen.add((stat.st_dev, stat.st_ino))
        for file in series.others:
            (videos if is_video_file(file) else others).append(file)
        for each in series.folders:
            (links if each.is_symlink() else waiting).append(each)
    return Listing(*(sorted(paths, key=lambda path: path.parts) for paths in (videos, others)))


def describe_others(others):
    """Say how many other files there are, of which kinds; "" for none.

    Args:
        others: of a `Listing`.
    """
    kinds = Counter(name_flow(path) or path.suffix.lower() or path.name for path in others)
    shown = list_some((f"{kind} {count}" for kind, count in sorted(kinds.items())), 20)
    files = "other file was" if len(others) == 1 else "other files were"
    return f"{len(others)} {files} ignored: {shown}" if others else ""
