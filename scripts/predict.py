"""Say what videos show, and when: python -m scripts.predict VIDEO [--run weights/<run>].

Of one video it prints the five most probable classes, and which class is seen when; of a folder a
line for each video, and a summary. Runs of recognition give glosses and their times. Without a run,
it knows the 400 classes of Kinetics.
"""

import os
import re
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it starts from any folder

from models.later import later
from tasks.findings import Findings
from utils.checks import check_continual_runtime, check_precision
from utils.command_line import Command
from utils.features.layouts import READERS, is_stored
from utils.runs.folders import check_run, load_data
from utils.system.commands import IncompleteError, run_command
from utils.system.files import is_address, whole_path
from utils.system.progress import show_progress
from utils.system.words import escape, print_line
from utils.video.image_folders import is_image_folder
from utils.video.listing import describe_others, list_tree
from utils.video.live import play_camera
from utils.video.video_files import is_video_file
from utils.video.writing import check_ending

import tyro

Asked = later("tasks.features.runtimes", "Asked")
open_predictor = later("tasks.predictors", "open_predictor")
save_captions = later("utils.pictures.captions", "save_captions")

_PAUSE = 20  # times as long as writing all that was found took, until it is written again
_WEBCAM = re.compile(r"webcam(?::(\d+))?")


@dataclass(frozen=True)
class Options:
    """What is looked at, by which network, and what is written."""

    videos: tyro.conf.Positional[tuple[str, ...]]
    """Video files, folder trees, patterns such as 'a/*.mp4', or a camera: webcam, webcam:1 for the
    second one. Ctrl-C stops a camera. Runs of recognition on features take files of rows, too."""
    run: Path | None = None
    """Folder of the run, weights/<run>. Not given: the 400 classes of Kinetics."""
    window: float = 0.0
    """Long videos: seconds that the network sees at once. 0: the frames of a clip, 64 for
    Kinetics."""
    step: float = 0.0
    """Long videos: seconds from one window to the next. 0: half a window, or the least with
    --continual."""
    continual: bool = False
    """Let the I3D see each frame once instead of once a window, as for a camera. With the published
    I3D that is an eighth of the arithmetic; it answers every 0.32 seconds, 1.92 seconds late."""
    runtime: Literal["", "keras", "openvino"] = ""
    """What computes the network. openvino in int8 is faster on CPUs; it needs
    requirements-openvino.txt. Empty: as the run was trained."""
    precision: Literal["auto", "float32", "bfloat16", "int8"] = "auto"
    """Number format of the network. int8 needs --runtime openvino; it is calibrated on these videos
    if the network never was. auto: as the run was trained."""
    json: str = ""
    """JSON file for all results."""
    csv: str = ""
    """Tables of all results. A folder gets predictions.csv, a row a video, and intervals.csv, a
    row an interval. NAME.csv is the first, and NAME_intervals.csv the second."""
    overlay: str = ""
    """Video with labels, a timeline and the sound of the original: NAME.mp4 (plays in browsers and
    on phones), NAME.webm or NAME.avi. Of several videos, a folder for theirs."""

    def __post_init__(self):
        if not self.videos:
            raise ValueError("Give a video, a folder, a pattern such as 'videos/*.mp4', or webcam.")
        if self.window < 0 or self.step < 0:
            raise ValueError(
                f"window is {self.window} and step is {self.step}; give a number of "
                "seconds, or 0 for the default."
            )
        check_precision(self.runtime or "openvino", self.precision)
        if self.continual:
            check_continual_runtime(self.runtime, self.precision)
        if Path(self.overlay).suffix:
            check_ending(self.overlay)

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
        if Path(path, "params.json").is_file():
            raise ValueError(
                f"{name} is a run, not a video. Give the video first: VIDEO --run {name}"
            )
        if path.is_dir() and not is_image_folder(path):
            tree = list_tree(path)
            if not tree.videos:
                rows = any(Path(path).suffix.lower() in READERS for path in tree.others)
                hint = " Give files of rows by a pattern, such as 'ROWS/*.npy'." if rows else ""
                raise ValueError(f"{name}: the folder contains no video.{hint}")
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


def name_overlays(overlay, paths):
    """Return {path of a video: path of the video with its labels}.

    Args:
        overlay: a file, for one video, or a folder; "" for none.
        paths: of the videos.

    Raises:
        ValueError: a file for several videos, or one of the videos themselves.
    """
    if not overlay:
        return {}
    if Path(overlay).suffix:
        if len(paths) > 1:
            raise ValueError(
                f"overlay is the file {overlay}, but there are {len(paths)} videos. Give a "
                f"folder: --overlay {Path(overlay).with_suffix('')}"
            )
        named = dict.fromkeys(paths, Path(overlay))
    else:
        whole = [whole_path(path) for path in paths]
        root = os.path.commonpath([Path(path).parent for path in whole])
        own = [Path(overlay, os.path.relpath(path, root)) for path in whole]
        endings = ["" if path.suffix == ".mp4" else ".mp4" for path in own]
        own = [path.with_name(path.name + end) for path, end in zip(own, endings, strict=True)]
        named = dict(zip(paths, own, strict=True))
    sources = {os.path.realpath(path) for path in paths}
    if taken := [path for path in named.values() if os.path.realpath(path) in sources]:
        raise ValueError(f"{taken[0]} is one of the videos; --overlay would replace it.")
    return named


def save_results(options, findings):
    """Write `Findings` as JSON and as tables, where options ask for it."""
    if options.json:
        findings.save_json(options.json, options.run)
    if options.csv:
        findings.save_tables(options.csv)


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


def predict_files(predictor, paths):
    """Yield (path, its `Prediction`, "") or (path, None, why it cannot be read), with one bar.

    What the caller prints stands above the bar.
    """
    with closing(show_progress("Predicting", "video", total=len(paths))) as bar:

        def advance(done, total):
            if total > 1:
                bar.set_postfix_str(f"{name}: {done} of {total} windows")

        for path in paths:
            name = escape(path.name)
            prediction, reason = None, ""
            try:
                prediction = predictor.predict_video(path, advance)
            except (ValueError, OSError) as error:
                reason = str(error)
            bar.set_postfix_str("", refresh=False)
            bar.update()
            with bar.external_write_mode():
                yield path, prediction, reason


def follow_camera(predictor, number):
    """Print what a camera sees, a line a window, until Ctrl-C; return the `Prediction` of all."""

    def show(step):
        top = ", ".join(f"{label} {probability:.2f}" for label, probability in step.top[:3])
        print_line(f"{step.end:8.1f} s  {' '.join(step.labels) or '-'}  ({top})", flush=True)

    print_line(f"Watching webcam:{number}. Press Ctrl-C to end.", flush=True)
    prediction = predictor.watch(play_camera(number, predictor.clip_format), show)
    return prediction._replace(video=f"webcam:{number}")


def list_trained(run):
    """Return the real paths of the videos that a run was trained on; none without a run."""
    if run is None:
        return set()
    return {os.path.realpath(each.path) for each in load_data(run)[0] if each.split == "train"}


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
    overlays = name_overlays(options.overlay, paths)
    if rows := [path for path in overlays if is_stored(path)]:
        raise ValueError(f"{rows[0]} holds rows, no pictures. Leave out --overlay.")
    if options.run is not None:
        check_run(options.run)  # before Keras is imported
    asked = Asked(options.runtime, options.precision, tuple(paths))
    seconds = options.window, options.step
    predictor = open_predictor(options.run, *seconds, options.continual, asked)
    classified = predictor.kind == "classes"
    trained = list_trained(options.run) if classified and len(paths) > 1 else set()
    findings = Findings(predictor.labels if classified else [], trained)
    if camera is not None:
        prediction = follow_camera(predictor, camera)
        print_line(*prediction.describe().split("\n"), flush=True)
        findings.add(prediction)
        save_results(options, findings)
        return
    if alone:
        each = [(paths[0], predict_file(predictor, paths[0]), "")]
    else:
        each = predict_files(predictor, paths)
    ended, took = time.monotonic(), 0.0
    try:
        for path, prediction, reason in each:
            if reason:
                findings.failed[str(path)] = reason
                print_line(f"  failed: {reason}", flush=True)
            else:
                findings.add(prediction)
                told = prediction.describe() if alone else prediction.summarize()
                print_line(*told.split("\n"), flush=True)
                if path in overlays:
                    shown = prediction.intervals, prediction.duration, not classified
                    save_captions(overlays[path], path, *shown)
            if (begin := time.monotonic()) - ended >= _PAUSE * took:
                save_results(options, findings)
                ended = time.monotonic()
                took = ended - begin
    finally:  # stopped by Ctrl-C too
        if findings.found or findings.failed:
            save_results(options, findings)
    if not alone:
        print_line(*findings.summarize(), flush=True)
    if overlays and findings.found:
        print_line(f"Written to {options.overlay}")
    if findings.failed:
        raise IncompleteError(
            f"{len(findings.failed)} of {len(paths)} videos failed; they are named above."
        )


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(
        lambda: predict(COMMAND.parse()),
        "the results so far are in the output files. Run the same command to start again",
    )
