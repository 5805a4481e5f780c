"""A video: its path, and what decoding it found."""

from dataclasses import dataclass, replace
from pathlib import Path

from utils.video.resampling import pick_frames

import numpy as np


@dataclass(frozen=True)
class Video:
    """A video file or a folder of images, decoded once from end to end; headers are not trusted.

    Attributes:
        path: of the file or folder.
        num_frames: frames that decode.
        fps: frames per second, from the time stamps.
        width, height: pixels, upright.
        digest: of `utils.video.image_folders.digest_video`.
        times: seconds of each frame where the frame rate varies, else None.
        note: what is odd about a file that can be used all the same, or "".
    """

    path: str
    num_frames: int
    fps: float
    width: int
    height: int
    digest: str
    times: tuple[float, ...] | None = None
    note: str = ""

    @property
    def portrait(self):
        """Whether it is higher than wide."""
        return self.height > self.width

    @property
    def frame_times(self):
        """When each frame begins, in seconds, float (num_frames,)."""
        return np.arange(self.num_frames) / self.fps if self.times is None else np.array(self.times)

    @property
    def end(self):
        """When the last frame ends, in seconds."""
        return self.frame_times[-1] + 1 / self.fps

    def timeline(self, fps):
        """Resample in time: return for each resampled frame the index of the frame to show.

        Args:
            fps: frames per second wanted; 0 keeps every frame.

        Returns:
            int array of at least one frame.
        """
        return pick_frames(self.frame_times, self.end, fps)

    def duration(self, fps=0):
        """Return the seconds of all frames, resampled to `fps`; 0 for the video's own frames."""
        return len(self.timeline(fps)) / (fps or self.fps)

    def play_images_at(self, fps):
        """Return the video; a folder of images, which have no clock, with this frame rate."""
        return replace(self, fps=fps) if Path(self.path).is_dir() else self
