"""Map a run's videos by what its network sees: python -m scripts.extract_embeddings weights/<run>.

An embedding is what the head hands to its last layer: 256 numbers or more, alike for videos that
the network takes to be alike.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from tasks.classification.embedding import EMBEDDINGS, make_embedder
from tasks.classification.sources import inspect, inspect_one, open_source
from tasks.plan import make_plan
from utils.clips.batches import Sequence
from utils.clips.inputs import predict_examples
from utils.command_line import Command
from utils.data.datasets import list_examples
from utils.data.examples import select_split
from utils.data.splits import find_groups
from utils.features.lookup import own_features
from utils.params import Params
from utils.pictures.embedding_map import plot_map, project
from utils.runs.folders import load_data
from utils.runs.networks import best_network, load_network
from utils.runs.saved_params import load_params
from utils.scores.neighbors import nearest
from utils.system.commands import run_command
from utils.system.files import atomic_path, whole_path
from utils.system.tables import write_csv
from utils.system.words import print_line

import numpy as np
import tyro


def choose_examples(run, split, data_path, params):
    """Return the examples of a split, or all, of the run or of other data, with their groups."""
    if data_path:
        return select_split(list_examples(data_path, "", params.group_pattern), split)
    examples = select_split(load_data(run)[0], split)
    paths, data = [example.path for example in examples], params.data_path
    roots = whole_path(data), os.path.realpath(data)  # the run's paths are whole
    root = next((each for each in roots if Path(paths[0]).is_relative_to(each)), roots[0])
    groups = find_groups(paths, params.group_pattern, root)
    return [replace(e, group=group) for e, group in zip(examples, groups, strict=True)]


def embed_videos(model, source, videos, batch_size):
    """Return the embeddings of the center views of videos.

    Args:
        model: from a batch of the source's arrays to embeddings.
        source: a `ClipSource` or a `FeatureSource`.
        videos: list of what the source has views of.
        batch_size: videos per step.

    Returns:
        float32 array (videos, dim).
    """
    read = source.prepare([source.list_views(video)[0] for video in videos])
    targets = np.zeros((len(videos), 1))
    sequence = Sequence(lambda i, epoch: read(i), targets, batch_size, workers=source.workers)
    return predict_examples(model, sequence, "Computing embeddings").astype(np.float32)


def save_neighbors(path, examples, indices, similarities):
    """Write a row for each neighbor of each video; return the share whose first one agrees.

    Labels agree when a class is in both. Videos without a neighbor do not count.
    """
    rows, first = [], []
    for example, row, cosines in zip(examples, indices, similarities, strict=True):
        for rank, (index, cosine) in enumerate(zip(row, cosines, strict=True), 1):
            if np.isfinite(cosine):
                other = examples[index]
                agrees = int(bool(set(example.labels) & set(other.labels)))
                names = example.path, example.label, rank, other.path, other.label
                rows.append((*names, f"{cosine:.4f}", agrees))
                first += [agrees] if rank == 1 else []
    header = "path", "label", "rank", "neighbour", "neighbour_label", "similarity", "agrees"
    write_csv(path, header, rows)
    return np.mean(first) if first else None


def save_embeddings(folder, examples, embeddings, classes, neighbors):
    """Write embeddings.npz, neighbours.csv and map.png, and print whether neighbors agree."""
    columns = {
        f"{name}s": np.array([getattr(example, name) for example in examples])
        for name in ("path", "label", "split")
    }
    with atomic_path(folder / EMBEDDINGS) as temporary:
        np.savez(temporary, embeddings=embeddings, classes=np.array(classes), **columns)
    indices, similarities = nearest(embeddings, [e.group for e in examples], neighbors)
    share = save_neighbors(folder / "neighbours.csv", examples, indices, similarities)
    plot_map(project(embeddings), columns["labels"], columns["splits"], folder / "map.png")
    if share is None:
        print("All videos are of one group: none has a neighbor.")
    else:
        print_line(f"{share:.1%} of the videos have a nearest neighbor with their label")
    print_line(f"Written to {folder}: embeddings.npz, neighbours.csv, map.png")


@dataclass(frozen=True)
class Options:
    """Which videos are embedded, by which run."""

    run: tyro.conf.Positional[Path]
    """Folder of the run, weights/RUN."""
    split: str = ""
    """train, val or test. Empty: all videos."""
    data_path: str = ""
    """Other data, of any classes. Empty: the data of the run."""
    output: str = ""
    """Folder to write to. Empty: embeddings/ in the run's folder."""
    cache_path: str = Params.cache_path
    """Folder of the cache, as in training."""
    neighbours: int = 5
    """How many nearest videos are listed for each video. Videos of its own group do not count."""
    query: str = ""
    """A video file whose nearest videos are printed."""

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
    _, classes = load_data(run)
    best_network(run)  # refuses what is no run before any work
    params = replace(load_params(run / "params.json"), cache_path=options.cache_path)
    asked = [inspect_one(query, params)] if query else []
    examples = choose_examples(run, options.split, options.data_path, params)
    paths = [example.path for example in examples]
    if params.features and options.data_path:
        own = own_features(paths, options.data_path)
        params = replace(params, features=own or params.features)
    found, problems = inspect(paths, params)
    for _, problem in problems:
        print_line(f"  problem: {problem}")
    examples = [example for example in examples if example.path in found]
    if len(examples) < 2:
        raise ValueError("Fewer than two readable videos; see the problems above.")

    network, plan = load_network(run), make_plan(params)
    frozen, model = make_embedder(network, plan)
    source = open_source(plan, network, frozen)
    videos = [found[example.path] for example in examples]
    embeddings = embed_videos(model, source, videos + asked, params.batch_size)
    embeddings, queries = np.split(embeddings, [len(videos)])
    folder = Path(options.output or run / "embeddings")
    save_embeddings(folder, examples, embeddings, classes, count)
    if query:
        print_line(f"Nearest to {query}:")
        indices, cosines = nearest(embeddings, None, count, queries)
        for index, cosine in zip(indices[0], cosines[0], strict=True):
            print_line(f"  {cosine:.3f}  {examples[index].label}  {examples[index].path}")


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(lambda: extract_embeddings(COMMAND.parse()))
