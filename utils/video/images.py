"""Single images, measured before they are decoded."""

import io
from contextlib import closing, suppress

from utils.video.opening import open_stream
from utils.video.pixels import MOST_PIXELS, check_size
from utils.video.video import VideoError

import cv2
import numpy as np
from PIL import Image

_PNG = b"\x89PNG\r\n\x1a\n"
_PIXEL_BYTES = 8  # of a file that does not compress: four channels of 16 bits
Image.MAX_IMAGE_PIXELS = None  # it would warn of fewer than are read


def _measure(path, content):
    """Return the width and height that an image's header says; zeros where it is no image."""
    # What it does not know, such as some TIFF, or whatever damage leads to.
    with suppress(Exception), Image.open(io.BytesIO(content)) as image:
        return image.size
    with suppress(VideoError):
        container, stream = open_stream(path, io.BytesIO(content), MOST_PIXELS)
        with closing(container):
            return stream.codec_context.width, stream.codec_context.height
    return 0, 0


def _has_whole_chunks(content):
    """Whether no chunk of a PNG file is longer than the file: OpenCV asks for memory by them."""
    place, whole = len(_PNG), True
    while content.startswith(_PNG) and place < len(content) and whole:
        place += 12 + int.from_bytes(content[place : place + 4], "big")
        whole = place <= len(content)
    return whole


def read_image(path):
    """Return the pixels of an image in RGB, uint8 (height, width, 3).

    Args:
        path: a `Path`; OpenCV itself would take no name that is not UTF-8.

    Raises:
        VideoError: no image that can be read, or a too large one; the file is named.
    """
    frame = None
    with suppress(OSError, cv2.error):
        if path.is_file() and 0 < path.stat().st_size <= _PIXEL_BYTES * MOST_PIXELS:
            content = path.read_bytes()
            size = _measure(path, content)
            check_size(path, *size)
            if all(size) and _has_whole_chunks(content):
                frame = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    if frame is None:
        raise VideoError(f"{path.parent}: {path.name} is not an image that OpenCV can read.")
    check_size(path, *frame.shape[1::-1])
    return frame
