"""Tiny real videos, and commands run as a user runs them."""

import os
import subprocess
import sys
from pathlib import Path

import models  # noqa: F401  before TensorFlow
from utils.video import write_video

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
# The smallest network and clips that I3D takes; three epochs.
TINY = (
    "--frames-per-segment 8 --num-segments 2 --frame-size 112 --short-side 112 --batch-size 4 "
    "--epochs 3 --rate-epochs 1 2 --learning-rates 1e-2 1e-3 1e-4 --workers 1"
).split()


def moving_square(frames=24, size=(128, 160), speed=4, shade=200, seed=0):
    """Yield RGB frames (height, width, 3) of a square that moves sideways over noise."""
    background = np.random.default_rng(seed).integers(0, 60, (*size, 3), np.uint8)
    for index in range(frames):
        frame = background.copy()
        left = (index * speed) % (size[1] - 30)
        frame[40:70, left : left + 30] = shade
        yield frame


def write_dataset(folder, classes=("left", "right"), videos=6, frames=24):
    """Write `folder/class/video.avi`, classes told apart by the square's direction."""
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for index in range(videos):
            shown = list(moving_square(frames, shade=120 + 60 * label, seed=index))
            write_video(folder / name / f"{name}_{index:02d}.avi", shown, 25)
    return folder


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "videos")


def run(command, cwd, **environment):
    """Run `python <command>` of the project in a folder; return the finished process."""
    return subprocess.run(
        [sys.executable, str(ROOT / command[0]), *map(str, command[1:])],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"} | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
