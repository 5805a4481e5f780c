"""Decode every video and list what is wrong: python -m scripts.check_data my_videos.

The exit status is 1 if a video cannot be decoded. Training reuses the result, so nothing is decoded
twice. Damage that the decoder hides is not found. scripts.analyze_dataset looks at what the videos
show.
"""

import csv
import io
import os
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it starts from any folder

from utils.command_line import Command
from utils.data.datasets import Found, list_paths
from utils.data.examples import Example, find_repeats
from utils.data.inspection import inspect_videos
from utils.params import Params
from utils.places import WEIGHTS
from utils.signing.corpora import find_corpora, list_sentences
from utils.system.commands import run_command
from utils.system.files import name_damaged
from utils.system.tables import read_text, write_csv
from utils.system.words import print_line
from utils.video.listing import describe_others

import tyro


@dataclass(frozen=True)
class Options:
    """What is decoded."""

    data_path: tyro.conf.Positional[str]
    """Any folder tree of videos, one video, or what --data-path of training.py takes."""
    output: str = ""
    """Folder for problems.csv. Empty: weights/analysis/<data>/."""
    video_root: str = Params.video_root
    """Folder that the paths in a .csv or UCF101 list start from. Empty: the folder of the list."""
    workers: int = 0
    """Threads. 0: one per core."""
    cache_path: str = Params.cache_path
    """Folder of the cache, as in training. Training reuses what is found here."""

    def __post_init__(self):
        if self.workers < 0:
            raise ValueError(f"workers is {self.workers}; it must be at least 0.")


def list_corpus(path):
    """Return the sentences of a corpus as examples, [] where there is none, or several."""
    if path.suffix.lower() == ".csv" and path.is_file():
        with name_damaged(path):
            header = io.StringIO(read_text(path), "")
        found = "glosses" in next(csv.reader(header, skipinitialspace=True), ())
    else:
        found = len(find_corpora(path)) == 1
    sentences = list_sentences(path, needs_frames=False)[0] if found else []
    return [Example(each.path, " ".join(each.glosses), each.split) for each in sentences]


def sort_problems(paths, videos, problems):
    """Return [(path, kind, reason)] of what `inspect_videos` found.

    Args:
        paths: of all videos.
        videos, problems: of `inspect_videos`.

    Returns:
        Kinds are broken (no frame decodes), odd (such as fewer frames than the header says, or a
        single one) and duplicate (its content is that of an earlier file), in that order.
    """
    notes = {path: video.note for path, video in videos.items()}
    notes |= {path: "a single frame" for path in videos if videos[path].num_frames == 1}
    reasons = [(path, text.removeprefix(f"{path}: ")) for path, text in problems]
    broken = [(path, "broken", reason) for path, reason in reasons if path not in videos]
    odd = [(path, "odd", notes[path]) for path in paths if notes.get(path)]
    twice = [(p, "duplicate", r) for p, r in reasons if p in videos and r != videos[p].note]
    return broken + odd + twice


def summarize_problems(rows):
    """Return a line for each kind of reason, the most frequent first, numbers and names left out.

    Args:
        rows: of `sort_problems`.
    """
    alike = Counter(
        (kind, "" if kind == "duplicate" else re.sub(r"\d+", "N", reason))
        for _, kind, reason in rows
    )
    return [f"{n} {kind}{': ' * bool(why)}{why}" for (kind, why), n in alike.most_common()]


def check_data(options):
    """Decode every video once; list what is wrong on screen and in problems.csv.

    Args:
        options: `Options`.

    Returns:
        How many are broken.

    Raises:
        ValueError: no such data, or no video in it.
    """
    data = Path(options.data_path)
    if sentences := list_corpus(data):
        paths = list(dict.fromkeys(example.path for example in sentences))
        found = Found(paths, data, [], find_repeats(sentences))
    else:
        found = list_paths(options.data_path, options.video_root)
    paths = found.videos
    workers = options.workers or os.cpu_count() or 1
    videos, problems = inspect_videos(paths, options.cache_path, workers)
    rows = sort_problems(paths, videos, problems)
    rows += [(name, "listed again", repeat.text) for name, repeat in found.repeats.items()]
    path = Path(options.output or Path(WEIGHTS, "analysis", data.resolve().stem), "problems.csv")
    write_csv(path, ("path", "kind", "reason"), rows)
    for name, kind, reason in rows:
        print_line(f"  {kind}: {name}: {reason}")
    seconds = sum(video.duration() for video in videos.values())
    print_line(
        f"{len(videos)} of {len(paths)} videos can be decoded, {seconds / 60:.1f} minutes of video"
    )
    if found.others:
        print_line(describe_others(found.others))
    print_line(*summarize_problems(rows) or ["No problems."])
    print_line(f"Written to {path}")
    return len(paths) - len(videos)


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(
        lambda: sys.exit(min(1, check_data(COMMAND.parse()))),
        "run the same command to continue with the videos that are not checked yet",
    )
