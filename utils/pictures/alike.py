"""Pages of videos that are alike to a network: a map to point at, and the nearest of each."""

from utils.clips.sampling import spread
from utils.pictures.embedding_map import choose_colors, plot_map, project, scale_points
from utils.pictures.frame_sheets import read_spread
from utils.pictures.html import find_address, name_video, render
from utils.pictures.saving import encode_frame
from utils.system.files import write_atomically
from utils.system.processes import open_threads
from utils.system.progress import show_progress

import numpy as np
from matplotlib.colors import to_hex

MOST_FRAMES = 800  # videos of a map that are shown, about 3 MB
MOST_ROWS = 100  # videos whose neighbors are shown
_SIDE = 160  # pixels of a frame's longer side


def choose_rows(neighbors):
    """Return the indices of the videos whose neighbors are shown, those of other labels first.

    Args:
        neighbors: a list of `utils.scores.neighbors.Neighbor` a video.
    """
    shares = [np.mean([each.agrees for each in row]) if row else 2 for row in neighbors]
    return [index for index in np.argsort(shares, kind="stable").tolist() if neighbors[index]][
        :MOST_ROWS
    ]


def read_frames(paths, indices, workers=2):
    """Return {index: the middle frame, uint8 RGB (height, width, 3)}; videos that are gone lack.

    Args:
        paths: of all videos.
        indices: of those that are read.
        workers: threads.
    """
    indices, found = sorted(indices), {}
    with open_threads(workers) as pool:
        read = pool.map(lambda index: read_spread(paths[index], 1, _SIDE)[0], indices)
        bar = show_progress("Reading frames", "video", read, len(indices))
        for index, frames in zip(indices, bar, strict=True):
            if len(frames):
                found[index] = frames[0]
    return found


def choose_shown(count, rows, neighbors):
    """Return the set of the indices whose frames are read, for the map and for the neighbors.

    Args:
        count: of all videos.
        rows: of `choose_rows`.
        neighbors: a list of `Neighbor` a video.
    """
    near = {each.index for row in rows for each in neighbors[row]}
    return {*spread(count, MOST_FRAMES).tolist(), *rows, *near}


class Shown:
    """Videos on a page: names, labels, links and frames.

    Args:
        folder: of the page.
        examples: list of `Example`.
        frames: of `read_frames`.
    """

    def __init__(self, folder, examples, frames):
        self.folder, self.examples = folder, examples
        self.pictures = {index: encode_frame(frame) for index, frame in frames.items()}

    def describe(self, index):
        """Return {"name", "label", "split", "address", "picture": JPEG or b""} of a video."""
        example = self.examples[index]
        return {
            "name": name_video(example.path),
            "label": example.label,
            "split": example.split,
            "address": find_address(example.path, self.folder),
            "picture": self.pictures.get(index, b""),
        }


def write_map(path, title, points, shown):
    """Write a page of a map on which a video is shown that is pointed at.

    Args:
        path: of the HTML.
        title: what the videos are of.
        points: (videos, 2), of `utils.pictures.embedding_map.project`.
        shown: `Shown`.
    """
    videos = [shown.describe(index) for index in range(len(points))]
    labels = sorted({video["label"] for video in videos})
    colors = dict(zip(labels, map(to_hex, choose_colors(len(labels))), strict=True))
    places = 3 + 94 * scale_points(points)
    spots = [
        (f"{x:.2f}", f"{100 - y:.2f}", colors[video["label"]], video)
        for (x, y), video in zip(places.tolist(), videos, strict=True)
    ]
    write_atomically(path, render("map.html", title=f"Map of {title}", spots=spots, colors=colors))


def write_neighbors(path, title, shown, rows, neighbors, query=None):
    """Write a page of videos and their neighbors.

    Args:
        path: of the HTML.
        title: what the videos are of.
        shown: `Shown`.
        rows: of `choose_rows`.
        neighbors: a list of `Neighbor` a video.
        query: (index among the shown of a video that was asked for, its list of `Neighbor`).
    """

    def describe(row):
        return [(shown.describe(each.index), each) for each in row]

    page = render(
        "neighbors.html",
        title=f"Nearest videos of {title}",
        query=query and (shown.describe(query[0]), describe(query[1])),
        rows=[(shown.describe(index), describe(neighbors[index])) for index in rows],
        total=len(neighbors),
    )
    write_atomically(path, page)


def draw_pages(folder, title, found, neighbors, query=None):
    """Write map.png, map.html and neighbors.html; return their names.

    Args:
        folder: where.
        title: what the videos are of.
        found: `tasks.classification.embedding.Embeddings`.
        neighbors: of `utils.scores.neighbors.list_neighbors`.
        query: (`Example` of a video that was asked for, its list of `Neighbor`); None for none.
    """
    examples, rows = found.examples, choose_rows(neighbors)
    wanted = choose_shown(len(examples), rows, neighbors)
    if query:
        wanted |= {len(examples), *(each.index for each in query[1])}
        examples, query = [*examples, query[0]], (len(examples), query[1])
    frames = read_frames([example.path for example in examples], wanted)
    shown, points = Shown(folder, examples, frames), project(found.vectors)
    splits = [example.split for example in found.examples]
    frames.pop(len(splits), None)
    plot_map(points, found.labels, splits, folder / "map.png", f"map of {title}", frames)
    write_map(folder / "map.html", title, points, shown)
    write_neighbors(folder / "neighbors.html", title, shown, rows, neighbors, query)
    return ["neighbors.html", "map.html", "map.png"]
