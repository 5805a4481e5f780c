"""What videos and cameras show, with each frame computed once: `models.continual`."""

from collections import deque
from contextlib import closing
from dataclasses import replace

from models.backbones import BACKBONES
from models.continual import Stream
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


class ContinualClassifier(Classifier):
    """Predicts as a `Classifier` does, but its backbone sees each frame once.

    Windows are cut from the steps of the backbone's last map. Unlike in a window of its own, each
    step has seen the frames before and behind the window, where there are any.

    Args:
        classifier: a `Classifier` that `check_continual` admits.
    """

    def __init__(self, classifier):
        super().__init__(classifier.inquiry, classifier.source, seconds=classifier.seconds)
        backbone = BACKBONES[name_backbone(self.network)]
        last, self.frames_per_item = backbone.stages[-1], backbone.time_stride
        with number_format(self.inquiry.params.precision):
            self.rest = cut_after(self.network, last)[1]
            models = {
                stream: keras.Model(model.input, model.get_layer(last.layer).output, name=stream)
                for stream, model in backbones_of(self.network).items()
            }
            self.stream = Stream(models, self.frames_per_item)

    def plan_windows(self, fps=FPS):
        """Return the steps of a window, and from the start of one to that of the next.

        Args:
            fps: frames per second of a source that is not resampled.
        """
        rate = (self.clip_format.fps or fps) / self.frames_per_item
        window, step = (round(seconds * rate) for seconds in self.seconds)
        whole = self.clip_format.segments * self.clip_format.frames
        return window or -(-whole // self.frames_per_item), step or 1

    def play(self, frames, plan, live=False):
        """Return a generator of windows, whose items are (seconds, map), a step each."""
        count = self.frames_per_item
        steps = play_windows(fill_up(frames, count), self.clip_format, count, count, live)
        return cut_windows(self._list_maps(steps), *plan)

    def _list_maps(self, steps):
        """Yield (seconds, map) of each step, a `Window` of its frames."""
        form = replace(self.clip_format, segments=1, frames=self.frames_per_item)
        begins, expected, told = deque(), 0, False
        self.stream.reset()
        with closing(steps):
            for step in steps:
                if step.index > expected and not told:
                    told = True
                    print_line(
                        "The network is slower than the camera: frames are left out.", flush=True
                    )
                expected = step.index + 1
                begins.append(step.begin)
                for shown in self.stream.push(show_window(step, form)[0]):
                    yield begins.popleft(), shown
        yield from zip(begins, self.stream.finish(), strict=True)

    def choose_steps(self, count):
        """Return which of so many steps each segment sees, int (segments, steps)."""
        form, steps = self.clip_format, self.rest.input_shape[2]
        frames = SAMPLINGS["segments"](
            count * self.frames_per_item, form.segments, form.frames, 0.5
        )
        begins = np.round(frames[:, :1] / self.frames_per_item).astype(int)
        return (np.minimum(begins, max(0, count - steps)) + np.arange(steps)) % count

    def see(self, window):
        """Return the probabilities of a `Window` of `play`, float32 (outputs,)."""
        maps = np.stack([shown for _, shown in window.items])
        return self._conclude(self.rest.predict_on_batch(maps[self.choose_steps(len(maps))][None]))

    def watch(self, frames, on_step):
        """Predict what a live source shows, as `Classifier.watch` does; print how late it is.

        While the network is busy, the frames of whole steps are dropped but for the newest. It then
        sees what comes before and behind them as neighbors.
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
