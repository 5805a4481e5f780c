"""All that the page of `scripts.demo` shows of a video, piece by piece as it is found."""

import shutil
import time
from contextlib import suppress
from pathlib import Path

from models.backbones import BACKBONES, DEFAULT
from tasks.caution import choose_caution
from tasks.classification.embedding import EMBEDDINGS, Neighbors
from tasks.features.runtimes import Asked
from tasks.plan import make_plan
from tasks.predictors import open_predictor
from utils.pictures.answer_html import draw_answer, draw_intervals, draw_note, draw_picture
from utils.pictures.captions import save_captions
from utils.pictures.frame_sheets import read_spread
from utils.runs.folders import check_run, load_data
from utils.runs.saved_params import load_params
from utils.video.reading import probe, read_length
from utils.video.video import VideoError

import numpy as np

_NEAREST = 6  # training videos that are shown
_CAPTIONED = 360  # pixels of the shorter side of a video with captions
_SIDE = 320  # pixels of the longer side of their pictures
_DOUBT = 3  # times the limit: headers may be wrong that far before nothing is decoded
_MOST_PIXELS = 4096 * 2304  # of a frame; decoders keep up to 16 of them
# What is done for an answer, in this order; the last only where there are embeddings.
_STEPS = (
    "looking at the video",
    "writing captions",
    "finding out why",
    "searching for similar training videos",
)
_GRAY = np.full((180, 320, 3), 128, np.uint8)  # for a video that is no longer there


def check_video(video, limit):
    """Raise a VideoError for a video that asks for too much; no more than the limit is decoded.

    Args:
        video: its path.
        limit: in seconds.

    Raises:
        VideoError: it cannot be read, lasts longer, or has frames of more than `_MOST_PIXELS`.
    """
    told = read_length(video)
    if told > _DOUBT * limit:
        raise VideoError(
            f"{video}: the video is {told:.1f} s long, but this page takes at most "
            f"{limit:g} s. Cut out the part that matters."
        )
    probe(video, limit, _MOST_PIXELS)


def list_videos(run):
    """Return the paths of a classifier's own videos; () of a run of recognition.

    Raises:
        ValueError: not a run.
    """
    check_run(run)
    classifies = load_params(Path(run, "params.json")).task == "classification"
    return tuple(example.path for example in load_data(run)[0]) if classifies else ()


def _read_middle(path):
    frames, _ = read_spread(path, 1, _SIDE)
    return frames[0] if len(frames) else _GRAY


class _Steps:
    """Says which step of an answer is done, and how long it takes.

    Args:
        names: of the steps.
        usual: {step: seconds that it took for the last video}; what they take now is noted there.
        tell: function of the share that is done, below 1, and of words.
    """

    def __init__(self, names, usual, tell):
        self.names, self.usual, self.tell = names, usual, tell
        self.place, self.began = -1, time.monotonic()

    def _say(self, share, more):
        count = len(self.names)
        words = f"Step {self.place + 1} of {count}: {self.names[self.place]}{more}"
        self.tell((self.place + min(share, 0.99)) / count, words)

    def begin(self):
        """Say that the next step begins, and how long it took for the last video."""
        self.end()
        self.place, self.began = self.place + 1, time.monotonic()
        last = self.usual.get(self.names[self.place])
        self._say(0, f" (about {max(last, 1):.0f} s)" if last else "")

    def advance(self, done, total):
        """Say how much of a step is done, and how long the rest takes."""
        left = (time.monotonic() - self.began) / done * (total - done)
        self._say(done / total, f", {max(left, 1):.0f} s left" if done < total else "")

    def end(self):
        """Note how long the step took."""
        if self.place >= 0:
            self.usual[self.names[self.place]] = time.monotonic() - self.began


class Demonstration:
    """A network that is shown videos.

    Args:
        run: a run's folder; None for the 400 classes of Kinetics.
        sure: confidence below which an answer is called unsure; None: `choose_caution` chooses it.
        runtime, precision: as in `tasks.features.runtimes.Asked`; int8 is calibrated on the run's
            videos.

    Attributes:
        predictor: of `tasks.predictors.open_predictor`.
        about: what the network is, and when it is not sure, in sentences.

    Raises:
        ValueError: as `open_predictor` and `Neighbors`.
    """

    def __init__(self, run=None, sure=None, runtime="", precision="auto"):
        self.run, self.usual = run, {}
        asked = Asked(runtime, precision, list_videos(run) if run else ())
        self.predictor = open_predictor(run, asked=asked)
        getattr(self.predictor, "reader", None)  # a run that cannot read videos is refused now
        self.caution = choose_caution(self.predictor, run, sure)
        labels = self.predictor.labels
        known = f"{len(labels)} {self.predictor.kind}"
        if len(labels) <= 10:
            known += f": {', '.join(labels)}"
        self.neighbors = None
        if run is None:
            title, data = BACKBONES[DEFAULT].title, BACKBONES[DEFAULT].published.data
            self.about = f"This is the published {title}, trained on {data}. It knows {known}."
        else:
            params = load_params(Path(run, "params.json"))
            self.about = f"This is the run {Path(run).name} ({params.network}). It knows {known}."
        self.about += f" {self.caution.reason}" if self.caution else ""
        if run is None:
            return
        if self.predictor.clip_format and Path(run, "embeddings", EMBEDDINGS).is_file():
            self.neighbors = Neighbors(run, self.predictor.network, make_plan(params))

    def choose_examples(self, count, limit):
        """Return [(path, label, picture)] of validation videos of the run, the classes in turn.

        Args:
            count: how many, at most.
            limit: seconds that each may last.
        """
        if not self.run or self.predictor.kind != "classes":
            return []
        own = [example for example in load_data(self.run)[0] if example.split == "val"]
        turns, ranked = {}, []
        for example in own:
            turns[example.label] = turns.get(example.label, 0) + 1
            ranked.append((turns[example.label], example))
        found = []
        for _, example in sorted(ranked, key=lambda each: each[0]):
            if len(found) < count:
                with suppress(VideoError):
                    check_video(example.path, limit)
                    found.append((example.path, example.label, _read_middle(example.path)))
        return found

    def show(self, video, folder, limit, on_progress):
        """Yield {name: what is shown} of a video, as each is found.

        answer, timeline, why, sheet: HTML; captions and overlay: paths of videos; similar:
        [(picture, text)]. No overlay where a network sees rows of features; the last only where
        there are embeddings.

        Args:
            video: its path.
            folder: where videos and pictures are written.
            limit: seconds that it may last.
            on_progress: function of the share that is done, and of what is done now.

        Raises:
            ValueError: it is too long, or cannot be read.
        """
        check_video(video, limit)
        names = _STEPS if self.neighbors else _STEPS[:-1]
        steps = _Steps(names, self.usual, on_progress)
        steps.begin()
        prediction = self.predictor.predict_video(video, steps.advance)
        spans = prediction.intervals, prediction.duration
        yield {
            "answer": draw_answer(prediction, self.caution),
            "timeline": draw_intervals(*spans),
        }
        steps.begin()
        captions = Path(folder, "captions.mp4")
        save_captions(captions, video, *spans, self.predictor.kind == "glosses", _CAPTIONED)
        yield {"captions": str(captions)}
        steps.begin()
        explanation = self.predictor.explain(prediction)
        drawn = self.predictor.draw(explanation, Path(folder))
        if "sheet" in drawn:
            drawn["sheet"] = draw_picture(drawn["sheet"], f"Frames of the video. {explanation.why}")
        yield {"why": draw_note(explanation.why), **drawn}
        if self.neighbors:
            steps.begin()
            found = self.neighbors.find(video, _NEAREST)
            shown = [(_read_middle(path), f"{cosine:.2f} {label}") for path, label, cosine in found]
            yield {"similar": shown}
        steps.end()


class Examples:
    """Videos that the page offers; each is answered once, and shown again from what was found.

    Args:
        demonstration: a `Demonstration`.
        chosen: of its `choose_examples`.
        folder: where answers are kept.
    """

    def __init__(self, demonstration, chosen, folder):
        self.demonstration, self.chosen, self.folder = demonstration, chosen, Path(folder)
        self.kept = {}

    def show(self, place, folder, limit, on_progress):
        """Yield what `Demonstration.show` does, of an example.

        Args:
            place: which one.
            folder, limit, on_progress: as there.
        """
        own = self.folder / str(place)
        if place not in self.kept:
            own.mkdir(parents=True, exist_ok=True)
            path = self.chosen[place][0]
            found = []
            for piece in self.demonstration.show(path, own, limit, on_progress):
                found.append(piece)
                yield self._hand_out(piece, own, folder)
            self.kept[place] = found
        else:
            yield from (self._hand_out(piece, own, folder) for piece in self.kept[place])

    @staticmethod
    def _hand_out(piece, own, folder):
        """Copy the files of a piece to a folder that is deleted with its page; return the piece."""
        shutil.copytree(own, folder, dirs_exist_ok=True)
        return {
            name: value.replace(str(own), str(folder)) if isinstance(value, str) else value
            for name, value in piece.items()
        }
