"""The rows of one sentence, of its file of rows or of its video, and when they are."""

from contextlib import suppress
from functools import partial
from typing import NamedTuple

from models.recognizer import count_channels, count_pooled
from tasks.features.reader import RowReader
from tasks.recognition.transcription import find_gaps, load_recognizer
from utils.features.layouts import READERS
from utils.features.lookup import check_lengths, find_features
from utils.features.rows import row_edges
from utils.features.settings import UnknownSettingsError, find_image_fps, find_stride, read_settings
from utils.runs.networks import load_network
from utils.signing.row_changes import read_sentence
from utils.video.reading import probe
from utils.video.resampling import FPS
from utils.video.views import CENTER

import numpy as np


class SentenceRows(NamedTuple):
    """The rows of a sentence.

    Attributes:
        rows: float32 (rows, dim).
        times: float (rows,), their centers in seconds.
        duration: of the sentence in seconds.
        image_fps: frames per second of the video where it is a folder of images.
        notes: sentences on what is odd, or not known.
    """

    rows: np.ndarray
    times: np.ndarray
    duration: float
    image_fps: float
    notes: list

    def find_edges(self, front, steps):
        """Return when each step begins, and the last one ends, float (steps + 1,) in seconds.

        Args:
            front: of the network, a key of `FRONTS`.
            steps: that it makes of the rows.
        """
        edges = row_edges(self.times)[:: count_pooled(front)][: steps + 1]
        return np.append(np.clip(edges[:-1], 0, self.duration), self.duration)


def _find_stride(run, params):
    """Return the frames from a row to the next, as the features, their user or the run tell."""
    told = find_stride(params.features, params.row_step, params.row_stride)
    if not told:
        with suppress(ValueError):
            told = read_settings(run).stride * params.row_step
    return told or 4 * params.row_step  # what runs of older versions took for granted


def read_stored(run, params, path, network):
    """Return the `SentenceRows` of a file of rows, or of those that are stored of a video.

    Args:
        run: its folder.
        params: its `Params`, with the features that a video's are looked up in.
        path: of the file, or of the video, which need not be there.
        network: the run's, of `open_rows`.

    Raises:
        ValueError: no such features, ones of another width, or numbers that are not finite.
    """
    if not params.features:
        raise ValueError(f"{path}: {run} reads the frames of videos. Give the video.")
    features = find_features(str(path), params.features, find_gaps(params)).thin(params.row_step)
    check_lengths([features], count_channels(network))
    stride = _find_stride(run, params)
    times, told = features.find_times(stride)
    notes = [] if told else [f"The features have no times; {stride} / {FPS:g} s a row is assumed."]
    image_fps = find_image_fps(params.features)
    duration = float(row_edges(times)[-1])
    return SentenceRows(read_sentence(features), times, duration, image_fps, notes)


def read_video(reader, path, on_progress=lambda done, total: None):
    """Return the `SentenceRows` of a video.

    Args:
        reader: a `RowReader`.
        path: of the video.
        on_progress: function of the rows done and of all of them.

    Raises:
        VideoError: not a video, or a frame that cannot be decoded; it is named.
        ValueError: a video too short for a row.
    """
    image_fps = reader.row_format.image_fps
    video = probe(path).play_images_at(image_fps)
    rows, times = reader.read(video, on_progress=on_progress)
    notes = [video.note] if video.note else []
    return SentenceRows(rows[CENTER], times, video.duration(reader.fps), image_fps, notes)


def _open_reader(run, params):
    try:
        return RowReader(run, params.row_step)
    except UnknownSettingsError as error:
        raise ValueError(
            f"{run} reads rows that another program made, and cannot make them of a video. Give "
            f"the video's file of rows ({', '.join(READERS)})."
        ) from error


def open_rows(run, params):
    """Return (what of a run of recognition reads rows, what makes them of videos when it is asked).

    Args:
        run: its folder.
        params: its `Params`; without features, the backbone is in its network (stage 2).

    Returns:
        (a `keras.Model`, function -> `RowReader`, which raises a ValueError where videos cannot be
        read: rows of another program, or weights that are not there or not the same).
    """
    if params.features:
        return load_recognizer(run, params.features), partial(_open_reader, run, params)
    network = load_network(run, ("recognizer",))
    reader = partial(RowReader, run, params.row_step, network)
    return network.get_layer("recognizer"), reader
