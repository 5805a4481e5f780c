"""Time stamps: when a file's frames are shown, by the rules of FFmpeg's command."""

from fractions import Fraction
from typing import NamedTuple

from utils.video.resampling import FPS

import numpy as np

_LEAP, _BACK = 10, Fraction(1, 10)  # seconds
_FASTEST = 1000  # frames per second; of stamps that say more nothing is believed


class Rhythm(NamedTuple):
    """When the frames of a file are shown.

    Attributes:
        fps: frames per second.
        times: seconds of each frame from the first one on where the frame rate varies, else None.
        start: seconds from the file's start to the first frame.
        tick: seconds that the stamps of a steady rate are rounded to; 0: they are exact.
        length: seconds from the first frame's start to the last one's end.
    """

    fps: float
    times: tuple[float, ...] | None
    start: float
    tick: float
    length: float


class Clock:
    """The stamps of decoded frames, as FFmpeg's command takes them.

    Stamps of the container where they can be believed, those of decoding where they cannot, and
    where there are none the stamp before and how long that frame is shown.

    Args:
        stream: PyAV's.
        has_stamps: whether the container has stamps at all.
    """

    def __init__(self, stream, has_stamps=True):
        self.has_stamps, self.last = has_stamps, None
        rates = (stream.codec_context.framerate, stream.guessed_rate)
        self._coded, self._usual = (
            round(1 / (rate * stream.time_base)) if rate else 0 for rate in rates
        )
        self.shown = 1  # ticks that the last frame is shown
        self._pts = self._dts = -(1 << 63)
        self._bad_pts = self._bad_dts = 0

    def _guess(self, pts, dts):
        if dts is not None:
            self._bad_dts += dts <= self._dts
        if pts is not None:
            self._bad_pts += pts <= self._pts
        self._dts = next((stamp for stamp in (dts, pts) if stamp is not None), self._dts)
        self._pts = next((stamp for stamp in (pts, dts) if stamp is not None), self._pts)
        return pts if pts is not None and (self._bad_pts <= self._bad_dts or dts is None) else dts

    def _measure(self, duration, gap):
        """Return how many ticks a frame is shown, `gap` ticks after the one before it."""
        made_up = duration == 1 and (gap > 2 or self._usual > 1)
        told = 0 if made_up else duration
        guesses = (told, gap, duration) if self.has_stamps else (self._coded, gap, duration)
        guesses += (self._coded, self._usual, self.shown)
        return next(ticks for ticks in guesses if ticks > 0)

    def tell(self, frame):
        """Return the stamp of the next frame, in ticks of the stream."""
        stamp = self._guess(frame.pts, frame.dts)
        if stamp is None:
            stamp = 0 if self.last is None else self.last + self.shown
        gap = -1 if self.last is None else stamp - self.last
        self.shown = self._measure(frame.duration, gap)
        self.last = stamp
        return stamp


def join_recordings(packets, tick):
    """Yield packets; of a recording that begins behind another, with stamps of its own, they go on.

    It is told by a jump of more than ten seconds, or back by more than a tenth of one.

    Args:
        packets: PyAV's, of a container of which FFmpeg's command expects that; None among them
            stays.
        tick: seconds, a `Fraction`.
    """
    moved, last, due = 0, None, 0
    for packet in packets:
        if packet is not None and packet.dts is not None:
            stamp = packet.dts + moved
            jump = stamp - due if last is not None else 0
            if abs(jump) * tick > _LEAP or (jump and (last - stamp) * tick > _BACK):
                moved -= jump
            packet.dts += moved
            packet.pts = packet.pts if packet.pts is None else packet.pts + moved
            last, due = packet.dts, packet.dts + packet.duration
        yield packet


def list_stamps(count, rhythm):
    """Return when frames are shown, in seconds since the file's start, float (count,).

    Args:
        count: frames.
        rhythm: what has the attributes `fps`, `times`, `start` and `tick` of a `Rhythm`.
    """
    if rhythm.times is not None:
        return rhythm.start + np.array(rhythm.times)
    stamps = rhythm.start + np.arange(count) / rhythm.fps
    return np.floor(stamps / rhythm.tick) * rhythm.tick if rhythm.tick else stamps


def _find_steady(stamps, tick, rate):
    """Return (fps, start, tick) that give the stamps at a steady rate, None where there is none."""
    steps = np.arange(len(stamps)) / float(rate * tick)
    early, late = (stamps - steps).min(), (stamps - steps).max()
    if late - early < 1e-6:
        return float(rate), float(stamps[0] * tick), 0.0
    phase = (late + early + 1) / 2  # all that lie in [late, early + 1) give these stamps
    return (float(rate), phase * float(tick), float(tick)) if late - early < 0.999 else None


def find_rhythm(stamps, last, tick, rates):
    """Return the `Rhythm` of time stamps.

    Args:
        stamps: of all frames, int64, in ticks since the file's start.
        last: ticks that the last frame is shown.
        tick: seconds, a `Fraction`.
        rates: frame rates that the header says, the most likely first; None for unknown ones.
    """
    stamps = np.maximum.accumulate(stamps)  # a frame that is late replaces nothing
    span, gaps = int(stamps[-1] - stamps[0]), len(stamps) - 1
    told = [Fraction(rate) for rate in rates if rate and rate <= 240]
    rate = told[0] if told else Fraction(FPS)
    start = float(int(stamps[0]) * tick)
    length = float((span + last) * tick)
    if gaps > span * tick * _FASTEST:
        length = float(len(stamps) / rate)
    if gaps >= span * tick * _FASTEST:
        return Rhythm(float(rate), None, start, 0.0, length)
    measured = gaps / (span * tick)
    for rate in (*told, measured):
        if steady := _find_steady(stamps, tick, rate):
            rhythm = Rhythm(steady[0], None, *steady[1:], length)
            if np.abs(list_stamps(len(stamps), rhythm) - stamps * float(tick)).max() < 1e-6:
                return rhythm
    times = np.round((stamps - stamps[0]) * float(tick), 9)
    return Rhythm(float(measured), tuple(times.tolist()), start, 0.0, length)
