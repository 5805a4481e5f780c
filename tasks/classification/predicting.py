"""What videos and cameras show: the classes of a run, or those of a published backbone."""

from contextlib import closing, suppress
from functools import partial
from pathlib import Path

from models.backbones import BACKBONES, DEFAULT
from models.cutting import as_network, cut_network
from models.exporting.portable import make_portable
from models.later import later
from tasks.answers import Judge, LiveStep, Seen, open_judge
from tasks.classification.questions import Inquiry, load_views
from tasks.classification.sources import open_parts, open_source
from tasks.features.runtimes import choose_runtime, pick_clips, prepare
from tasks.plan import make_plan
from utils.clips.inputs import ClipSource
from utils.clips.windows import Window, count_windows, play_windows, show_window
from utils.fitting.devices import number_format
from utils.params import Params
from utils.places import PRETRAINED
from utils.runs.networks import load_network
from utils.scores.intervals import count_steps
from utils.scores.labelings import to_probabilities
from utils.system.words import print_line
from utils.video.live import play_video
from utils.video.reading import probe
from utils.video.resampling import FPS

import numpy as np

# Pictures need Matplotlib, which answers do without.
explain_views = later("tasks.classification.explaining", "explain_views")
save_maps = later("tasks.classification.explaining", "save_maps")


class Classifier:
    """Predicts the classes of videos, and of what a camera sees.

    Args:
        inquiry: an `Inquiry`; its network takes clips.
        source: a `ClipSource` of such clips. Where it has a frozen part of the network, the
            features of whole videos that training kept are used.
        head: of the network, what follows that part; None where there is none.
        run: function of clips (1, segments, ...) -> logits; None for the network's own.
        views: (clips, crops) that are averaged for a whole video; None for its windows.
        seconds: (window, step); 0 for the frames of a clip, and for half a window.

    Raises:
        ValueError: a window or a step that is negative.
    """

    kind, live = "classes", True
    frames_per_item = 1  # of what windows are cut from

    def __init__(self, inquiry, source, head=None, views=None, seconds=(0, 0), run=None):
        if min(seconds) < 0:
            raise ValueError(
                f"window and step are {seconds}; give a number of seconds, or 0 for the default."
            )
        self.inquiry, self.network, self.judge = inquiry, inquiry.network, inquiry.judge
        self.source, self.head, self.clip_format = source, head, source.clip_format
        self.views, self.seconds, self.labels = views, seconds, self.judge.labels
        self.run = run or self.network.predict_on_batch

    def plan_windows(self, fps=FPS):
        """Return the items of a window, and from the start of one to that of the next.

        Args:
            fps: frames per second of a source that is not resampled.
        """
        window, step = (seconds * (self.clip_format.fps or fps) for seconds in self.seconds)
        whole = self.clip_format.segments * self.clip_format.frames
        window = max(1, round(window)) if window else whole
        return window, max(1, round(step) if step else window // 2)

    def _conclude(self, logits):
        return to_probabilities(self.judge.labeling, logits)[0]

    def play(self, frames, plan, live=False):
        """Return a generator of windows.

        Args:
            frames: generator of (seconds, `utils.video.live.Picture`).
            plan: of `plan_windows`.
            live: whether frames come in their own time.
        """
        return play_windows(frames, self.clip_format, *plan, live=live)

    def see(self, window):
        """Return the probabilities of a `Window`, float32 (outputs,)."""
        clip = show_window(window, self.clip_format)[None]
        return self._conclude(self.run(clip))

    def see_view(self, view):
        """Return the probabilities of a `Clip` of a whole video, float32 (outputs,)."""
        kept = self.source.recall(view)
        if kept is not None:
            return self._conclude(self.head.predict_on_batch(kept[None]))
        return self._conclude(self.run(self.source.read(view)[None]))

    def predict_video(self, path, on_progress=lambda done, total: None):
        """Return the `Prediction` of a video; no more frames are held than a window or view has.

        Windows say when. A video shorter than two of them has one interval, of what is said of the
        whole, unless there are no views or seconds are given.

        Args:
            path: a video file, or a folder of numbered images.
            on_progress: function of the windows and views done and of all of them, called after
                each.

        Raises:
            VideoError: not a video, or a frame that cannot be decoded; it is named.
        """
        video = probe(path)
        duration = video.duration(self.clip_format.fps)
        count, plan = len(video.timeline(self.clip_format.fps)), self.plan_windows(video.fps)
        count = -(-count // self.frames_per_item)
        views = self.source.list_views(video, *self.views) if self.views else []
        alone = bool(views) and not any(self.seconds) and count < 2 * plan[0]
        total, seen = len(views), Seen(1 if alone else count_steps(*plan))
        if not alone:
            total += count_windows(count, *plan)
            for window in self.play(play_video(video, self.clip_format), plan):
                seen.add(window, self.see(window))
                on_progress(len(seen.outputs), total)
        shown = []
        for view in views:
            shown.append(self.see_view(view))
            on_progress(len(seen.outputs) + len(shown), total)
        whole = np.mean(shown, axis=0) if views else seen.average()
        if alone:
            seen.add(Window(0, 0.0, []), whole)
        return self.judge.conclude(path, duration, whole, seen, video.note)

    def explain(self, prediction, label="", method=""):
        """Return the `Explanation` of why one centered clip of a video is of a class.

        Args:
            prediction: of `predict_video`.
            label: the class; "" for the most probable of the whole video, or, where the clip is
                only a part of it, of what is seen there.
            method: a key of `models.explaining.methods.METHODS`; "" for the first that fits.

        Raises:
            VideoError: the video is no longer there.
            ValueError: a class that is not known, or a method that does not fit the network.
        """
        views = load_views(Path(prediction.video), self.clip_format)
        shares = prediction.whole
        if not self.views:
            step = np.searchsorted(prediction.times[1:-1], np.median(views.seconds), "right")
            shares = prediction.probabilities[step]
        with number_format(self.inquiry.params.precision):
            return explain_views(self.inquiry.ask(views.clips, shares, label, method), views)

    def draw(self, explanation, folder):
        """Write an explanation's pictures; return {"overlay": a video, "sheet": a PNG}: paths."""
        return save_maps(Path(folder), explanation, explanation.title)

    def watch(self, frames, on_step):
        """Predict what a live source shows until it ends, or Ctrl-C; return its `Prediction`.

        No window is begun more than a step after its last frame came (with optical flow, a step and
        a frame): while the network is busy, windows that come are dropped but for the newest. The
        whole is the mean of the windows.

        Args:
            frames: generator of (seconds, `utils.video.live.Picture`), such as `play_camera`.
            on_step: function of a `LiveStep`, called after each window.

        Raises:
            VideoError: no such camera, or it gives no more frames.
            ValueError: the source ended before its first frame.
        """
        plan, end = self.plan_windows(), 0.0
        seen, rate = Seen(count_steps(*plan)), self.clip_format.fps or FPS
        windows = self.play(frames, plan, live=True)
        with closing(windows), suppress(KeyboardInterrupt):
            for window in windows:
                seen.add(window, self.see(window))
                end = window.items[-1][0] + self.frames_per_item / rate
                named = self.judge.name(seen.smooth_newest())
                on_step(LiveStep(window.items[0][0], end, *named))
        if not seen.outputs:
            raise ValueError(
                "The video stream ended before the first window was full, so nothing was predicted."
            )
        return self.judge.conclude("live", end, seen.average(), seen)


def _run_in(runtime, network, pick, run=None, parts=None):
    """Return a function of clips to a network's logits, in a runtime, or None for the network's.

    A head stays as it is: it is little work.

    Args:
        runtime, pick, run: as `tasks.features.runtimes.prepare` takes them.
        network: from clips to logits.
        parts: (what runs once a clip, `Prepared`; the rest), where it is cut already.
    """
    if runtime.is_own:
        return None
    body, head = parts or cut_network(network, "none")
    if body is None:
        return prepare(make_portable(network), runtime, pick, run).model.predict_on_batch
    body = body if parts else prepare(body, runtime, pick, run)
    return lambda clips: head.predict_on_batch(body.model.predict_on_batch(clips))


def open_published(seconds, asked):
    """Return the `Classifier` of the classes that the default backbone was published with.

    Args:
        seconds: as `Classifier` takes it.
        asked: `tasks.features.runtimes.Asked`.
    """
    backbone = BACKBONES[DEFAULT]
    clip, published = backbone.clip, backbone.published
    model = backbone.build("rgb", clip.frames, clip.frame_size, published.logits)
    loaded, classes = (
        published.load(model, published.weights, "rgb", PRETRAINED),
        published.read_classes(),
    )
    print_line(
        f"Using {backbone.title} with the published weights {loaded}: {len(classes)} classes "
        f"of {published.data}"
    )
    params = Params(
        network=backbone.name,
        num_segments=1,
        frames_per_segment=clip.frames,
        frame_size=clip.frame_size,
    )
    network, form = as_network(model), make_plan(params).clip_format
    pick = partial(pick_clips, asked.videos, form)
    compute = _run_in(choose_runtime(params, asked), network, pick)
    inquiry = Inquiry(network, Judge(classes), params)
    return Classifier(inquiry, ClipSource(form), seconds=seconds, run=compute)


def open_classifier(run, params, seconds, asked):
    """Return the `Classifier` of a run on videos.

    Args:
        run: its folder.
        params: its `Params`.
        seconds: of a window; None takes each video whole.
        asked: `tasks.features.runtimes.Asked`.
    """
    network, plan, runtime = load_network(run), make_plan(params), choose_runtime(params, asked)
    pick = partial(pick_clips, asked.videos, plan.clip_format)
    frozen, head = open_parts(plan, network, runtime, pick, run)
    source = open_source(plan, network, frozen)
    compute = _run_in(runtime, network, pick, run, frozen and (frozen, head))
    inquiry = Inquiry(network, open_judge(run, params), params)
    views = params.eval_clips, params.eval_crops
    return Classifier(inquiry, source, head, views, seconds, compute)
