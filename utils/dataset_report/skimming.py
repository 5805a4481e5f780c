"""A dataset's videos looked at quickly: headers and a few frames of each, on several threads.

Training's inspection decodes every frame and trusts no header; this look takes frame counts, rates
and codecs from the headers and measures brightness and motion on 16 pairs of neighboring frames.
"""

from dataclasses import dataclass
from pathlib import Path

from utils.data.examples import Example
from utils.dataset_report.duplicates import LUMA, sign
from utils.pictures.saving import encode_frame
from utils.system.processes import open_threads
from utils.system.progress import show_progress
from utils.video.reading import skim
from utils.video.video import VideoError

import numpy as np


@dataclass(frozen=True)
class Record:
    """What is known of one video after a quick look.

    Attributes:
        example: its path, labels, split and group.
        num_frames, fps, width, height, codec: from the header.
        size: bytes.
        brightness: mean luma, 0 to 255.
        motion: mean absolute difference of neighboring frames' luma, in gray levels.
        signature, colors: of `duplicates.sign`.
        picture: a JPEG of three frames, side by side.
    """

    example: Example
    num_frames: int
    fps: float
    width: int
    height: int
    codec: str
    size: int
    brightness: float
    motion: float
    signature: np.ndarray
    colors: np.ndarray
    picture: bytes

    @property
    def seconds(self):
        """How long the video is."""
        return self.num_frames / self.fps

    @property
    def path(self):
        """The file."""
        return self.example.path


def _picture(frames):
    chosen = frames[[len(frames) // 6, len(frames) // 2, len(frames) * 5 // 6]]
    return encode_frame(np.concatenate(chosen, axis=1))


def look_at(example):
    """Return (Record, note) of an example; the note says what is odd about the file, or is "".

    Raises:
        VideoError: the file cannot be read.
    """
    video, codec, pairs = skim(example.path)
    luma = pairs @ LUMA
    signature, colors = sign(pairs[:, 0])
    record = Record(
        example=example,
        num_frames=video.num_frames,
        fps=video.fps,
        width=video.width,
        height=video.height,
        codec=codec,
        size=Path(example.path).stat().st_size,
        brightness=float(luma.mean()),
        motion=float(np.abs(luma[:, 1] - luma[:, 0]).mean()),
        signature=signature,
        colors=colors,
        picture=_picture(pairs[:, 0]),
    )
    return record, video.note


def skim_examples(examples, workers=2):
    """Look at every video once.

    Args:
        examples: list of `Example`; one file may be in several.
        workers: threads.

    Returns:
        (list of `Record` of the readable ones, broken, odd): the latter two are lists of
        (path, reason); odd videos are among the records.
    """

    def look(example):
        try:
            return look_at(example)
        except VideoError as error:
            return None, str(error)

    records, broken, odd = [], [], []
    with open_threads(workers) as pool:
        looks = pool.map(look, examples)
        bar = show_progress("Looking at videos", "video", looks, len(examples))
        for example, (record, note) in zip(examples, bar, strict=True):
            reason = note.removeprefix(f"{example.path}: ")
            if record:
                records.append(record)
            if reason:
                (odd if record else broken).append((example.path, reason))
    return records, broken, odd
