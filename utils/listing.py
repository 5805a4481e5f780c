"""Which videos a path means: a tree, one video, or what training takes."""

import os
from collections import Counter
from pathlib import Path

from utils.data.datasets import DATASETS, list_examples
from utils.video.image_folders import is_video, list_images, list_videos


def list_paths(data, root=""):
    """List the videos that a path means.

    Args:
        data: any tree of videos (a folder of numbered images is a video; other files count by
            their names), one video, or what training.py's --data-path takes.
        root: where the paths in a .csv or UCF101 list begin; "" for beside it.

    Returns:
        ([path], each once; the folder that they are below; {suffix: how many other files}).

    Raises:
        ValueError: no such data, a malformed list, or no video in a folder.
    """
    path = Path(data)
    if path.is_dir() and not list_images(path):
        found = list(list_videos(path))
        videos = list(filter(is_video, found))
        if not videos:
            raise ValueError(f"data {data}: no video below it ({len(found)} files).")
        others = Counter(p.suffix.lower() or p.name for p in set(found) - set(videos))
        return [str(video) for video in videos], path, dict(others)
    lists = [row for name, row in DATASETS.items() if name != "folders"]
    listed = next((listed for is_one, listed in lists if is_one(path)), None)
    if listed is None and path.exists():
        return [str(path)], path.parent, {}
    examples = listed(path, root) if listed else list_examples(data)
    videos = list(dict.fromkeys(example.path for example in examples))
    if not videos:
        raise ValueError(f"data {data}: it lists no video.")
    parents = [str(Path(video).resolve().parent) for video in videos]
    return videos, Path(os.path.commonpath(parents)), {}
