"""Which files are videos: by their suffixes, else by how they begin."""

VIDEO_SUFFIXES = set(
    ".264 .265 .3g2 .3gp .amv .asf .av1 .avc .avi .divx .dv .f4v .flv .gif .h264 .h265 .hevc .ivf "
    ".m2t .m2ts .m2v .m4v .mjpeg .mjpg .mkv .mov .mp4 .mpe .mpeg .mpg .mts .mxf .nut .obu .ogm "
    ".ogv .qt .rm .rmvb .ts .vob .webm .wmv .wtv .y4m".split()
)
IMAGE_SUFFIXES = set(".bmp .jpeg .jpg .png .ppm .tif .tiff .webp".split())
# Sound and stills in containers that hold videos too: they begin alike.
_OTHER_SUFFIXES = IMAGE_SUFFIXES | set(
    ".aax .avif .heic .heif .m4a .m4b .m4p .m4r .mka .mks .oga .ogg .opus .spx .weba .wma".split()
)
# What lies in stores beside features and flow, thousands of them: they need not be opened.
_OTHER_SUFFIXES |= set(".csv .h5 .hdf5 .json .mat .npy .npz".split())
# How files begin: (place, bytes). MP4, QuickTime, Matroska, AVI, FLV, ASF, MPEG, H.264, GIF, ...
_BEGINNINGS = (
    (4, b"ftyp"),
    (4, b"moov"),
    (0, b"\x1aE\xdf\xa3"),
    (8, b"AVI "),
    (0, b"FLV\x01"),
    (0, b"0&\xb2u\x8ef\xcf\x11"),
    (0, b"\0\0\x01\xba"),
    (0, b"\0\0\x01\xb3"),
    (0, b"\0\0\0\x01\x67"),
    (0, b"GIF8"),
    (0, b"YUV4MPEG2"),
    (0, b"OggS"),
    (0, b".RMF"),
    (0, b"DKIF"),
)
_PACKET = 188  # bytes of an MPEG transport stream's packet; each begins with a "G"


def _begins_as_video(path):
    if not path.is_file():  # a pipe would be waited for
        return False
    try:
        with open(path, "rb") as file:
            head = file.read(_PACKET + 1)
    except OSError:
        return False
    packets = head[:1] == head[_PACKET:] == b"G"
    return packets or any(head.startswith(mark, place) for place, mark in _BEGINNINGS)


def is_video_file(path):
    """Return whether a file is a video: by its suffix, and where that says nothing by its content.

    Args:
        path: a `Path`, which need not be there where the suffix tells.
    """
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return True
    return suffix not in _OTHER_SUFFIXES and _begins_as_video(path)
