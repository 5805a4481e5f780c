"""Model inputs and outputs: clips, the features of the frozen part, or stored features."""

from itertools import chain
from pathlib import Path

from utils.clips.batches import Sequence
from utils.clips.reading import check_flow, clip_key, describe_format, list_views, read_clip
from utils.clips.rows import list_row_views, read_rows
from utils.features.layouts import read_npy
from utils.features.lookup import check_lengths
from utils.features.row_memory import RowMemory
from utils.features.store import array_path, is_done, open_store, save_features, settings_hash
from utils.scores.labelings import to_probabilities
from utils.system.hashing import hash_bytes
from utils.system.progress import show_progress
from utils.system.words import print_line
from utils.video.reading import probe
from utils.video.views import CENTER

import keras
import numpy as np


def predict_examples(model, sequence, title, take=lambda start, arrays: None):
    """Run a model over all examples and show how far it is.

    Args:
        model: from a batch of inputs to outputs.
        sequence: a `Sequence` without an order.
        title: what is done, such as "Computing features".
        take: function of a batch's first example, a number, and of its outputs.

    Returns:
        Array (examples, ...).
    """
    count, size = len(sequence.targets), sequence.batch_size
    with show_progress(title, "clip", total=count) as bar:

        def advance(step, logs):
            take(step * size, logs["outputs"])
            bar.update(min(size, count - bar.n))

        callback = keras.callbacks.LambdaCallback(on_predict_batch_end=advance)
        return model.predict(sequence, callbacks=[callback], verbose=0)[:count]


def fingerprint(model):
    """Return a hash of a model's weights, output and number format."""
    arrays = (keras.ops.convert_to_numpy(variable) for variable in model.variables)
    weights = (np.ascontiguousarray(array).tobytes() for array in arrays)
    how = f"{model.output_shape} {model.dtype_policy.name}"
    return hash_bytes(chain(weights, [how.encode()]))


class ClipSource:
    """Where a model's inputs come from: videos, their clips or the features of those.

    Args:
        clip_format: a `ClipFormat`.
        frozen: model from a batch of clips to their features, run once a clip; None to hand out
            the clips themselves.
        folder: where features are kept, in a store (`utils.features.store`) for each network and
            format.
        workers: threads that read videos while the model runs.
        replicas: devices that the model runs on.
        network: a hash of all that decides the frozen model's outputs; "": its `fingerprint`.

    Raises:
        ValueError: the format's folder of flow is none, or of another kind.
    """

    def __init__(
        self,
        clip_format,
        frozen=None,
        folder="weights/cache",
        workers=2,
        replicas=1,
        network="",
    ):
        check_flow(clip_format)
        self.clip_format, self.frozen = clip_format, frozen
        self.workers, self.replicas = workers, replicas
        if frozen is not None:
            self.memory, self.network = RowMemory(), network or fingerprint(frozen)
            self.settings = describe_format(clip_format) | {"network": self.network}
            self.store = Path(folder, "features", settings_hash(self.settings))

    def find_video(self, video):
        """Return the `Video` whose frames are shown."""
        return video

    def list_views(self, video, clips=1, crops=1):
        """Return the views of a `Video`, as `utils.clips.reading.list_views`."""
        return list_views(video, clips, crops)

    def read(self, clip):
        """Read a `Clip`, as `utils.clips.reading.read_clip`."""
        return read_clip(clip, self.clip_format)

    def _is_kept(self, name, clip):
        return is_done(self.store, name, clip.video.digest, self.settings)

    def recall(self, clip):
        """Return the features of a clip that were kept before, or None.

        Args:
            clip: a `Clip`.
        """
        if self.frozen is None:
            return None
        name = clip_key(clip, self.clip_format, self.network)
        kept = self._is_kept(name, clip)
        return np.array(read_npy(array_path(self.store, name))) if kept else None

    def prepare(self, clips):
        """Return a function index -> input array, after computing the features not yet there.

        Features are saved as they come: a killed extraction goes on where it stopped.

        Args:
            clips: list of `Clip`.
        """
        if self.frozen is None:
            return lambda index: self.read(clips[index])
        names = [clip_key(clip, self.clip_format, self.network) for clip in clips]
        missing = {
            name: clip
            for name, clip in zip(names, clips, strict=True)
            if not self._is_kept(name, clip)
        }
        if missing:
            self._extract(list(missing), list(missing.values()))
        return lambda index: self.memory.read(read_npy, array_path(self.store, names[index]))

    def _extract(self, names, clips):
        open_store(self.store, self.settings)
        batch = self.replicas  # one video is batch enough: its segments are folded into it
        print_line(
            f"Computing features of {len(clips)} clips with the frozen part of the network",
            flush=True,
        )

        def save(start, arrays):
            at = slice(start, None)
            for name, clip, array in zip(names[at], clips[at], arrays, strict=False):
                record = {"source": clip.video.digest, "settings": settings_hash(self.settings)}
                array = array.astype("float32")  # NumPy cannot read bfloat16 back
                save_features(self.store, name, {CENTER: array}, record)

        sequence = Sequence(
            lambda index, epoch: self.read(clips[index]),
            np.zeros((len(clips), 1)),
            batch,
            replicas=self.replicas,
            workers=self.workers,
        )
        predict_examples(self.frozen, sequence, "Computing features", save)


class FeatureSource:
    """Where a head's inputs come from: features of videos, extracted before.

    It has the methods of a `ClipSource`, whose videos are `VideoFeatures` here.

    Args:
        segments: rows that are read of a video.
        channels: of a row.
        workers: threads that read.
        replicas: devices that the model runs on.
    """

    def __init__(self, segments, channels, workers=2, replicas=1):
        self.segments, self.channels = segments, channels
        self.workers, self.replicas = workers, replicas

    def find_video(self, features):
        """Return the `Video` whose frames are shown.

        Raises:
            VideoError: it is not there: features may be all that there is.
        """
        return probe(features.path)

    def list_views(self, features, clips=1, crops=1):
        """Return the views of a video's features, as `utils.clips.rows.list_row_views`."""
        return list_row_views(features, clips, crops)

    def read(self, clip):
        """Read a `Clip` of features, as `utils.clips.rows.read_rows`."""
        return read_rows(clip, self.segments)

    def prepare(self, clips):
        """Return a function index -> rows, float32 (segments, channels).

        Args:
            clips: list of `Clip` of features.

        Raises:
            ValueError: features whose rows are of another length; their file is named.
        """
        check_lengths([clip.video for clip in clips], self.channels)
        return lambda index: self.read(clips[index])


def predict_videos(model, source, videos, views=(1, 1), batch_size=8, labeling="single"):
    """Return the probabilities of videos, averaged over their views.

    Args:
        model: from a batch of the source's arrays to logits.
        source: a `ClipSource` or a `FeatureSource`.
        videos: list of what the source has views of.
        views: clips and crops a video.
        batch_size: views per step.
        labeling: a key of `utils.scores.labelings.LABELINGS`.

    Returns:
        float32 array (videos, outputs).
    """
    clips = [view for video in videos for view in source.list_views(video, *views)]
    read = source.prepare(clips)
    sequence = Sequence(
        lambda index, epoch: read(index),
        np.zeros((len(clips), model.output_shape[-1])),
        batch_size,
        replicas=source.replicas,
        workers=source.workers,
    )
    logits = predict_examples(model, sequence, "Predicting")
    probabilities = to_probabilities(labeling, logits)
    return probabilities.reshape(len(videos), -1, probabilities.shape[-1]).mean(1)
