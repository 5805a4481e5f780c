"""Blocks of frames for feature extraction are, bit for bit, what clips of those places hold."""

import tracemalloc
from dataclasses import replace

import models.streams
import utils.features.blocks
from models.streams import CHANNELS
from support.videos import moving_square
from utils.clips import reading, windows
from utils.clips.augmentation import Transform, list_levels
from utils.clips.reading import Clip, ClipFormat, read_clip
from utils.features.blocks import READERS, Failure, RowFormat, read_blocks, read_video
from utils.features.rows import plan_rows, row_starts
from utils.pictures.frame_sheets import PAINTERS
from utils.video.flow import flow_kind
from utils.video.flow_store import open_store, store_flow
from utils.video.reading import probe
from utils.video.streams import STREAMS
from utils.video.views import VIEWS
from utils.video.writing import write_video

import numpy as np
import pytest

FORM = RowFormat(8, 4, "drop", (8,), ("centre",), short_side=64, frame_size=48, flow="dis")


def scale(frames, stream):
    """Return what a network makes of the levels of uint8 frames."""
    parts = STREAMS[stream].parts.items()
    scaled = [list_levels(part)[frames[..., channels]] for part, channels in parts]
    return np.concatenate(scaled, axis=-1)


def make_video(path, frames=20, size=(80, 112), fps=25):
    write_video(path, moving_square(frames, size, 3, seed=1), fps)
    return probe(path)


@pytest.mark.parametrize(
    ("stream", "size", "file_fps", "fps"),
    [
        ("rgb", (80, 112), 25, 25.0),
        ("rgb", (112, 80), 12.5, 25.0),  # each frame shown twice
        ("flow", (112, 80), 25, 12.5),
        ("both", (80, 112), 30, 0.0),
    ],
)
def test_rows_are_the_clips_of_their_places(tmp_path, stream, size, file_fps, fps):
    video = make_video(tmp_path / "a.avi", size=size, fps=file_fps)
    row_format = FORM._replace(stream=stream, fps=fps, views=tuple(VIEWS))
    count = len(video.timeline(fps))
    starts = row_starts(count, 8, 4, "drop").tolist()
    blocks = list(read_blocks(video, "name", row_format))
    assert [(b.part.first, b.part.view) for b in blocks] == [
        (row, view) for row in range(len(starts)) for view in VIEWS
    ]
    clips = ClipFormat(1, 8, "segments", fps, 64, 48, stream, "dis")
    for block in blocks:
        part, (side, flip) = block.part, VIEWS[block.part.view]
        crop = (side, 0.5) if size[0] > size[1] else (0.5, side)
        place = (starts[part.first] + 0.5) / (count - 7)
        clip = read_clip(Clip(video, place, Transform(crop, flip)), clips)[0]
        assert np.array_equal(scale(block.frames, stream), clip)
        assert (part.name, part.digest, part.total) == ("name", video.digest, len(starts))
        seconds = (starts[part.first] + 4) / (fps or file_fps)
        assert part.times == pytest.approx([seconds], abs=1e-3)


def test_stored_flow_is_the_same_flow(tmp_path):
    video, kind = make_video(tmp_path / "a.avi", 12), flow_kind("dis", 25.0, 64)
    row_format = FORM._replace(stream="flow", views=("centre", "flip"))
    open_store(tmp_path / "flow", kind)
    store_flow(tmp_path / "flow", video, kind)
    stored = row_format._replace(flow_path=str(tmp_path / "flow"))
    for one, other in zip(
        read_blocks(video, "", row_format), read_blocks(video, "", stored), strict=True
    ):
        assert one.part == other.part and np.array_equal(one.frames, other.frames)


@pytest.mark.parametrize("edges", ["replicate", "drop"])
@pytest.mark.parametrize("stride", [3, 4, 40])
def test_chunks_hold_the_frames_of_their_rows(tmp_path, monkeypatch, edges, stride):
    video = make_video(tmp_path / "a.avi", 90)
    seen, resized = [], utils.features.blocks.resized_frames

    def count(video, indices, *sizes):
        seen.extend(indices)
        return resized(video, indices, *sizes)

    monkeypatch.setattr(utils.features.blocks, "resized_frames", count)
    single = FORM._replace(window=16, stride=stride, edges=edges, lengths=(16,))
    rows = [block.frames for block in read_blocks(video, "", single)]
    assert len(rows) == len(plan_rows(90, 16, stride, edges))
    assert len(seen) == len(set(seen))  # each frame once
    found = 0
    for block in read_blocks(video, "", single._replace(lengths=(64, 32))):
        for index in range(len(block.part.times)):
            frames = block.frames[index * stride : index * stride + 16]
            assert np.array_equal(frames, rows[block.part.first + index])
            found += 1
    assert found == len(rows)


def test_memory_does_not_grow_with_the_video(tmp_path):
    peaks = []
    for frames in (200, 600):
        video = make_video(tmp_path / f"{frames}.avi", frames)
        tracemalloc.start()
        for _ in read_blocks(video, "", FORM._replace(lengths=(64,))):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] < 3e6


def test_videos_that_cannot_be_read_say_so(tmp_path):
    (tmp_path / "a.avi").write_bytes(b"no video")
    (failure,) = read_video(str(tmp_path / "a.avi"), "a", FORM)
    assert isinstance(failure, Failure) and len(failure.digest) == 32
    assert failure.reason == "not a video that FFmpeg can open."
    (failure,) = read_video(str(tmp_path / "b.avi"), "b", FORM)
    assert (failure.reason, failure.digest) == ("no such file.", "")
    video = make_video(tmp_path / "c.avi", 7)
    (failure,) = read_video(video.path, "c", FORM)
    assert "7 frames after resampling" in failure.reason and failure.digest == video.digest
    with pytest.raises(ValueError, match=r"c\.avi: frame 7 cannot be decoded"):
        list(read_blocks(replace(video, num_frames=8, length=None), "c", FORM))


@pytest.mark.parametrize("table", [READERS, reading.READERS, windows.SHOWN, PAINTERS])
def test_every_part_of_a_stream_is_read_and_shown(table):
    assert set(table) == {part for stream in STREAMS.values() for part in stream.parts}


def test_networks_and_clips_agree_on_streams():
    for name, stream in STREAMS.items():
        counts = {part: channels.stop - channels.start for part, channels in stream.parts.items()}
        assert counts == {part: CHANNELS[part] for part in models.streams.STREAMS[name]}
