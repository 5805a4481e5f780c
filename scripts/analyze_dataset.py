"""Look at a dataset before training: python -m scripts.analyze_dataset my_videos.

Writes a report (report.html) with class sizes, durations, broken files, duplicates, leaks between
splits, shortcuts that a network could use, and advice. It reads headers and a few frames per video,
so it is fast. scripts.check_data decodes whole videos.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it starts from any folder

from models.later import later
from utils.command_line import Command
from utils.params import Params
from utils.system.commands import run_command

import tyro

analyze_dataset = later("utils.dataset_report.analysis", "analyze_dataset")


@dataclass(frozen=True)
class Options:
    """What is analyzed. Advice is about training with the same values."""

    data_path: tyro.conf.Positional[str]
    """What --data-path of training.py takes: a folder of class folders, a .csv or a UCF101 list."""
    output: str = ""
    """Folder to write to. Empty: weights/analysis/<data>/."""
    video_root: str = Params.video_root
    """Folder that the paths in a .csv or UCF101 list start from. Empty: the folder of the list."""
    group_pattern: str = Params.group_pattern
    """Regular expression that tells which videos belong together, as in training."""
    val_fraction: float = Params.val_fraction
    """Share of the videos that training would use for validation if the data has no split."""
    test_fraction: float = Params.test_fraction
    """Share of the videos that training would use for testing if the data has no split."""
    seed: int = Params.seed
    """Random seed of that split."""
    num_segments: int = Params.num_segments
    """Segments per video in training."""
    frames_per_segment: int = Params.frames_per_segment
    """Frames per segment in training."""
    fps: float = Params.fps
    """Frame rate in training. 0: keep every frame of the file."""
    workers: int = Params.workers
    """Threads that read videos."""

    def __post_init__(self):
        for name in ("num_segments", "frames_per_segment", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        if self.fps < 0:
            raise ValueError(f"fps is {self.fps}; it must be 0 or more.")
        for name in ("val_fraction", "test_fraction"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be in [0, 1).")


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(lambda: analyze_dataset(COMMAND.parse()))
