"""A video: its path, and what decoding it found."""

from dataclasses import dataclass, replace
from pathlib import Path

from utils.video.resampling import pick_frames
from utils.video.stamps import list_stamps

import numpy as np


class VideoError(ValueError):
    """A file that is no readable video; the message begins with its path."""


@dataclass(frozen=True)
class Video:
    """A video file or a folder of images, decoded once from end to end; headers are not trusted.

    Attributes:
        path: of the file or folder.
        num_frames: frames that decode.
        fps: frames per second, from the time stamps.
        width, height: pixels as players show them: upright, and square.
        digest: of `utils.video.image_folders.digest_video`.
        times: seconds of each frame where the frame rate varies, else None.
        note: what is odd about a file that can be used all the same, or "".
        start: seconds from the file's start, as of its sound, to the first frame.
        tick: seconds that the time stamps of a steady rate are rounded to; 0: they are exact.
        length: seconds from the first frame's start to the last one's end; None: `num_frames` at
            the frame rate.
        keys: key frames that decoding can begin at, ((frames to the next one, how often), ...) from
            frame 0 on; empty where the file must be decoded from its beginning.
    """

    path: str
    num_frames: int
    fps: float
    width: int
    height: int
    digest: str
    times: tuple[float, ...] | None = None
    note: str = ""
    start: float = 0.0
    tick: float = 0.0
    length: float | None = None
    keys: tuple[tuple[int, int], ...] = ()

    @property
    def portrait(self):
        """Whether it is higher than wide."""
        return self.height > self.width

    @property
    def key_frames(self):
        """The frames that decoding can begin at, int array, rising, without the first one."""
        return np.cumsum(np.repeat(*np.array(self.keys, int).reshape(-1, 2).T))

    @property
    def stamps(self):
        """When each frame begins, in seconds since the file's start, float (num_frames,)."""
        return list_stamps(self.num_frames, self)

    @property
    def frame_times(self):
        """When each frame begins, in seconds since the first one, float (num_frames,)."""
        return self.stamps - self.stamps[0]

    @property
    def end(self):
        """When the last frame ends, in seconds since the first one."""
        return self.frame_times[-1] + 1 / self.fps if self.length is None else self.length

    def timeline(self, fps):
        """Resample in time: return for each resampled frame the index of the frame to show.

        Args:
            fps: frames per second wanted; 0 keeps every frame.

        Returns:
            int array of at least one frame.
        """
        stamps = self.stamps
        return pick_frames(stamps, stamps[0] + self.end, fps)

    def duration(self, fps=0):
        """Return the seconds of all frames, resampled to `fps`; 0 for the video's own frames."""
        return len(self.timeline(fps)) / (fps or self.fps)

    def play_images_at(self, fps):
        """Return the video; a folder of images, which have no clock, with this frame rate."""
        return replace(self, fps=fps) if Path(self.path).is_dir() else self
