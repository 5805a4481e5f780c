"""Video files, opened: which kinds are, and which of their streams FFmpeg shows.

FFmpeg (PyAV) sees nothing but the bytes of the file itself.
"""

import errno

from utils.video.pixels import MOST_PIXELS, check_size
from utils.video.video import VideoError

import av
from av.stream import Discard, Disposition

# Containers that hold a video themselves, by the names of FFmpeg's demuxers. Playlists, lists of
# files, patterns of names and texts that are drawn as pictures are not among them.
_CONTAINERS = (
    "amv apng asf asf_o av1 avi avs2 avs3 bink cavsvideo dirac dnxhd dv evc film_cpk flic flv gif "
    "gxf h261 h263 h264 hevc ivf kux live_flv m4v matroska mjpeg mov mpeg mpegts mpegvideo mxf nsv "
    "nut nuv obu ogg pva rm roq smjpeg smk swf vc1 vc1test vvc wtv yuv4mpegpipe bmp_pipe jpeg_pipe "
    "jpegxl_anim jpegxl_pipe pam_pipe pbm_pipe pgm_pipe png_pipe ppm_pipe tiff_pipe webp_pipe "
    "aac flac mp3 wav"  # only to be told apart from what is no medium at all
)
_OPTIONS = {
    "format_whitelist": _CONTAINERS.replace(" ", ","),
    "protocol_whitelist": "none",
    "fflags": "-genpts",  # PyAV makes stamps up
    "max_pixels": str(MOST_PIXELS),
    "threads": "1",
}
_REFUSED = "not a video file; playlists and text files are not read"


def _is_shown(stream):
    """Whether a stream is a video: covers and thumbnails are none."""
    return not stream.disposition & Disposition.attached_pic


def _rank(stream):
    """Return what FFmpeg's command takes the highest of when it chooses a stream."""
    size = stream.codec_context.width * stream.codec_context.height
    return size + 5_000_000 * bool(stream.disposition & Disposition.default)


def _choose_stream(path, container):
    streams = list(filter(_is_shown, container.streams.video))
    if not streams:
        raise VideoError(f"{path}: the file contains no video, only sound or a cover picture.")
    streams = [stream for stream in streams if stream.codec_context]
    if not streams:
        raise VideoError(
            f"{path}: the codec is not supported. Convert the file with ffmpeg -c:v libx264."
        )
    return max(streams, key=_rank)


def _open(path, file):
    """Return PyAV's open container."""

    def refuse(url, *_):
        raise VideoError(f"{path}: the file refers to another file, {url}, which is not read.")

    try:
        return av.open(file, options=_OPTIONS, metadata_errors="replace", io_open=refuse)
    except (av.FFmpegError, OSError) as error:
        reason = _REFUSED if error.errno == errno.EINVAL else "not a video that FFmpeg can open"
        raise VideoError(f"{path}: {reason}.") from error


def _keep(container, chosen):
    """Leave out the packets of all streams but the chosen one."""
    for stream in container.streams:
        stream.discard = Discard.none if stream is chosen else Discard.all


def open_stream(path, file, most_pixels=0):
    """Return (PyAV's open container, its stream that FFmpeg's command would take).

    Args:
        path: of the file, for errors.
        file: the file itself, open for reading bytes.
        most_pixels: of a frame; 0: `MOST_PIXELS`.

    Raises:
        VideoError: not a file with a video that can be read.
    """
    container = _open(path, file)
    chosen = _choose_stream(path, container)
    _keep(container, chosen)
    context = chosen.codec_context
    check_size(path, context.width, context.height, most_pixels)
    # Clips are read by several threads at once; threads inside a decoder would only compete.
    context.thread_count, context.options = 1, {"max_pixels": str(most_pixels or MOST_PIXELS)}
    return container, chosen


def open_sound(path, file):
    """Return (PyAV's open container, the stream of `open_stream`, that of its sound or None).

    Args:
        path, file: as in `open_stream`.

    Raises:
        VideoError: as `open_stream`.
    """
    container = _open(path, file)
    pictures = _choose_stream(path, container)
    sound = container.streams.best("audio", related=pictures)
    sound = sound if sound and sound.codec_context else None
    _keep(container, sound)
    return container, pictures, sound
