"""Say what a video shows, and when: python -m scripts.predict VIDEO [--run weights/<run>].

Prints the five most probable classes of each video, and which class is seen when. Runs of
recognition give glosses and their times. Without a run, it knows the 400 classes of Kinetics.
"""

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path

from models.later import later
from utils.command_line import Command
from utils.pictures.captions import save_captions
from utils.system.commands import IncompleteError, run_command
from utils.system.files import is_address, write_atomically
from utils.system.progress import show_progress
from utils.system.tables import write_csv
from utils.system.words import print_line
from utils.video.image_folders import is_image_folder
from utils.video.listing import describe_others, list_tree
from utils.video.live import play_camera
from utils.video.video_files import is_video_file

import tyro

open_predictor = later("tasks.predictors", "open_predictor")

_PAUSE = 20  # times as long as writing all that was found took, until it is written again
_WEBCAM = re.compile(r"webcam(?::(\d+))?")


@dataclass(frozen=True)
class Options:
    """What is looked at, by which network, and what is written."""

    videos: tyro.conf.Positional[tuple[str, ...]]
    """Video files, folder trees, patterns such as 'a/*.mp4', or a camera: webcam, webcam:1 for the
    second one. Ctrl-C stops a camera."""
    run: Path | None = None
    """Folder of the run, weights/<run>. Not given: the 400 classes of Kinetics."""
    window: float = 0.0
    """Long videos: seconds that the network sees at once. 0: the frames of a clip, 64 for
    Kinetics."""
    step: float = 0.0
    """Long videos: seconds from one window to the next. 0: half a window."""
    json: str = ""
    """JSON file for all results."""
    csv: str = ""
    """Table of all results: one row per label and per interval."""
    overlay: str = ""
    """Video file (.mp4 or .avi) that shows the labels and a timeline over the video. Takes a single
    video."""

    def __post_init__(self):
        if not self.videos:
            raise ValueError("Give a video, a folder, a pattern such as 'videos/*.mp4', or webcam.")
        if self.window < 0 or self.step < 0:
            raise ValueError(
                f"window is {self.window} and step is {self.step}; give a number of "
                "seconds, or 0 for the default."
            )
        if self.overlay and Path(self.overlay).suffix not in (".mp4", ".avi"):
            raise ValueError(f"overlay is {self.overlay}; it must end in .mp4 or .avi.")

    @property
    def camera(self):
        """The number of the camera that is asked for, or None.

        Raises:
            ValueError: a camera and other videos, or an overlay of a camera.
        """
        found = [match for name in self.videos if (match := _WEBCAM.fullmatch(name))]
        if not found or Path(self.videos[0]).exists():
            return None
        if len(self.videos) > 1 or self.overlay:
            raise ValueError("Give webcam alone, without other videos and without --overlay.")
        return int(found[0][1] or 0)


def list_inputs(names):
    """Return the paths of videos, folders of videos and patterns, each once, in order.

    Raises:
        ValueError: nothing there, a folder without videos, or a URL; it is named.
    """
    paths = []
    for name in names:
        path = Path(name)
        if is_address(name):
            raise ValueError(
                f"{name}: this is an address on the internet; download the file first and give "
                "its path."
            )
        if path.is_dir() and not is_image_folder(path):
            tree = list_tree(path)
            if not tree.videos:
                raise ValueError(f"{name}: the folder contains no video.")
            if tree.others:
                print_line(f"{name}: {describe_others(tree.others)}")
            paths += tree.videos
        elif path.exists():
            paths.append(path)
        elif found := sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor)))):
            others = [each for each in found if not (each.is_dir() or is_video_file(each))]
            if others and len(others) < len(found):
                print_line(f"{name}: {describe_others(others)}")
                found = sorted(set(found) - set(others))
            paths += list_inputs(map(str, found))
        else:
            raise ValueError(f"{name}: there is no such file, and no file matches it as a pattern.")
    return list(dict.fromkeys(map(Path, paths)))


def describe(prediction):
    """Return a `Prediction` as a dict for JSON, without the steps."""
    intervals = [
        {**each._asdict(), "start": round(each.start, 3), "end": round(each.end, 3)}
        for each in prediction.intervals
    ]
    return {
        "video": prediction.video,
        "duration": round(prediction.duration, 3),
        "labels": prediction.labels,
        "top": [{"label": label, "probability": p} for label, p in prediction.top],
        "intervals": intervals,
        "note": prediction.note,
    }


def save_results(options, found, failed):
    """Write what was found as JSON and as CSV, where options ask for it.

    Args:
        options: `Options`.
        found: [dict of `describe`].
        failed: {path: why}.
    """
    if options.json:
        run = None if options.run is None else str(options.run)
        failures = [{"video": path, "reason": why} for path, why in failed.items()]
        whole = {"run": run, "videos": found, "failed": failures}
        write_atomically(options.json, json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    if options.csv:
        rows = []
        for row in found:
            name, duration = row["video"], f"{row['duration']:.3f}"
            for each in row["top"]:
                number = f"{each['probability']:.6f}"
                rows.append((name, "top", "0.000", duration, each["label"], number))
            for each in row["intervals"]:
                times, number = (f"{each[n]:.3f}" for n in ("start", "end")), f"{each['score']:.6f}"
                rows.append((name, "interval", *times, each["label"], number))
        write_csv(options.csv, ("video", "kind", "start", "end", "label", "score"), rows)


def predict_file(predictor, path):
    """Return the `Prediction` of a file, with a bar for its windows once there is one."""
    bars = []

    def advance(done, total):
        if not bars:
            bars.append(show_progress(Path(path).name, "window", total=total))
        bars[0].update(done - bars[0].n)

    try:
        return predictor.predict_video(path, advance)
    finally:
        for bar in bars:
            bar.close()


def follow_camera(predictor, number):
    """Print what a camera sees, a line a window, until Ctrl-C; return the `Prediction` of all."""

    def show(step):
        top = ", ".join(f"{label} {probability:.2f}" for label, probability in step.top[:3])
        print_line(f"{step.end:8.1f} s  {' '.join(step.labels) or '-'}  ({top})", flush=True)

    print_line(f"Watching webcam:{number}. Press Ctrl-C to end.", flush=True)
    prediction = predictor.watch(play_camera(number, predictor.clip_format), show)
    return prediction._replace(video=f"webcam:{number}")


def predict(options):
    """Predict what videos, or a camera, show; print it, and write what is asked for.

    A video that cannot be read ends the command where it is the only one asked for. Of several,
    it is named and left out, and the exit status is 1 at the end.

    Args:
        options: `Options`.

    Raises:
        ValueError: nothing to look at, no run, or the only video cannot be read.
        IncompleteError: some of several videos cannot be read.
    """
    camera = options.camera
    paths = list_inputs(options.videos) if camera is None else []
    alone = len(paths) == 1 and [Path(name) for name in options.videos] == paths
    if options.overlay and len(paths) != 1:
        raise ValueError(f"overlay works on one video, but there are {len(paths)}.")
    predictor = open_predictor(options.run, options.window, options.step)
    if camera is not None:
        prediction = follow_camera(predictor, camera)
        print_line(*prediction.describe().split("\n"), flush=True)
        save_results(options, [describe(prediction)], {})
        return
    found, failed, ended, took = [], {}, time.monotonic(), 0.0
    try:
        for path in paths:
            try:
                prediction = predict_file(predictor, path)
            except (ValueError, OSError) as error:
                if alone:
                    raise
                failed[str(path)] = str(error)
                print_line(f"  failed: {error}", flush=True)
            else:
                print_line(*prediction.describe().split("\n"), flush=True)
                found.append(describe(prediction))
            if (begin := time.monotonic()) - ended >= _PAUSE * took:
                save_results(options, found, failed)
                ended = time.monotonic()
                took = ended - begin
    finally:  # stopped by Ctrl-C too
        if found or failed:
            save_results(options, found, failed)
    if options.overlay and found:
        shown = prediction.intervals, prediction.duration, predictor.kind == "glosses"
        save_captions(options.overlay, paths[0], *shown)
        print_line(f"Written to {options.overlay}")
    if failed:
        raise IncompleteError(f"{len(failed)} of {len(paths)} videos failed; they are named above.")


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(
        lambda: predict(COMMAND.parse()),
        "the results so far are in the output files. Run the same command to start again",
    )
