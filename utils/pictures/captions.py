"""Labels written over a video: those of each moment, and a timeline of all."""

import re
from functools import lru_cache

from utils.pictures.lettering import find_font, spell
from utils.system.files import atomic_path
from utils.video.reading import probe, resized_frames
from utils.video.writing import write_video

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

_MOST = 720  # pixels of the shorter side of a video with captions, at most
_LONGEST = 1920  # and of the longer one
_NARROWEST = 320  # pixels that narrower videos are widened to, so that captions have room
_LABEL_COLORS = matplotlib.colormaps["tab10"]
_WHITE = 0.4  # of a label's color as a caption, else some are too dark to be read on black
# Shares of a video's width. Capitals have 0.73 of a font's size, so 3.3 % of the width: 13 pixels
# on a phone that shows the video 400 pixels wide.
_FONT_SIZE, _LINE, _MARGIN = 0.045, 0.065, 0.015
_BAR, _MARK = 0.04, 0.008
_MOST_LINES = 4
_SMALLEST = 6  # pixels of a font
_WORD = re.compile(r"[^ _/-]*[ _/-]+|[^ _/-]+")  # a name may be broken behind these


def _break_lines(parts, width, size):
    """Break texts into lines of [(left, word, color, font)]; a word too long is written smaller."""
    lines, left, room = [[]], 0, (1 - 2 * _MARGIN) * width
    for text, color in parts:
        whole = ImageFont.truetype(find_font(text), size)
        for word in _WORD.findall(spell(text)):
            font, length = whole, whole.getlength(word.rstrip(" "))
            if length > room:
                font = whole.font_variant(size=max(size * room / length, 1))
                length = font.getlength(word.rstrip(" "))
            if left and left + length > room:
                lines.append([])
                left = 0
            lines[-1].append((left, word.rstrip(" "), color, font))
            left += font.getlength(word)
        left += size
    return lines


@lru_cache(maxsize=32)
def _lay_out(parts, width):
    """Return the lines of `_break_lines`, at most `_MOST_LINES` unless they are unreadable then."""
    size = max(_FONT_SIZE * width, _SMALLEST)
    while len(lines := _break_lines(parts, width, size)) > _MOST_LINES and size > _SMALLEST:
        size *= 0.9
    return lines


def count_lines(texts, width):
    """Return how many lines the longest of several texts takes, each as `write_text` takes it."""
    return max((len(_lay_out(parts, width)) for parts in texts), default=1)


@lru_cache(maxsize=32)
def write_text(parts, width, lines):
    """Return texts behind one another on black, broken into lines, each in the middle.

    Args:
        parts: ((text, its color as Pillow takes it), ...).
        width: pixels.
        lines: how many there is room for, of `count_lines`.

    Returns:
        uint8 (height, width, 3).
    """
    pitch = round(_LINE * width)
    image = Image.new("RGB", (width, lines * pitch + pitch // 3))
    draw, found = ImageDraw.Draw(image), _lay_out(parts, width)
    middle = image.height / 2 - (len(found) - 1) / 2 * pitch
    for line in filter(None, found):
        left, word, _, font = line[-1]
        start = (width - left - font.getlength(word)) / 2
        for left, word, color, font in line:
            draw.text((start + left, middle), word, color, font, anchor="lm")
        middle += pitch
    return np.asarray(image)


def _place_lanes(intervals):
    """Return the lane of each interval, so that no two overlap in one."""
    ends, lanes = [], []
    for each in intervals:
        free = (lane for lane, end in enumerate(ends) if end <= each.start)
        lane = next(free, len(ends))
        ends[lane:] = [each.end, *ends[lane + 1 :]]
        lanes.append(lane)
    return lanes


def color_labels(intervals):
    """Return {label: its color, float (3,) from 0 to 1}, in the order of the intervals."""
    labels = dict.fromkeys(each.label for each in intervals)
    return {label: np.array(_LABEL_COLORS(place % 10)[:3]) for place, label in enumerate(labels)}


def draw_timeline(intervals, duration, width, height):
    """Draw intervals from left to right, a color a label, those that overlap one over another.

    Args:
        intervals: list of `utils.scores.intervals.Interval`, by their starts.
        duration: seconds of the whole width.
        width, height: pixels.

    Returns:
        (uint8 (height, width, 3), {label: its color, from 0 to 1}).
    """
    colors = color_labels(intervals)
    bar, lanes = np.full((height, width, 3), 40, np.uint8), _place_lanes(intervals)
    edges = np.linspace(0, height, max(lanes, default=0) + 2).astype(int)
    for each, lane in zip(intervals, lanes, strict=True):
        left, right = (round(seconds / duration * width) for seconds in (each.start, each.end))
        rows = slice(edges[lane], max(edges[lane] + 1, edges[lane + 1] - 1))
        bar[rows, left : max(right - 1, left + 1)] = 255 * colors[each.label]
    return bar, colors


def _caption(interval, colors):
    """Return (text, color) of an interval."""
    color = 255 * (_WHITE + (1 - _WHITE) * colors[interval.label])
    return f"{interval.label}\u00a0{interval.score:.2f}", tuple(color.round().astype(int).tolist())


def caption_frames(frames, intervals, duration):
    """Add to frames the labels of their moment and a timeline with a mark where they are.

    Args:
        frames: iterable of (seconds, uint8 RGB (height, width, 3)).
        intervals: list of `utils.scores.intervals.Interval`, by their starts.
        duration: seconds of the video.

    Yields:
        uint8 (height and that of captions and timeline, width, 3), all of one size.
    """

    def tell(seconds):
        now = [each for each in intervals if each.start <= seconds < each.end]
        return tuple(_caption(each, colors) for each in now)

    bar = None
    for seconds, frame in frames:
        width = frame.shape[1]
        if bar is None:
            bar, colors = draw_timeline(intervals, duration, width, round(_BAR * width))
            lines = count_lines({tell(each.start) for each in intervals}, width)
            mark = max(2, round(_MARK * width))
        marked = bar.copy()
        place = min(round(seconds / duration * width), width - mark)
        marked[:, place : place + mark] = 255
        yield np.concatenate([frame, write_text(tell(seconds), width, lines), marked])


def _choose_side(video, most):
    """Return the pixels of a video's shorter side under captions."""
    short, long = sorted((video.width, video.height))
    widened = max(1, _NARROWEST / video.width)
    return max(1, round(short * min(most / short, _LONGEST / long, widened)))


def save_captions(path, source, intervals, duration, subtitles=False, most=_MOST):
    """Write a video with its labels and a timeline, and with its sound.

    Args:
        path: as `utils.video.writing.write_video` takes it.
        source: the video's path.
        intervals, duration: as in `caption_frames`.
        subtitles: whether a label stays until the next one begins, as glosses should.
        most: pixels of the shorter side, at most.

    Raises:
        VideoError: the video cannot be read, or the file cannot be written.
    """
    video = probe(source)
    if subtitles:
        ends = [*(each.start for each in intervals[1:]), duration]
        intervals = [each._replace(end=end) for each, end in zip(intervals, ends, strict=True)]
    frames = resized_frames(video, range(video.num_frames), _choose_side(video, most))
    captioned = caption_frames(zip(video.frame_times, frames, strict=True), intervals, duration)
    times = [0, *video.stamps[1:]]  # the first frame is seen from the file's start on
    with atomic_path(path) as temporary:
        write_video(temporary, captioned, video.fps, times, video)
