"""What a classifier's network makes of a video before it decides, and which videos are alike."""

from pathlib import Path

from models.cutting import cut_network
from models.heads import embedding_model
from utils.clips.reading import list_views, read_clip
from utils.fitting.devices import number_format
from utils.scores.neighbors import nearest
from utils.video.reading import probe

import keras
import numpy as np

EMBEDDINGS = "embeddings.npz"


def make_embedder(network, plan):
    """Return (frozen part or None, model from its features, or from clips, to embeddings).

    Args:
        network: of a run.
        plan: its `Plan`.
    """
    with number_format(plan.params.precision):
        frozen, trained = cut_network(network, plan.cut)
        head = network.get_layer("head")
        embed = embedding_model(head)
        if trained is not head:  # the head follows what is trained of the backbone
            embed = keras.Model(trained.input, embed(trained.layers[-2].output))
    return frozen, embed


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
        try:
            with np.load(path) as arrays:
                training = arrays["splits"] == "train"
                own = training if training.any() else slice(None)
                self.known, self.paths, self.labels = (
                    arrays[name][own] for name in ("embeddings", "paths", "labels")
                )
        except Exception as error:  # parsers raise whatever damaged bytes lead to
            again = f"Make it anew: python -m scripts.extract_embeddings {run}"
            raise ValueError(f"{path} is damaged ({error}). {again}") from error
        self.frozen, self.model = make_embedder(network, plan)
        self.clip_format, width = plan.clip_format, self.model.output_shape[-1]
        if self.known.shape[1:] != (width,):
            raise ValueError(
                f"{path} is of another network: its embeddings are {self.known.shape[1:]}, this "
                f"one's ({width},). Make it anew: python -m scripts.extract_embeddings {run}"
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
            clip = self.frozen.predict_on_batch(clip)
        query = np.asarray(self.model.predict_on_batch(clip), np.float32)
        places, cosines = nearest(self.known, None, count, query)
        return [
            (str(self.paths[place]), str(self.labels[place]), float(cosine))
            for place, cosine in zip(places[0], cosines[0], strict=True)
        ]
