"""Video files, opened: which stream is taken, and its frames one after the other.

FFmpeg decodes (PyAV), on one thread a file, and sees nothing but the bytes of the file itself.
"""

import errno

from utils.video.pixels import MOST_PIXELS, Converter, check_size
from utils.video.stamps import Clock, find_rhythm
from utils.video.video import VideoError

import av
import numpy as np
from av.format import Flags
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
_REFUSED = "no file that holds a video itself; playlists and texts are not read"
_LONGEST = 3600  # seconds from a frame to the next
_SLOWEST = 1 / 60  # frames per second over the whole file
_HDR = {16: "PQ", 18: "HLG"}  # transfer functions, by FFmpeg's numbers


def _is_shown(stream):
    """Whether a stream is a video: covers and thumbnails are none."""
    return not stream.disposition & Disposition.attached_pic


def _rank(stream):
    """Return what FFmpeg's command takes the highest of when it chooses a stream."""
    size = stream.codec_context.width * stream.codec_context.height
    return size + 5_000_000 * bool(stream.disposition & Disposition.default)


class VideoFile:
    """An open file: the frames of its video stream.

    Args:
        path: the file.

    Attributes:
        codec: FourCC, or the codec's name where the file has none.
        decoded: frames that were decoded so far.
        failed: packets that did not decode so far.

    Raises:
        VideoError: not a file with a video that can be read.
    """

    def __init__(self, path):
        self.path, self.decoded, self.failed = path, 0, 0
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115, it stays open
        self._container = None
        try:
            self._container = av.open(
                self._file, options=_OPTIONS, metadata_errors="replace", io_open=self._refuse
            )
            self._stream = self._choose_stream()
        except av.FFmpegError as error:
            self.close()
            reason = _REFUSED if error.errno == errno.EINVAL else "not a video that FFmpeg can open"
            raise VideoError(f"{path}: {reason}.") from error
        except VideoError:
            self.close()
            raise
        context = self._stream.codec_context
        tag = context.codec_tag
        self.codec = tag if tag.isascii() and tag.isprintable() else context.codec.canonical_name
        self._converter = Converter(path, self._stream.sample_aspect_ratio)

    def _refuse(self, url, *_):
        raise VideoError(f"{self.path}: it points to another file, {url}; only itself is read.")

    def _choose_stream(self):
        streams = list(filter(_is_shown, self._container.streams.video))
        if not streams:
            raise VideoError(f"{self.path}: there is no video in it, only sound or a cover.")
        streams = [stream for stream in streams if stream.codec_context]
        if not streams:
            raise VideoError(
                f"{self.path}: its codec is not known here; convert it with ffmpeg -c:v libx264."
            )
        chosen = max(streams, key=_rank)
        for stream in self._container.streams:
            stream.discard = Discard.none if stream is chosen else Discard.all
        context = chosen.codec_context
        check_size(self.path, context.width, context.height)
        # Clips are read by several threads at once; threads inside a decoder would only compete.
        context.thread_count, context.options = 1, {"max_pixels": str(MOST_PIXELS)}
        return chosen

    @property
    def rate(self):
        """Frames per second, as the header says; None where it does not."""
        return self._stream.guessed_rate or self._stream.average_rate

    @property
    def promised(self):
        """How many frames the header says, as long as nothing was read; 0: not said."""
        index = [entry.is_discard for entry in self._stream.index_entries]
        whole = 2 * len(index) >= self._stream.frames > 0  # AVI may count the halves of frames
        return index.count(False) if whole else self._stream.frames

    def _demux(self):
        try:
            for packet in self._container.demux(self._stream):
                if packet.size:  # an empty one would end the decoding
                    yield packet
        except av.FFmpegError:  # the file cannot be read any further
            self.failed += 1
        yield None

    def frames(self):
        """Yield the frames that decode, PyAV's; what is damaged is left out."""
        for packet in self._demux():
            try:
                frames = self._stream.codec_context.decode(packet)
            except av.FFmpegError:
                self.failed += 1
                continue
            self.decoded += len(frames)
            yield from frames

    def show(self, frame):
        """Return (a frame in BGR, its width and height), as `utils.video.pixels.Converter` does."""
        return self._converter.show(frame), self._converter.measure(frame)

    def inspect(self):
        """Decode everything; return what is found, the fields of a `Video`.

        Raises:
            VideoError: no frame decodes, or the time stamps or sizes are absurd.
        """
        stream, promised, first, stamps = self._stream, self.promised, None, []
        clock = Clock(stream, not self._container.format.flags & Flags.no_timestamps.value)
        for frame in self.frames():
            stamps.append(clock.tell(frame))
            first = first or self.show(frame)
        if not stamps:
            raise VideoError(f"{self.path}: no frame can be decoded.")
        begin = round((self._container.start_time or 0) / (av.time_base * stream.time_base))
        rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
        rhythm = find_rhythm(np.array(stamps) - begin, clock.shown, stream.time_base, rates)
        self._check_times(stamps, rhythm)
        width, height = first[1]
        found = {"num_frames": len(stamps), "width": width, "height": height}
        return found | rhythm._asdict() | {"note": "; ".join(self._note(promised, len(stamps)))}

    def _check_times(self, stamps, rhythm):
        gap = float(np.abs(np.diff(stamps)).max(initial=0) * self._stream.time_base)
        if gap > _LONGEST:
            raise VideoError(
                f"{self.path}: {gap:.0f} s from a frame to the next, by the time stamps; no more "
                f"than {_LONGEST} s are believed. Write it anew with ffmpeg."
            )
        if len(stamps) < rhythm.length * _SLOWEST:
            raise VideoError(
                f"{self.path}: {len(stamps)} frames in {rhythm.length:.0f} s, by the time stamps; "
                f"no video has fewer than one in {1 / _SLOWEST:.0f} s. Write it anew with ffmpeg."
            )

    def _note(self, promised, count):
        missing = promised - count if promised else 0
        if abs(missing) > 1 or (missing and self.failed):
            yield f"the header says {promised} frames, {count} decode"
        elif self.failed:
            yield f"{self.failed} packets of it cannot be decoded, {count} frames can"
        if transfer := _HDR.get(self._stream.codec_context.color_trc):
            yield f"HDR ({transfer}), whose colors are read as if they were standard ones"

    def close(self):
        """Close the file."""
        if self._container:
            self._container.close()
        self._file.close()
