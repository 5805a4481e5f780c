"""Decoded frames to pixels: the colors, the turn and the shape that FFmpeg's command gives."""

from utils.video.video import VideoError

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type

MOST_PIXELS = 1 << 27  # of a frame: 16K
_FLATTEST = 100  # times the shorter side; frames are resized by that one
# Matrices from YCbCr that swscale knows, by FFmpeg's numbers; others are BT.601, as for its scaler.
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 6, 7: 7, 9: 9, 10: 9}
_BT601, _UNKNOWN = 5, 2
# Turns against the clock in degrees, as in `_read_turn`.
_QUARTERS = {90: (True, True, False), 180: (False, True, True), -90: (True, False, True)}
_FLIPS = {(True, False): 0, (False, True): 1, (True, True): -1}  # OpenCV's numbers


def check_size(path, width, height, most_pixels=0):
    """Raise a VideoError where a frame has more pixels than are read, or is no picture but a line.

    Args:
        path: of the file.
        width, height: of the frame.
        most_pixels: that are read; 0: `MOST_PIXELS`.
    """
    most_pixels = most_pixels or MOST_PIXELS
    if width * height > most_pixels:
        raise VideoError(
            f"{path}: the frames have {width} x {height} pixels; at most {most_pixels} "
            "pixels are allowed."
        )
    if max(width, height) > _FLATTEST * min(width, height) > 0:
        raise VideoError(
            f"{path}: the frames are shown as {width} x {height} pixels; one side may be "
            f"at most {_FLATTEST} times the other."
        )


def _read_turn(frame):
    """Return (whether rows become columns, whether the result is flipped in y, in x).

    A point (x, y) goes to (a x + c y, b x + d y) by the display matrix.
    """
    try:
        matrix = frame.side_data.get(Type.DISPLAYMATRIX)
    except ValueError:  # PyAV does not know what lies beside it
        return _QUARTERS.get(frame.rotation, (False, False, False))
    if matrix is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if abs(a) + abs(d) < abs(b) + abs(c):
        return True, b < 0, c < 0
    return False, d < 0, a < 0


def _turn(array, transposed, *flips):
    array = cv2.transpose(array) if transposed else array
    return cv2.flip(array, _FLIPS[flips]) if any(flips) else array


class Converter:
    """Makes arrays of the frames of one stream.

    Args:
        path: of the file, for errors.
        ratio: a pixel's width by its height; None or 0 for an unknown one.
    """

    def __init__(self, path, ratio):
        self.path, self.ratio = path, ratio or 1
        self._kind, self._graph, self._turned = None, None, (None, None)

    def _find_turn(self, frame):
        # PyAV's side data and its frame hold each other, so that a frame waits for the garbage
        # collector: looked at where the rotation changes, not for every frame.
        if self._turned[0] != frame.rotation:
            self._turned = frame.rotation, _read_turn(frame)
        return self._turned[1]

    def measure(self, frame):
        """Return the width and height that a frame is shown with, upright."""
        width, height = max(1, round(frame.width * self.ratio)), frame.height
        check_size(self.path, width, height)
        return (height, width) if self._find_turn(frame)[0] else (width, height)

    def show(self, frame):
        """Return a frame upright, uint8 (height, width, 3) in RGB, its pixels as they are.

        Raises:
            VideoError: too large, or of a kind that has no colors.
        """
        check_size(self.path, frame.width, frame.height)
        turn = self._find_turn(frame)
        if not frame.format.is_rgb:
            frame.colorspace = _MATRICES.get(frame.colorspace, _BT601)
        frame.color_trc = frame.color_primaries = _UNKNOWN  # not converted, but checked
        try:
            shown = self._convert(frame)
        except (av.FFmpegError, ValueError) as error:
            raise VideoError(
                f"{self.path}: the pixel format {frame.format.name} is not supported."
            ) from error
        (plane,) = shown.planes
        shape, strides = (shown.height, shown.width, 3), (plane.line_size, 3, 1)
        return _turn(np.ndarray(shape, np.uint8, plane, strides=strides), *turn)

    def _convert(self, frame):
        """Return a frame in RGB by the filters, and so exactly the colors, of FFmpeg's command."""
        kind = {"width": frame.width, "height": frame.height, "format": frame.format.name}
        if self._kind != kind:
            graph = av.filter.Graph()
            graph.threads = 1
            chain = [graph.add_buffer(**kind, time_base=frame.time_base)]
            chain += [graph.add("scale", "flags=bicubic"), graph.add("format", "pix_fmts=rgb24")]
            graph.link_nodes(*chain, graph.add("buffersink")).configure()
            self._kind, self._graph = kind, graph
        self._graph.push(frame)
        return self._graph.pull()
