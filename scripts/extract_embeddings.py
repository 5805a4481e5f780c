"""Embed videos, find similar ones: python -m scripts.extract_embeddings weights/<run>.

An embedding is the input of the network's last layer, 256 numbers or more. Similar videos have
similar embeddings. Writes embeddings.npz, the nearest neighbors of each video, and a map of all
videos, both also as pages of pictures.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it starts from any folder

from models.later import later
from utils.command_line import Command
from utils.params import Params
from utils.runs.folders import check_run, load_data
from utils.system.commands import run_command
from utils.system.files import atomic_path
from utils.system.tables import write_csv
from utils.system.words import print_line

import numpy as np
import tyro

Embedder = later("tasks.classification.embedding", "Embedder")
draw_pages = later("utils.pictures.alike", "draw_pages")
name_scope = later("utils.pictures.saving", "name_scope")
list_neighbors = later("utils.scores.neighbors", "list_neighbors")


def save_neighbors(path, examples, neighbors):
    """Write a row for each neighbor of each video; return the share whose first one agrees.

    Labels agree when a class is in both. Videos without a neighbor do not count.
    """
    rows, first = [], []
    for example, near in zip(examples, neighbors, strict=True):
        for rank, each in enumerate(near, 1):
            other, agrees = examples[each.index], int(each.agrees)
            names = example.path, example.label, rank, other.path, other.label
            rows.append((*names, f"{each.similarity:.4f}", agrees))
            first += [agrees] if rank == 1 else []
    header = "path", "label", "rank", "neighbour", "neighbour_label", "similarity", "agrees"
    write_csv(path, header, rows)
    return np.mean(first) if first else None


def save_embeddings(folder, found, classes, neighbors):
    """Write embeddings.npz and neighbours.csv, and print whether neighbors agree."""
    from tasks.classification.embedding import EMBEDDINGS  # slow: it imports Keras

    embeddings, examples, _ = found
    columns = {
        f"{name}s": np.array([getattr(example, name) for example in examples])
        for name in ("path", "label", "split")
    }
    with atomic_path(folder / EMBEDDINGS) as temporary:
        np.savez(temporary, embeddings=embeddings, classes=np.array(classes), **columns)
    share = save_neighbors(folder / "neighbours.csv", examples, neighbors)
    if share is None:
        print("All videos are in one group, so no video has a neighbor.")
    else:
        print_line(f"{share:.1%} of the videos have a nearest neighbor with their label")


@dataclass(frozen=True)
class Options:
    """Which videos are embedded."""

    run: tyro.conf.Positional[Path]
    """Folder of the run, weights/<run>."""
    split: str = ""
    """train, val or test. Empty: all videos."""
    data_path: str = ""
    """Other data, of any classes. Empty: the data of the run."""
    output: str = ""
    """Folder to write to. Empty: embeddings/ in the run's folder."""
    cache_path: str = Params.cache_path
    """Folder of the cache, as in training."""
    neighbours: int = 5
    """Nearest videos listed per video. Videos of the same group are left out."""
    query: str = ""
    """A video file whose nearest videos are printed, and shown first in neighbors.html."""

    def __post_init__(self):
        if self.neighbours < 1:
            raise ValueError(f"neighbours is {self.neighbours}; it must be at least 1.")


def extract_embeddings(options):
    """Embed a run's videos; write the embeddings, each video's neighbors and a map of all.

    Args:
        options: `Options`.

    Raises:
        ValueError: no run, or fewer than two videos that can be read.
    """
    run, query, count = options.run, options.query, options.neighbours
    check_run(run)
    embedder = Embedder(run, options.data_path, options.cache_path)
    asked = embedder.embed_videos([query]) if query else None
    found = embedder.embed_data(options.split)
    for _, problem in found.problems:
        print_line(f"  problem: {problem}")
    if len(found.examples) < 2:
        raise ValueError("Fewer than two videos can be read; see the problems above.")
    folder = Path(options.output or run / "embeddings")
    neighbors = list_neighbors(found, count)
    save_embeddings(folder, found, load_data(run)[1], neighbors)
    near = list_neighbors(found, count, asked)[0] if query else []
    scope = " ".join(filter(None, (Path(options.data_path).stem, options.split))) or "all splits"
    title = name_scope(run.name, scope, len(found.examples))
    shown = (asked.examples[0], near) if query else None
    names = draw_pages(folder, title, found, neighbors, shown)
    print_line(f"Written to {folder}: embeddings.npz, neighbours.csv, {', '.join(names)}")
    if query:
        print_line(f"Nearest to {query}:")
    for each in near:
        label, path = found.labels[each.index], found.paths[each.index]
        print_line(f"  {each.similarity:.3f}  {label}  {path}")


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(lambda: extract_embeddings(COMMAND.parse()))
