"""Tiny real videos: written, split and read back."""

from utils.data.datasets import list_examples
from utils.data.splits import assign_splits
from utils.rendering.signer import render_signing
from utils.signing.releases import SPLITS
from utils.video.writing import write_video

import cv2
import numpy as np

GLOSSES = ("IX", "NORD", "WOLKE")  # of `write_signing`


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


def write_signing(folder, counts=(5, 2, 1)):
    """Write videos in which a figure signs, and list.csv of them; `counts` of train, dev, test."""
    rows = ["path,glosses,split"]
    for split, count in zip(SPLITS, counts, strict=True):
        for place in range(count):
            words = [GLOSSES[(place + k) % 3] for k in range(1 + place % 2)]
            frames = render_signing(words, 1, (0, place), num_frames=12 + 4 * len(words) + place)
            (folder / "videos").mkdir(exist_ok=True)
            write_video(folder / f"videos/{split}{place}.avi", frames, 25)
            rows.append(f"videos/{split}{place}.avi,{' '.join(words)},{split}")
    (folder / "list.csv").write_text("\n".join([*rows, ""]))


def cut_video(path):
    """Write the first half of a whole video's bytes: fewer frames than its header says."""
    write_video(path, moving_square(120), 25)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


def split_examples(folder="videos", val_fraction=0.3):
    """Return the examples of a dataset, a share of them for validation."""
    return assign_splits(list_examples(folder), val_fraction)


def read_pixels(path):
    """Return a video's frames (frames, height, width, 3), BGR, as OpenCV alone decodes them."""
    capture, frames = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return np.array(frames)
