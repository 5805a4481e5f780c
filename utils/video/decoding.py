"""Video files, decoded by FFmpeg (PyAV): all frames, or chosen ones, sought at key frames."""

import math
import zlib
from contextlib import suppress
from itertools import chain, groupby, islice

from utils.video.headers import expects_recordings, find_begin, read_header
from utils.video.opening import open_stream
from utils.video.pixels import Converter
from utils.video.stamps import Clock, find_rhythm, join_recordings
from utils.video.video import VideoError

import av
import numpy as np
from av.format import Flags

_LONGEST = 3600  # seconds from a frame to the next
_SLOWEST = 1 / 60  # frames per second over the whole file
_MOST_RATE = 240  # of a file whose length is limited
_HDR = {16: "PQ", 18: "HLG"}  # transfer functions, by FFmpeg's numbers


# Decoders that start again at a key frame; others keep something of the frames before it.
_SEEKABLE = (
    "h264 hevc vp8 vp9 libdav1d av1 mpeg1video mpeg2video mpeg4 msmpeg4 msmpeg4v2 wmv1 wmv2 wmv3 "
    "vc1 h263 flv theora mjpeg prores dnxhd ffv1 huffyuv ffvhuff utvideo"
).split()
_EARLY = 20  # frames before a key frame, as many as may lie between decoding and showing one
_NEAR = 8  # frames that are decoded rather than sought over
_MARKS, _ROWS = 3, 32  # frames from a key frame on that are compared, and how much of each


class _LostError(Exception):
    """A key frame is not where it was, or what follows it is something else."""


def _mark(frame):
    """Return a hash of rows in a frame's middle; None where they lie the wrong way around."""
    plane = frame.planes[0]
    if plane.line_size <= 0:
        return None
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[plane.height // 2 :]
    return zlib.crc32(rows[:_ROWS, : plane.width].tobytes())  # what lies beside it may be anything


class VideoFile:
    """An open file: the frames of its video stream.

    Args:
        path: the file.
        most_pixels: of a frame; larger ones are not decoded. 0: as many as are read of any.

    Attributes:
        decoded: frames that were decoded so far.
        failed: packets that did not decode so far.

    Raises:
        VideoError: not a file with a video that can be read.
    """

    def __init__(self, path, most_pixels=0):
        self.path, self.decoded, self.failed = path, 0, 0
        self._most_pixels = most_pixels
        try:
            self._file = open(path, "rb", buffering=0)  # noqa: SIM115, it stays open
        except OSError as error:
            raise VideoError(f"{path}: the file cannot be read ({error.strerror}).") from error
        try:
            self._open()
        except VideoError:
            self._file.close()
            raise
        self._begin = find_begin(self._container, self._stream)
        self._early = 0  # frames before a key frame that are sought

    def _open(self):
        self._file.seek(0)
        self._container, self._stream = open_stream(self.path, self._file, self._most_pixels)
        self._converter, self._keys = Converter(self.path, self._stream.sample_aspect_ratio), []

    def read_header(self):
        """Return the `Header` of a file of which nothing was read yet."""
        return read_header(self._container, self._stream)

    def _demux(self):
        try:
            for packet in self._container.demux(self._stream):
                if packet.size:  # an empty one would end the decoding
                    yield packet
        except (av.FFmpegError, OSError):  # the file cannot be read any further
            self.failed += 1
        yield None

    def _decode(self, packets):
        for packet in packets:
            if packet is not None and packet.is_keyframe:
                self._keys.append(packet.pts)
            try:
                frames = self._stream.codec_context.decode(packet)
            except av.FFmpegError:
                self.failed += 1
                continue
            self.decoded += len(frames)
            yield from frames

    def frames(self):
        """Yield all frames that decode, PyAV's; what is damaged is left out."""
        yield from self._decode(self._demux())

    def glimpse(self, place, rate):
        """Yield (place, frame) from the key frame before a place on, as seeking gives them.

        Args:
            place: of a frame, by the frame rate.
            rate: frames per second, of the header.
        """
        ticks = 1 / (rate * self._stream.time_base)
        with suppress(av.FFmpegError):
            if place:
                self._container.seek(self._begin + round(place * ticks), stream=self._stream)
        for frame in self.frames():
            if frame.pts is not None:
                place = round((frame.pts - self._begin) / ticks)
            yield place, frame
            place += 1

    def _find_key(self, stamps, key):
        """Go to a key frame; return the packets from it on."""
        for early in sorted({self._early, _EARLY}):
            self._early = early
            try:
                sought = int(stamps[max(0, key - early)])
                self._container.seek(sought, stream=self._stream)
            except av.FFmpegError as error:
                raise _LostError from error
            packets = self._demux()
            for packet in packets:
                stamp = packet.pts if packet is not None and packet.is_keyframe else None
                if stamp == stamps[key]:
                    return chain([packet], packets)
                if stamp is not None and stamp > stamps[key]:
                    break
        raise _LostError

    def _frames_from(self, stamps, key):
        """Yield the frames from a key frame on, as long as they are those that are expected there.

        Args:
            stamps: of all frames, as the file has them.
            key: the key frame.

        Raises:
            _LostError: they are others, or damaged.
        """
        for frame in self._decode(self._find_key(stamps, key)):
            expected = stamps[key] if key < len(stamps) else None
            if frame.pts == expected and not frame.is_corrupt:
                yield frame
                key += 1
            elif frame.pts is None or expected is None or frame.pts > expected:
                raise _LostError  # earlier ones are made of frames before the key frame

    def read(self, video, indices):
        """Yield chosen frames, as `show` gives them; as few others as possible are decoded.

        The size shown is that of the first frame, as FFmpeg's command has it.

        Args:
            video: the `Video` that `utils.video.reading.probe` made of the file.
            indices: of its frames, sorted and distinct.

        Raises:
            VideoError: a frame that cannot be decoded.
        """
        keys, position, sought, frames = video.key_frames, 0, False, self.frames()
        stamps = np.round(video.stamps / float(self._stream.time_base)).astype(int) + self._begin
        before = np.append(0, keys)[np.searchsorted(keys, indices, side="right")]
        for index, key in zip(indices, before, strict=True):
            frame = None
            if key - position >= _NEAR and len(keys):
                position, sought, frames = key, True, self._frames_from(stamps, key)
            with suppress(_LostError):
                frame = next(islice(frames, index - position, None), None)
            if frame is None and sought:  # not as it was inspected: read it as it was then
                self._container.close()
                self._open()
                keys, sought, frames = keys[:0], False, self.frames()
                frame = next(islice(frames, index, None), None)
            if frame is None:
                raise VideoError(
                    f"{self.path}: frame {index} cannot be decoded; was the file changed?"
                )
            position = index + 1
            yield self._converter.show(frame), (video.width, video.height)

    def show(self, frame):
        """Return (a frame in RGB, its width and height), as `Converter` of `pixels` does."""
        return self._converter.show(frame), self._converter.measure(frame)

    def inspect(self, longest=math.inf):
        """Decode everything; return what is found, the fields of a `Video`.

        Args:
            longest: seconds that it may last, at up to `_MOST_RATE` frames a second.

        Raises:
            VideoError: no frame decodes, the time stamps or sizes are absurd, or it lasts longer.
        """
        stream, header, size = self._stream, self.read_header(), None
        told, stamps, keys, marks, damaged = [], [], [], {}, 0
        clock = Clock(stream, not self._container.format.flags & Flags.no_timestamps.value)
        packets = self._demux()
        if expects_recordings(self._container):
            packets = join_recordings(packets, stream.time_base)
        for index, frame in enumerate(self._decode(packets)):
            size = size or self.show(frame)[1]
            told.append(clock.tell(frame))
            seconds = max((told[-1] - told[0]) * stream.time_base, len(told) / _MOST_RATE)
            if seconds > longest:
                raise VideoError(
                    f"{self.path}: the video is longer than the {longest:g} s that are "
                    "allowed. Cut out the part that matters."
                )
            stamps.append(frame.pts)
            damaged += frame.is_corrupt
            keys += [frame.pts] * frame.key_frame
            marks = {} if frame.key_frame else marks
            if len(marks) < _MARKS:
                marks[index] = _mark(frame)
        if not told:
            raise VideoError(f"{self.path}: no frame can be decoded.")
        rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
        rhythm = find_rhythm(np.array(told) - self._begin, clock.shown, stream.time_base, rates)
        self._check_times(told, rhythm)
        found = {"num_frames": len(told), "width": size[0], "height": size[1]}
        found |= {"note": "; ".join(self._note(header, len(told), rhythm, damaged))}
        whole = not (self.failed or damaged or None in stamps)
        keys = self._list_keys(np.array(stamps), keys, marks) if whole else ()
        return found | rhythm._asdict() | {"keys": keys}

    def _list_keys(self, stamps, keys, marks):
        """Return the `keys` of the `Video`; none where seeking does not give the same frames.

        Args:
            stamps: of the frames, as the file has them.
            keys: of those that the decoder takes for key frames; the file must think so too.
            marks: {the last key frame and frames after it: what `_mark` made of them}.
        """
        keys = np.flatnonzero(np.isin(stamps, sorted({*keys} & {*self._keys})))
        exact = self._stream.codec_context.name in _SEEKABLE and np.all(np.diff(stamps) > 0)
        if not exact or min(marks) not in keys[keys > 0]:
            return ()
        try:
            again = [_mark(f) for f in islice(self._frames_from(stamps, min(marks)), len(marks))]
        except _LostError:
            return ()
        gaps = groupby(np.diff([0, *keys[keys > 0]]).tolist())
        runs = tuple((gap, len(list(run))) for gap, run in gaps)
        return runs if again == list(marks.values()) else ()

    def _check_times(self, stamps, rhythm):
        gap = float(np.abs(np.diff(stamps)).max(initial=0) * self._stream.time_base)
        if gap > _LONGEST:
            raise VideoError(
                f"{self.path}: by its time stamps, {gap:.0f} s lie between two frames; at "
                f"most {_LONGEST} s are accepted. Re-encode the file with ffmpeg."
            )
        if len(stamps) < rhythm.length * _SLOWEST:
            raise VideoError(
                f"{self.path}: by its time stamps, it has {len(stamps)} frames in "
                f"{rhythm.length:.0f} s; at least one in {1 / _SLOWEST:.0f} s is expected. "
                "Re-encode the file with ffmpeg."
            )

    def _note(self, header, count, rhythm, damaged):
        seconds = rhythm.start + rhythm.length
        missing = header.frames - count if header.frames else 0
        lost = (header.seconds - seconds) * rhythm.fps
        if abs(missing) > 1 or (missing and self.failed):
            yield f"the header says {header.frames} frames, but only {count} can be decoded"
        elif not header.frames and header.seconds - seconds > 1:
            told = (
                f"the header says {header.seconds:.1f} s, but only {seconds:.1f} s can be decoded"
            )
            yield f"{told}: {lost:.0f} frames are missing"
        elif self.failed:
            yield f"{self.failed} packets cannot be decoded; {count} frames can"
        if damaged:
            yield f"{damaged} frames are damaged"
        if transfer := _HDR.get(self._stream.codec_context.color_trc):
            yield f"the video is HDR ({transfer}); its colors are read as standard colors"

    def close(self):
        """Close the file."""
        self._container.close()
        self._file.close()
