"""The pixels of single frames: resized, moved, made gray."""

import os

import cv2
import numpy as np

# Broken files are reported, not spammed. Keras may have imported OpenCV before.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
if "OPENCV_LOG_LEVEL" not in os.environ:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)


def resize_frame(frame, short_side, square=0, shown=None):
    """Resize an array (height, width, channels) bilinearly.

    Args:
        frame: the array.
        short_side: pixels of the shorter side, the aspect ratio kept; 0: stretched to a square.
        square: pixels of that square's side.
        shown: width and height that the frame is shown with where its pixels are not square.
    """
    width, height = shown or frame.shape[1::-1]
    scale = short_side / min(height, width)
    size = (max(short_side, round(width * scale)), max(short_side, round(height * scale)))
    size = size if short_side else (square, square)
    return cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)


def to_gray(frame):
    """Return uint8 (height, width) of an RGB frame."""
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)


def warp(clip, linear, shift=(0.0, 0.0)):
    """Move the pixels of every frame of a clip alike; what comes from outside is gray (128).

    Args:
        clip: uint8 (..., height, width, 3).
        linear: (2, 2) matrix that takes a result pixel's (x, y) from the center to its source.
        shift: added to the source, as a share of (width, height).

    Returns:
        uint8 array of the same shape, interpolated bilinearly.
    """
    height, width = clip.shape[-3:-1]
    center = np.array([width - 1, height - 1]) / 2
    offset = center - linear @ center + np.multiply(shift, (width, height))
    matrix = np.column_stack([linear, offset])
    frames = clip.reshape(-1, height, width, 3)
    warped = np.empty_like(frames)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for frame, result in zip(frames, warped, strict=True):
        result[:] = cv2.warpAffine(
            frame, matrix, (width, height), flags=flags, borderValue=(128, 128, 128)
        )
    return warped.reshape(clip.shape)


def crop_frame(frame, size, crop):
    """Cut a square out of an array (height, width, channels).

    Args:
        frame: the array.
        size: pixels of the square's side.
        crop: its position, from top left (0, 0) to bottom right (1, 1).
    """
    top = round((frame.shape[0] - size) * crop[0])
    left = round((frame.shape[1] - size) * crop[1])
    return frame[top : top + size, left : left + size]
