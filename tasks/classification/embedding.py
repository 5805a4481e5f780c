"""What a classifier's network makes of a video before it decides, and which videos are alike."""

import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from models.heads import embedding_model
from tasks.classification.sources import inspect, open_parts, open_source
from tasks.features.runtimes import choose_runtime
from tasks.plan import make_plan
from utils.clips.batches import Sequence
from utils.clips.inputs import predict_examples
from utils.clips.reading import list_views, read_clip
from utils.data.datasets import list_examples
from utils.data.examples import Example, select_split
from utils.data.splits import find_groups
from utils.features.lookup import own_features
from utils.fitting.devices import number_format
from utils.params import Params
from utils.places import name_command
from utils.runs.folders import check_run, load_data
from utils.runs.networks import best_network, load_network
from utils.runs.saved_params import load_params
from utils.scores.neighbors import nearest
from utils.system.files import whole_path
from utils.system.words import escape, list_some
from utils.video.reading import probe

import keras
import numpy as np

EMBEDDINGS = "embeddings.npz"


def make_embedder(network, plan, run):
    """Return (what runs once a clip, `Prepared` or None; model from that, or clips, to embeddings).

    Args:
        network: of a run.
        plan: its `Plan`.
        run: its folder.
    """
    frozen, trained = open_parts(plan, network, choose_runtime(plan.params), run=run)
    with number_format(plan.params.precision):
        head = network.get_layer("head")
        embed = embedding_model(head)
        if trained is not head:  # the head follows what is trained of the backbone
            embed = keras.Model(trained.input, embed(trained.layers[-2].output))
    return frozen, embed


class Embeddings(NamedTuple):
    """What a network makes of videos before it decides.

    Attributes:
        vectors: float32 (videos, dim).
        examples: the `Example` of each video (path, label, split, group).
        problems: [(path, why)] of the videos that are left out, and of damaged ones.
    """

    vectors: np.ndarray
    examples: list
    problems: list

    @property
    def paths(self):
        """The path of each video."""
        return [example.path for example in self.examples]

    @property
    def labels(self):
        """The label of each video; "" where none is known."""
        return [example.label for example in self.examples]

    def __repr__(self):
        videos, width = self.vectors.shape
        lines = [
            f"{videos} videos, {width} numbers each",
            *(f"  problem: {p}" for _, p in self.problems),
        ]
        return "\n".join(map(escape, lines))


def _list_own(run, params):
    """Return the examples of a run, with their groups."""
    examples = load_data(run)[0]
    paths, data = [example.path for example in examples], params.data_path
    roots = whole_path(data), os.path.realpath(data)  # the run's paths are whole
    root = next((each for each in roots if Path(paths[0]).is_relative_to(each)), roots[0])
    groups = find_groups(paths, params.group_pattern, root)
    return [replace(e, group=group) for e, group in zip(examples, groups, strict=True)]


class Embedder:
    """Embeds videos: what the head of a run's network hands to its last layer.

        found = Embedder("weights/<run>").embed_videos(["a.mp4", "b.mp4"])
        found.paths, found.vectors

    Args:
        run: folder of a run of classification.
        data_path: other data, of any classes; "" for the run's.
        cache_path: where what was computed of videos is kept, as in training.

    Raises:
        ValueError: no run of classification there, or no such data.
    """

    def __init__(self, run, data_path="", cache_path=Params.cache_path):
        check_run(run)
        best_network(run)
        params = replace(load_params(Path(run, "params.json")), cache_path=cache_path)
        if params.task != "classification":
            raise ValueError(f"{run} is a run of {params.task}; only classifiers embed videos.")
        if data_path:
            self.examples = list_examples(data_path, "", params.group_pattern)
        else:
            self.examples = _list_own(run, params)
        if params.features and data_path:
            own = own_features([example.path for example in self.examples], data_path)
            params = replace(params, features=own or params.features)
        self.params, network, plan = params, load_network(run), make_plan(params)
        frozen, self.model = make_embedder(network, plan, run)
        self.source = open_source(plan, network, frozen)

    def embed_data(self, split=""):
        """Return the `Embeddings` of the data, or of a split of it: train, val or test."""
        return self._embed(select_split(self.examples, split))

    def embed_videos(self, paths):
        """Return the `Embeddings` of videos; those that cannot be read are left out and named.

        Args:
            paths: of the videos. Of a run on features, those of the videos must be there.

        Raises:
            ValueError: no video can be read.
        """
        return self._embed([Example(str(path), "") for path in paths])

    def _embed(self, examples):
        found, problems = inspect([example.path for example in examples], self.params)
        kept = [example for example in examples if example.path in found]
        if not kept:
            raise ValueError(f"No video can be read. {list_some((p for _, p in problems), 3)}")
        views = [self.source.list_views(found[example.path])[0] for example in kept]
        read, batch_size = self.source.prepare(views), self.params.batch_size
        targets, workers = np.zeros((len(kept), 1)), self.source.workers
        sequence = Sequence(lambda i, epoch: read(i), targets, batch_size, workers=workers)
        vectors = predict_examples(self.model, sequence, "Computing embeddings")
        return Embeddings(vectors.astype(np.float32), kept, problems)


class Neighbors:
    """The training videos that `scripts.extract_embeddings` embedded, to find those like another.

    Where none of what it embedded is of a training split, all of it.

    Args:
        run: folder of a run with embeddings/embeddings.npz.
        network: the run's.
        plan: its `Plan`.

    Raises:
        ValueError: embeddings of another network.
    """

    def __init__(self, run, network, plan):
        path = Path(run, "embeddings", EMBEDDINGS)
        again = f"Make the file again: {name_command('scripts.extract_embeddings')} {run}"
        try:
            with np.load(path) as arrays:
                training = arrays["splits"] == "train"
                own = training if training.any() else slice(None)
                self.known, self.paths, self.labels = (
                    arrays[name][own] for name in ("embeddings", "paths", "labels")
                )
        except Exception as error:  # parsers raise whatever damaged bytes lead to
            raise ValueError(f"{path} is damaged ({error}). {again}") from error
        self.frozen, self.model = make_embedder(network, plan, run)
        self.clip_format, width = plan.clip_format, self.model.output_shape[-1]
        if self.known.shape[1:] != (width,):
            raise ValueError(
                f"{path} was made by another network: its embeddings are "
                f"{self.known.shape[1:]}, those of this network ({width},). {again}"
            )

    def find(self, video, count):
        """Return [(path, label, cosine similarity)] of the nearest videos to one, nearest first.

        Args:
            video: its path.
            count: how many, at most.

        Raises:
            VideoError: it cannot be read.
        """
        clip = read_clip(list_views(probe(video))[0], self.clip_format)[None]
        if self.frozen is not None:
            clip = self.frozen.model.predict_on_batch(clip)
        query = np.asarray(self.model.predict_on_batch(clip), np.float32)
        places, cosines = nearest(self.known, None, count, query)
        return [
            (str(self.paths[place]), str(self.labels[place]), float(cosine))
            for place, cosine in zip(places[0], cosines[0], strict=True)
        ]
