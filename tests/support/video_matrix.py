"""Odd video files, made with PyAV: 64x48 pixels and some 20 frames that carry their numbers.

`ROWS` says of each file what is right, `REFUSED` which files are no videos.
"""

import contextlib
import functools
import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.stream import Disposition

SIZE = (64, 48)
BLUE, GREEN, RED, YELLOW = (30, 60, 200), (40, 170, 60), (190, 40, 40), (200, 190, 40)
DARK, LIGHT = (60, 60, 60), (190, 190, 190)
_ONE = 1 << 16
# (the matrix's a, b, c, d: what a picture's x and y add to (x, y) on the screen; how that looks)
TURNS = {
    "upright": ((1, 0, 0, 1), lambda picture: picture),
    "clockwise": ((0, 1, -1, 0), lambda picture: np.rot90(picture, -1)),
    "half": ((-1, 0, 0, -1), lambda picture: np.rot90(picture, 2)),
    "counterclockwise": ((0, -1, 1, 0), np.rot90),
    "mirrored": ((-1, 0, 0, 1), lambda picture: picture[:, ::-1]),
    "upside_down": ((1, 0, 0, -1), lambda picture: picture[::-1]),
    "transposed": ((0, 1, 1, 0), lambda picture: picture.swapaxes(0, 1)),
    "transversed": ((0, -1, -1, 0), lambda picture: np.rot90(picture, 2).swapaxes(0, 1)),
}


@functools.cache
def draw(number, size=SIZE):
    """Return the picture of a number below 64, uint8 RGB (height, width, 3).

    A grid of 4 x 4 cells: red, green, blue and yellow corners tell how it is turned, the others are
    six bits, each beside its opposite.
    """
    bits = [LIGHT if number >> bit & 1 == side else DARK for bit in range(6) for side in (1, 0)]
    cells = [RED, *bits[:2], GREEN, *bits[2:10], BLUE, *bits[10:], YELLOW]
    width, height = size
    rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
    return np.array(cells, np.uint8).reshape(4, 4, 3)[rows[:, None], columns]


def encode(
    path,
    codec="libx264",
    numbers=range(20),
    *,
    rate=25,
    times=None,
    size=SIZE,
    pixels="yuv420p",
    muxer=None,
    mux=(),
    aspect=None,
    turn="upright",
    tags=(),
    **options,
):
    """Write drawn pictures as a video.

    Args:
        path: of the file, or a binary file.
        codec: an encoder of FFmpeg's.
        numbers: what is drawn, frame by frame.
        rate: frames per second.
        times: of the frames, in units of 1 / rate; their places.
        size: (width, height) in pixels.
        pixels: FFmpeg's pixel format.
        muxer, mux: the format, where the suffix does not say it, and its options.
        aspect: width by height of a pixel.
        turn: a key of `TURNS`, for the container.
        tags: {attribute of the codec context: value}, such as its colors.
        options: of the encoder.
    """
    tick, tags = 1 / Fraction(rate), dict(tags)
    colors = {f"dst_{tag}": tags.get(tag) for tag in ("colorspace", "color_range")}
    with av.open(path, "w", format=muxer, options=dict(mux)) as container:
        stream = container.add_stream(codec, rate, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        for tag, value in {"time_base": tick, "sample_aspect_ratio": aspect or 1, **tags}.items():
            setattr(stream.codec_context, tag, value)
        if turn != "upright":
            a, b, c, d = (_ONE * factor for factor in TURNS[turn][0])
            stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for place, number in enumerate(numbers):
            frame = av.VideoFrame.from_ndarray(draw(number, size))
            frame = frame.reformat(format=pixels, **colors)
            frame.pts, frame.time_base = times[place] if times else place, tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def encode_sound(path, codec="aac", seconds=0.8, late=0.0):
    """Write a tone; `late` is when it begins."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, 48000)
        wave = np.sin(np.arange(1024) * 0.1).astype(np.float32)[None]
        for place in range(int(seconds * 48000 / 1024)):
            frame = av.AudioFrame.from_ndarray(wave, "fltp", "mono")
            frame.sample_rate, frame.time_base = 48000, Fraction(1, 48000)
            frame.pts = place * 1024 + int(late * 48000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def join(
    path, *sources, change=list, covers=(), filters=(), rate=0, muxer=None, mux=(), extra=None
):
    """Copy the packets of other files, undecoded, into one file.

    Args:
        path: of the file.
        sources: (suffix, function that writes a file) each, in the order of the streams.
        change: function of the packets of the first, for those that are copied.
        covers: places of the sources that are cover pictures.
        filters: a bitstream filter of FFmpeg's for the first, and its options.
        rate: ticks per second of the time stamps; 0: as the format likes it.
        muxer, mux: the format, where the suffix does not say it, and its options.
        extra: function of the container, called before the packets.
    """
    with (
        contextlib.ExitStack() as stack,
        av.open(str(path), "w", format=muxer, options=dict(mux)) as container,
    ):
        packets, streams = [], []
        for place, (suffix, make) in enumerate(sources):
            source = path.with_name(f"{path.name}.{place}{suffix}")
            make(source)
            stream = stack.enter_context(av.open(str(source))).streams[0]
            streams.append(container.add_stream_from_template(stream))
            if rate:
                streams[-1].time_base = Fraction(1, rate)
            copied = [packet for packet in stream.container.demux(stream) if packet.size]
            if place == 0 and filters:
                bitstream = BitStreamFilterContext(filters, stream)
                copied = [new for packet in [*copied, None] for new in bitstream.filter(packet)]
            packets += [(p, streams[-1]) for p in (copied if place else change(copied))]
        for place, stream in enumerate(streams):
            cover = place in covers
            stream.disposition = Disposition.attached_pic if cover else Disposition.default
        if extra:
            extra(container)
        for packet, stream in sorted(packets, key=lambda p: (p[0].dts or 0) * p[0].time_base):
            packet.stream = stream
            container.mux(packet)


def shift(seconds):
    """Return what moves packets in time."""

    def change(packets):
        for packet in packets:
            ticks = round(seconds / packet.time_base)
            packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
        return packets

    return change


def retime(places):
    """Return what gives packets other times: {place in the file: seconds}."""

    def change(packets):
        for place, seconds in places.items():
            packets[place].pts = packets[place].dts = round(seconds / packets[place].time_base)
        return packets

    return change


def spoil(*places, content=b"\xff" * 4, start=8):
    """Return what overwrites bytes of packets."""

    def change(packets):
        for place in places:
            data = bytearray(bytes(packets[place]))
            data[start : start + len(content)] = content[: len(data) - start]
            packets[place].update(bytes(data))
        return packets

    return change


def leave_out(*places):
    """Return what leaves packets out."""
    return lambda packets: [p for place, p in enumerate(packets) if place not in places]


def rewrite(path, make, change):
    """Make a file, then change its bytes: `change` is a function of the bytes."""
    make(path)
    path.write_bytes(change(path.read_bytes()))


def repeat_fields(data):
    """Mark every second picture of a progressive MPEG-2 stream to be shown for three fields."""
    data, place, pictures = bytearray(data), 0, 0
    while (place := data.find(b"\0\0\1\xb5", place)) >= 0:
        place += 4
        if data[place] >> 4 == 1:
            data[place + 1] &= ~0x08  # progressive_sequence
        elif data[place] >> 4 == 8:
            # top_field_first of 3:2 pulldown: 1, 1, 0, 0; repeat_first_field: 1, 0, 1, 0
            first, repeated = pictures % 4 < 2, pictures % 2 == 0
            data[place + 3] = data[place + 3] & ~0x82 | first << 7 | repeated << 1
            pictures += 1
    return bytes(data)


def attach_font(container):
    """Put a font into a Matroska file."""
    container.add_attachment("a.ttf", "font/ttf", b"no font")


def add_timecode(container):
    """Have a MOV or MP4 file say what the clock showed, in a track of its own."""
    container.streams[0].metadata["timecode"] = "10:20:30:00"


def add_title(container):
    """Give a file a title."""
    container.metadata["title"] = "title"


def attach_cover(container):
    """Put a larger cover picture into a Matroska file."""
    with io.BytesIO() as file:
        encode(file, "mjpeg", [40], size=(96, 96), pixels="yuvj420p", muxer="mjpeg")
        container.add_attachment("cover.jpg", "image/jpeg", file.getvalue())


def follow(path, *makes):
    """Write files one behind the other, as `cat` does."""
    parts = []
    for make in makes:
        make(path)
        parts.append(path.read_bytes())
    path.write_bytes(b"".join(parts))


@dataclass(frozen=True)
class Row:
    """A file, and what is right.

    Attributes:
        make: function (path) that writes it.
        numbers: what its frames show, in order.
        size: (width, height) on the screen, in pixels.
        fps: frames per second; None: the rate varies.
        at_25: frames at 25 a second; None: versions of FFmpeg's differ.
        turn: a key of `TURNS`.
        gray: whether it has no colors.
        noted: whether the inspection says that something is odd; None: it may.
        close: the mean error of a picture's pixels, at most.
        stream: which of the file's streams it is.
        pixels: (width, height) of its pixels where they are not square; None: as `size`.
        read_as: what colors FFmpeg takes for those that it cannot convert, for `setparams`.
    """

    make: Callable
    numbers: tuple | range = range(20)
    size: tuple[int, int] = SIZE
    fps: float | None = 25
    at_25: int | None = 20
    turn: str = "upright"
    gray: bool = False
    noted: bool | None = False
    close: float = 12
    stream: int = 0
    pixels: tuple[int, int] | None = None
    read_as: str = ""


def _prepare(make):
    return lambda *options, **more: lambda path: make(path, *options, **more)


encoded, joined, rewritten, one_by_one = map(_prepare, (encode, join, rewrite, follow))
LOSSLESS = encoded("ffv1", g="1")
SHORT_GOPS = encoded(**{"x264-params": "keyint=6:min-keyint=6:bframes=2:open-gop=1:scenecut=0"})
CLOSED_GOPS = encoded(g="6", bf="0", preset="ultrafast")
SMALL = encoded(size=(32, 32), numbers=range(30, 35))
SOUND = encode_sound
PLAIN = (".mp4", encoded())
UNEVEN = (0, 1, 2, 6, 7, 8, 9, 20, 21, 22, 23, 24, 30, 31, 32, 33, 34, 35, 39, 40)
HDR = {"color_range": 1, "colorspace": 9, "color_primaries": 9, "color_trc": 16}
INTERLACED = {"flags": "+ildct+ilme"}

ROWS = {
    # Containers and codecs.
    "h264.mp4": Row(encoded()),
    "hevc.mp4": Row(encoded("libx265")),
    "mpeg4.mp4": Row(encoded("mpeg4")),
    "av1.mp4": Row(encoded("libsvtav1")),
    "vp9.mp4": Row(encoded("libvpx-vp9")),
    "mjpeg.mov": Row(encoded("mjpeg", pixels="yuvj420p")),
    "prores.mov": Row(encoded("prores_ks", pixels="yuv422p10le")),
    "dnxhr.mov": Row(
        encoded("dnxhd", pixels="yuv422p", size=(256, 120), profile="dnxhr_sq"), size=(256, 120)
    ),
    "h264.mkv": Row(encoded()),
    "hevc.mkv": Row(encoded("libx265")),
    "mpeg2.mkv": Row(encoded("mpeg2video")),
    "ffv1.mkv": Row(LOSSLESS),
    "vp8.webm": Row(encoded("libvpx")),
    "vp9.webm": Row(encoded("libvpx-vp9")),
    "av1.webm": Row(encoded("libsvtav1")),
    "mpeg4.avi": Row(encoded("mpeg4")),
    "mjpeg.avi": Row(encoded("mjpeg", pixels="yuvj420p")),
    "huffyuv.avi": Row(encoded("huffyuv", pixels="yuv422p")),
    "raw.avi": Row(encoded("rawvideo", pixels="bgr24")),
    "h264.ts": Row(encoded()),
    "hevc.ts": Row(encoded("libx265")),
    "mpeg2.ts": Row(encoded("mpeg2video", g="6", bf="2")),
    "h264.mts": Row(encoded(muxer="mpegts", mux={"mpegts_m2ts_mode": "1"})),
    "mpeg1.mpg": Row(encoded("mpeg1video")),
    "mpeg2.mpg": Row(encoded("mpeg2video", g="6", bf="2")),
    "mpeg2.vob": Row(encoded("mpeg2video", g="6", bf="2")),
    "flv1.flv": Row(encoded("flv")),
    "h264.flv": Row(encoded()),
    "wmv2.wmv": Row(encoded("wmv2")),
    "msmpeg4.wmv": Row(encoded("msmpeg4")),
    "h263.3gp": Row(encoded("h263", size=(128, 96)), size=(128, 96)),
    "h264.3gp": Row(encoded()),
    "vp8.ogv": Row(encoded("libvpx")),
    "animated.gif": Row(encoded("gif", pixels="rgb8"), close=40),
    "animated.png": Row(encoded("apng", pixels="rgb24", muxer="apng")),
    "mpeg2.mxf": Row(encoded("mpeg2video")),
    "raw.h264": Row(encoded()),
    "raw.hevc": Row(encoded("libx265")),
    "raw.m4v": Row(encoded("mpeg4")),
    "raw.mjpeg": Row(encoded("mjpeg", pixels="yuvj420p")),
    "video.y4m": Row(encoded("wrapped_avframe")),
    # Times.
    "30.mp4": Row(encoded(rate=30), fps=30, at_25=17),
    "half_3.mp4": Row(encoded(numbers=range(3), rate=30), range(3), fps=30, at_25=3),
    "half_63.mp4": Row(encoded(numbers=range(63), rate=30), range(63), fps=30, at_25=53),
    "half_60.mp4": Row(encoded(numbers=range(60), rate=120), range(60), fps=120, at_25=13),
    "ntsc.mp4": Row(encoded(rate=Fraction(30000, 1001)), fps=29.97, at_25=17),
    "film.mkv": Row(encoded(rate=Fraction(24000, 1001)), fps=23.976, at_25=21),
    "slow.mp4": Row(encoded(numbers=range(6), rate=4), range(6), fps=4, at_25=38),
    "one.mp4": Row(encoded(numbers=[5]), (5,), at_25=1),
    "varies.mp4": Row(encoded(times=UNEVEN), fps=None, at_25=41),
    "varies.mkv": Row(encoded("libvpx-vp9", times=UNEVEN, rate=30), fps=None, at_25=34),
    "varies.webm": Row(encoded("libvpx", times=UNEVEN), fps=None, at_25=41),
    "varies.wmv": Row(encoded("wmv2", times=UNEVEN), fps=None, at_25=None),
    "delays.gif": Row(
        encoded("gif", numbers=range(6), pixels="rgb8", rate=100, times=(0, 2, 12, 15, 45, 47)),
        range(6),
        fps=None,
        at_25=None,
        close=40,
    ),
    "equal.mkv": Row(
        joined((".mkv", encoded("mpeg4")), change=retime({10: 0.36})), fps=None, at_25=20
    ),
    "millisecond.mkv": Row(encoded(numbers=range(42), rate=30), range(42), fps=30, at_25=35),
    "millisecond.webm": Row(
        encoded("libvpx", numbers=range(42), rate=30), range(42), fps=30, at_25=35
    ),
    "millisecond.flv": Row(encoded("flv", numbers=range(42), rate=30), range(42), fps=30, at_25=35),
    "millisecond.wmv": Row(
        encoded("wmv2", numbers=range(42), rate=30), range(42), fps=30, at_25=35
    ),
    "copied.avi": Row(
        joined((".mp4", encoded(rate=30)), filters="h264_mp4toannexb", rate=30), fps=30, at_25=None
    ),
    "raw_30.h264": Row(encoded(rate=30), fps=30, at_25=17),
    "edit_cut.mp4": Row(joined(PLAIN, change=shift(-0.2)), range(5, 20), at_25=15),
    "edit_late.mp4": Row(joined(PLAIN, change=shift(1)), at_25=20),
    "late.mkv": Row(joined((".mkv", LOSSLESS), change=shift(2))),
    "negative.mkv": Row(joined((".mkv", LOSSLESS), change=shift(-0.2))),
    "late_beside_sound.mp4": Row(
        joined((".mp4", encoded(rate=30)), (".m4a", SOUND), change=shift(0.05)), fps=30, at_25=17
    ),
    "wrapped.ts": Row(joined((".ts", CLOSED_GOPS), change=shift(2**33 / 90000 - 0.4))),
    "pulldown.mpg": Row(
        joined(
            (".m2v", rewritten(encoded("mpeg2video", size=(64, 64)), repeat_fields)),
        ),
        size=(64, 64),
        fps=None,
        at_25=25,
    ),
    # Structure.
    "open_gop.mp4": Row(SHORT_GOPS),
    "open_gop.ts": Row(SHORT_GOPS),
    "open_gop_hevc.mp4": Row(
        encoded("libx265", **{"x265-params": "keyint=6:min-keyint=6:open-gop=1:log-level=0"})
    ),
    "refreshed.mp4": Row(encoded(**{"x264-params": "intra-refresh=1:keyint=10:bframes=0"})),
    "interlaced.mp4": Row(encoded(**{"x264-params": "interlaced=1:tff=1"})),
    "interlaced.mts": Row(
        encoded(
            muxer="mpegts", mux={"mpegts_m2ts_mode": "1"}, **{"x264-params": "interlaced=1:bff=1"}
        )
    ),
    "interlaced_hevc.mkv": Row(encoded("libx265", **{"x265-params": "interlace=1:log-level=0"})),
    "interlaced.mpg": Row(encoded("mpeg2video", **INTERLACED)),
    "interlaced.avi": Row(encoded("mpeg4", **INTERLACED)),
    # How it is turned.
    **{
        f"{turn}.mp4": Row(
            encoded(turn=turn), size=TURNS[turn][1](np.empty((48, 64))).shape[::-1], turn=turn
        )
        for turn in TURNS
    },
    "transposed.mkv": Row(
        encoded("libvpx-vp9", turn="transposed"), size=(48, 64), turn="transposed"
    ),
    "clockwise.mov": Row(encoded("mpeg4", turn="clockwise"), size=(48, 64), turn="clockwise"),
    # Pixels.
    "444.mp4": Row(encoded(pixels="yuv444p")),
    "422.mov": Row(encoded(pixels="yuv422p")),
    "10_bit.mp4": Row(encoded(pixels="yuv420p10le")),
    "10_bit_hevc.mkv": Row(encoded("libx265", pixels="yuv420p10le")),
    "10_bit_av1.webm": Row(encoded("libsvtav1", pixels="yuv420p10le")),
    "10_bit_422.mp4": Row(encoded(pixels="yuv422p10le")),
    "full.mp4": Row(encoded(pixels="yuvj420p")),
    "full_tagged.mkv": Row(encoded(tags={"color_range": 2})),
    "bt709.mp4": Row(encoded(tags={"colorspace": 1, "color_range": 1})),
    "bt2020c.mp4": Row(encoded(tags={"colorspace": 10}), read_as="colorspace=bt2020nc"),
    "ycgco.mp4": Row(encoded(tags={"colorspace": 8}), read_as="colorspace=bt470bg"),
    "transfer_log.mp4": Row(encoded(tags={"color_trc": 9}), read_as="color_trc=unknown"),
    "hdr.mp4": Row(encoded("libx265", pixels="yuv420p10le", tags=HDR), noted=True),
    "gray.mkv": Row(encoded("ffv1", pixels="gray"), gray=True),
    "gray_10.mkv": Row(encoded("ffv1", pixels="gray10le"), gray=True),
    "gray.mp4": Row(encoded(pixels="gray", tags={"color_range": 1}), gray=True),
    "rgb.mp4": Row(encoded("libx264rgb", pixels="rgb24")),
    "rgb_48.mkv": Row(encoded("ffv1", pixels="gbrp16le")),
    "alpha.webm": Row(encoded("libvpx-vp9", pixels="yuva420p")),
    "alpha.mov": Row(encoded("prores_ks", pixels="yuva444p10le")),
    "alpha_rle.mov": Row(encoded("qtrle", pixels="argb")),
    "alpha_png.mov": Row(encoded("png", pixels="rgba")),
    "odd.webm": Row(encoded("libvpx-vp9", size=(63, 47)), size=(63, 47)),
    "odd.mp4": Row(encoded("mpeg4", size=(61, 33)), size=(61, 33), close=20),
    "odd_444.mp4": Row(encoded(pixels="yuv444p", size=(33, 61)), size=(33, 61)),
    "odd.mkv": Row(encoded("ffv1", size=(33, 61)), size=(33, 61)),
    "wide_pixels.mp4": Row(encoded(aspect=Fraction(4, 3)), size=(85, 48), pixels=SIZE),
    "narrow_pixels.mkv": Row(encoded(aspect=Fraction(8, 9)), size=(57, 48), pixels=SIZE),
    "wide_pixels.mpg": Row(
        encoded("mpeg2video", aspect=Fraction(4, 3)), size=(85, 48), pixels=SIZE
    ),
    "wide_turned.mp4": Row(
        encoded(aspect=Fraction(4, 3), turn="clockwise"),
        size=(48, 85),
        pixels=(48, 64),
        turn="clockwise",
    ),
    # Several streams.
    "cover.mp4": Row(
        joined(PLAIN, (".jpg", encoded("mjpeg", [40], pixels="yuvj420p")), covers=[1])
    ),
    "cover.mkv": Row(joined(PLAIN, extra=attach_cover)),
    "still_first.mkv": Row(
        joined((".mkv", encoded("mjpeg", [40], size=(32, 24), pixels="yuvj420p")), PLAIN), stream=1
    ),
    "small_first.mp4": Row(joined((".mp4", SMALL), PLAIN), stream=1),
    "small_first.ts": Row(joined((".ts", SMALL), (".ts", encoded())), stream=1),
    "sound_first.mp4": Row(joined((".m4a", SOUND), PLAIN), stream=1),
    "sound.mkv": Row(joined(PLAIN, (".m4a", SOUND))),
    "font.mkv": Row(joined(PLAIN, extra=attach_font)),
    # No duration.
    "live.mkv": Row(encoded(mux={"live": "1"})),
    "live.webm": Row(encoded("libvpx", mux={"live": "1"})),
    "fragments.mp4": Row(encoded(mux={"movflags": "frag_keyframe+empty_moov+default_base_moof"})),
    "fragments_b.mp4": Row(encoded(mux={"movflags": "frag_every_frame+empty_moov"})),
    "live.flv": Row(encoded("flv", mux={"flvflags": "no_duration_filesize"})),
    # Damaged.
    "bad_packet.mp4": Row(
        joined((".mp4", CLOSED_GOPS), change=spoil(11, start=0)),
        (*range(11), *range(12, 20)),
        fps=None,
        noted=True,
    ),
    "bad_packet.avi": Row(
        joined(
            (".avi", encoded("mjpeg", pixels="yuvj420p")),
            change=spoil(8, content=bytes(600), start=0),
        ),
        (*range(8), *range(9, 20)),
        fps=None,
        noted=True,
    ),
    "lost_packets.mkv": Row(
        joined((".mkv", LOSSLESS), change=leave_out(7, 8)),
        (*range(7), *range(9, 20)),
        fps=None,
        at_25=None,
    ),
    "dropped.avi": Row(
        joined((".avi", encoded("mjpeg", pixels="yuvj420p")), change=leave_out(7, 8)),
        (*range(7), *range(9, 20)),
        fps=None,
        noted=None,
    ),
    "cut.mp4": Row(
        rewritten(encoded(mux={"movflags": "faststart"}), lambda data: data[:-400]),
        range(12),
        at_25=12,
        noted=True,
    ),
    "cut.mkv": Row(
        rewritten(LOSSLESS, lambda data: data[: len(data) * 2 // 3]),
        range(13),
        at_25=13,
        noted=None,
    ),
    "cut.avi": Row(
        rewritten(encoded("mjpeg", pixels="yuvj420p"), lambda data: data[: len(data) // 2]),
        range(6),
        at_25=6,
        noted=True,
    ),
    "cut.ts": Row(
        rewritten(CLOSED_GOPS, lambda data: data[: len(data) // 2]), range(9), at_25=9, noted=None
    ),
    "begins_inside.ts": Row(
        joined((".ts", CLOSED_GOPS), change=leave_out(0)), range(6, 20), at_25=14, noted=None
    ),
    "begins_inside.mkv": Row(
        joined((".mkv", CLOSED_GOPS), change=leave_out(0)), range(6, 20), at_25=14, noted=None
    ),
    "begins_open.ts": Row(
        joined((".ts", SHORT_GOPS), change=leave_out(*range(5))), range(12, 20), at_25=8, noted=None
    ),
    "no_index.avi": Row(rewritten(encoded("mpeg4"), lambda data: data.replace(b"idx1", b"JUNK"))),
    "two_sizes.ts": Row(
        one_by_one(
            encoded(g="6", bf="0"), encoded(g="6", bf="0", size=(96, 48), numbers=range(20, 30))
        ),
        range(30),
        at_25=None,
        noted=None,
    ),
    "two_parts.ts": Row(
        one_by_one(encoded(g="6", bf="0"), encoded(g="6", bf="0", numbers=range(20, 30))),
        range(30),
        at_25=30,
    ),
    "two_parts.mpg": Row(
        one_by_one(encoded("mpeg2video"), encoded("mpeg2video", numbers=range(20, 30))),
        range(30),
        at_25=30,
    ),
    "unfinished.mp4": Row(
        joined((".mp4", CLOSED_GOPS), change=spoil(*range(12, 20), content=bytes(2000), start=0)),
        range(12),
        at_25=12,
        noted=True,
    ),
    "zeros_behind.ts": Row(rewritten(CLOSED_GOPS, lambda data: data + bytes(9400)), noted=None),
    # As devices and programs write them.
    "old_title.avi": Row(
        rewritten(
            joined((".avi", encoded("mpeg4")), extra=add_title),
            lambda data: data.replace(b"title", b"t\xeftl\xe9"),
        )
    ),
    "phone.mov": Row(
        joined(
            (".mov", encoded("libx265", pixels="yuv420p10le", tags=HDR, turn="clockwise")),
            (".m4a", SOUND),
            mux={"movflags": "faststart"},
        ),
        size=(48, 64),
        turn="clockwise",
        noted=True,
    ),
    "action_camera.mp4": Row(joined(PLAIN, (".m4a", SOUND), extra=add_timecode)),
    "dvd.vob": Row(
        joined(
            (
                ".m2v",
                rewritten(
                    encoded("mpeg2video", size=(64, 64), aspect=Fraction(4, 3), bf="2"),
                    repeat_fields,
                ),
            )
        ),
        size=(85, 64),
        pixels=(64, 64),
        fps=None,
        at_25=25,
    ),
    "fast.gif": Row(
        encoded("gif", pixels="rgb8", rate=100, numbers=range(6)),
        range(6),
        fps=None,
        at_25=None,
        close=40,
    ),
    "b_frames.avi": Row(encoded("mpeg4", bf="2")),
    "screen.avi": Row(encoded("zmbv", pixels="bgr0")),
    "captured.mov": Row(encoded("v210", pixels="yuv422p10le")),
    "uncompressed.mov": Row(encoded("rawvideo", pixels="uyvy422")),
    "old_camera.mov": Row(encoded("mjpeg", pixels="yuvj422p", rate=15), fps=15, at_25=33),
    "web.mp4": Row(encoded("libsvtav1", mux={"movflags": "frag_keyframe+empty_moov"}, g="6")),
}

PLAYLISTS = {
    "playlist.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nbeside.ts\n#EXT-X-ENDLIST\n",
    "playlist.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nbeside.ts\n#EXT-X-ENDLIST\n",
    "concat.mp4": "ffconcat version 1.0\nfile beside.ts\n",
    "session.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "dash.mp4": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>\n',
    "text.mp4": "A day in the life of a text.\n" * 40,
    "empty.mp4": "",
}
_HUGE = struct.pack("<II", *SIZE), struct.pack("<II", 30000, 30000)  # width and height
REFUSED = {
    "sound.m4a": SOUND,
    "sound_and_cover.m4a": joined(
        (".m4a", SOUND),
        (".jpg", encoded("mjpeg", [40], pixels="yuvj420p")),
        covers=[1],
        muxer="mp4",
    ),
    "no_index.mp4": rewritten(encoded(), lambda data: data[: data.index(b"moov") - 4]),
    "header_only.mkv": rewritten(encoded(), lambda data: data[:400]),
    "header_only.avi": rewritten(encoded("mpeg4"), lambda data: data[:5000]),
    "late_stamp.mkv": joined((".mkv", LOSSLESS), change=retime({19: 1e6})),
    "slow.mp4": encoded(numbers=[0], rate=Fraction(1, 500)),
    "huge.avi": rewritten(encoded("ffv1"), lambda data: data.replace(*_HUGE)),
    "animated.webp": encoded("libwebp_anim"),
    **{name: lambda path, text=text: path.write_text(text) for name, text in PLAYLISTS.items()},
}
