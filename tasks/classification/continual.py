"""What videos and cameras show, with each frame computed once: `models.continual`."""

from collections import deque
from contextlib import closing
from dataclasses import replace

from models.backbones import BACKBONES
from models.continual import Segments, Stream
from models.cutting import backbones_of, cut_after, name_backbone
from models.networks import find_backbone
from tasks.classification.predicting import Classifier
from utils.clips.sampling import SAMPLINGS
from utils.clips.windows import cut_windows, fill_up, play_windows, show_window
from utils.fitting.devices import number_format
from utils.system.words import print_line
from utils.video.resampling import FPS

import keras
import numpy as np


def check_continual(run, params):
    """Raise a ValueError, which says why, for a run that cannot predict continually.

    Args:
        run: its folder.
        params: its `Params`.
    """
    classifies = params.task == "classification" and not params.features
    backbone = find_backbone(params.network, params.embedder) if classifies else None
    if not classifies:
        reason = "it is of recognition" if params.task == "recognition" else "it is on features"
    elif not backbone or not backbone.dense:
        reason = f"its network, {params.network}, sees each clip as a whole"
    elif params.sampling != "segments":
        reason = f"its sampling, {params.sampling}, leaves out frames"
    else:
        return
    raise ValueError(
        f"{run} cannot predict continually: {reason}. Leave out --continual, or give a run of "
        "classification on videos with an I3D and sampling segments."
    )


def _see_segments(network):
    """Return (`Segments`, the head that takes those of a clip) of a network."""
    return Segments(network.get_layer("backbone").layer), network.get_layer("head")


def _see_steps(network):
    """Return (`Stream`, what follows of the network, of a clip's steps) of a network."""
    backbone = BACKBONES[name_backbone(network)]
    last = backbone.stages[-1]
    models = {
        stream: keras.Model(model.input, model.get_layer(last.layer).output, name=stream)
        for stream, model in backbones_of(network).items()
    }
    return Stream(models, backbone.time_stride), cut_after(network, last)[1]


class ContinualClassifier(Classifier):
    """Predicts as a `Classifier` does, but its backbone sees each frame once.

    Where a clip has one segment, windows are cut from the steps of the backbone's last map. Unlike
    in a clip of its own, a step has seen the frames before and behind the window. Where a clip has
    several, they are cut from segments, each of which is seen alone, as in a clip.

    Args:
        classifier: a `Classifier` of a run that `check_continual` admits.
    """

    def __init__(self, classifier):
        super().__init__(classifier.inquiry, classifier.source, seconds=classifier.seconds)
        take_apart = _see_steps if self.clip_format.segments == 1 else _see_segments
        with number_format(self.inquiry.params.precision):
            self.stream, self.rest = take_apart(self.network)
        self.frames_per_item = self.stream.shape[0]

    def plan_windows(self, fps=FPS):
        """Return the items of a window, and from the start of one to that of the next.

        Args:
            fps: frames per second of a source that is not resampled.
        """
        rate = (self.clip_format.fps or fps) / self.frames_per_item
        window, step = (round(seconds * rate) for seconds in self.seconds)
        whole = self.clip_format.segments * self.clip_format.frames
        return window or -(-whole // self.frames_per_item), step or 1

    def play(self, frames, plan, live=False):
        """Return a generator of windows; an item is (seconds, map of a step or features)."""
        count = self.frames_per_item
        pieces = play_windows(fill_up(frames, count), self.clip_format, count, count, live)
        return cut_windows(self._compute(pieces), *plan)

    def _compute(self, pieces):
        """Yield the item of each `Window` of the frames of one."""
        form = replace(self.clip_format, segments=1, frames=self.frames_per_item)
        begins, expected, told = deque(), 0, False
        self.stream.reset()
        with closing(pieces):
            for piece in pieces:
                if piece.index > expected and not told:
                    told = True
                    print_line(
                        "The network is slower than the camera: frames are left out.", flush=True
                    )
                expected = piece.index + 1
                begins.append(piece.begin)
                for item in self.stream.push(show_window(piece, form)[0]):
                    yield begins.popleft(), item
        yield from zip(begins, self.stream.finish(), strict=True)

    def see(self, window):
        """Return the probabilities of a `Window` of `play`, float32 (outputs,)."""
        form, items = self.clip_format, np.stack([item for _, item in window.items])
        length = -(-form.frames // self.frames_per_item)
        places = SAMPLINGS["segments"](len(items), form.segments, length, 0.5)
        shown = items[places].reshape(1, *self.rest.input_shape[1:])
        return self._conclude(self.rest.predict_on_batch(shown))

    def watch(self, frames, on_step):
        """Predict what a live source shows, as `Classifier.watch` does; print how late it is.

        While the network is busy, the frames of whole items are dropped but for the newest. What
        comes before and behind them counts as neighboring.
        """
        rate = self.clip_format.fps or FPS
        late, step = (
            count * self.frames_per_item / rate
            for count in (self.stream.lag, self.plan_windows()[1])
        )
        said = f"An answer every {step:.2f} s, which lags {late:.2f} s behind the camera."
        print_line(said, flush=True)
        # Compiled before the camera opens, so that no frames wait for it.
        self.rest.predict_on_batch(np.zeros((1, *self.rest.input_shape[1:]), "float32"))
        self.stream.push(np.zeros(self.stream.shape, "float32"))
        return super().watch(frames, on_step)
