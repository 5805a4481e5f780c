import json
from dataclasses import replace

from utils.features.blocks import RowFormat
from utils.features.lookup import find_features
from utils.features.settings import FeatureSettings, find_image_fps, find_stride, read_settings
from utils.features.store import open_store, read_manifest, settings_hash
from utils.scores.labelings import load_thresholds

import numpy as np
import pytest

# A manifest.json as version 1 writes it.
DENSE = {
    "version": 1,
    "window": 16,
    "stride": 4,
    "edges": "replicate",
    "route": "dense",
    "endpoint": "Features",
    "stream": "both",
    "fps": 25.0,
    "image_fps": 25.0,
    "short_side": 256,
    "frame_size": 224,
    "dtype": "float32",
    "precision": "float32",
    "views": ["centre", "flip"],
    "chunk": [128, 64, 32],
    "shared": "Mixed_4f",
    "flow": {"method": "dis", "fps": 25.0},
    "weights": {"rgb": "kinetics", "flow": "kinetics"},
    "fingerprint": {"rgb": "a", "flow": "b"},
}
WINDOWS = DENSE | {"route": "windows", "chunk": None, "shared": None, "stream": "rgb", "flow": None}


@pytest.mark.parametrize("manifest", (DENSE, WINDOWS))
def test_a_manifest_is_written_as_it_was_read(manifest):
    settings = FeatureSettings.from_json(manifest)
    assert json.dumps(settings.to_json(), indent=1) == json.dumps(manifest, indent=1)
    assert FeatureSettings.from_json(manifest | {"more": 1}) == settings


def test_hashes_of_settings_stay():
    assert settings_hash(DENSE) == "a402876a8073c6bcf428799ec0b4aaca"
    assert settings_hash(FeatureSettings.from_json(DENSE).to_json()) == settings_hash(DENSE)
    maps = FeatureSettings.from_json(WINDOWS).describe_maps("Mixed_4f", "c", "float32", 2)
    assert settings_hash(maps) == "40fbd6fd728e12ac7824704843cadb62"
    assert maps["row_step"] == 2 and "weights" not in maps


def test_a_backbone_is_written_where_it_is_another():
    settings = replace(FeatureSettings.from_json(DENSE), backbone="tiny")
    assert settings.to_json() == FeatureSettings.from_json(DENSE).to_json() | {"backbone": "tiny"}
    assert FeatureSettings.from_json(settings.to_json()) == settings


def test_rows_are_read_as_they_were_made():
    same = {"window": 16, "stride": 4, "short_side": 256, "frame_size": 224}
    assert FeatureSettings.from_json(WINDOWS).make_row_format(3) == RowFormat(**same, step=3)
    row_format = RowFormat(**same, lengths=(128, 64, 32), stream="both", flow="dis", step=1)
    assert FeatureSettings.from_json(DENSE).make_row_format(3) == row_format


def test_a_missing_setting_is_named(tmp_path):
    kept = {name: value for name, value in DENSE.items() if name not in ("stride", "views")}
    (tmp_path / "features.json").write_text(json.dumps({"manifest": kept}))
    with pytest.raises(ValueError, match=r"no stride in features\.json"):
        read_settings(tmp_path)
    with pytest.raises(ValueError, match=r"no window in features\.json"):
        read_settings(tmp_path / "nothing")
    (tmp_path / "rows.json").write_text(json.dumps(kept | {"stride": 8}))
    assert read_settings(tmp_path).stride == 8


def test_features_of_any_origin_may_tell_little(tmp_path):
    assert find_stride(tmp_path) is None and find_image_fps(tmp_path) == 25
    (tmp_path / "manifest.json").write_text('{"stride": 4, "image_fps": 30}')
    assert find_stride(tmp_path, 2) == 8 and find_image_fps(tmp_path) == 30


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stride", "4"), ("stride", 0), ("stride", 1e300), ("window", [16]), ("window", -1),
        ("fps", "25"), ("fps", 1e9), ("fps", float("nan")), ("image_fps", 0), ("image_fps", 1e-9),
        ("short_side", 10**9), ("frame_size", {}),
    ],
)  # fmt: skip
def test_a_damaged_manifest_is_named(tmp_path, name, value):
    (tmp_path / "manifest.json").write_text(json.dumps(DENSE | {name: value}))
    for read in (find_stride, find_image_fps):
        with pytest.raises(ValueError, match=rf"manifest\.json is damaged: its {name} is"):
            read(tmp_path)
    (tmp_path / "rows.json").write_text(json.dumps(DENSE | {"edges": 1, "flow": "dis"}))
    with pytest.raises(ValueError, match=r"it is unknown .* \(its edges is 1 in rows\.json\)"):
        read_settings(tmp_path)


@pytest.mark.parametrize(
    "times", [None, 1.5, ["a"], [None, 1], [[1, 2]], {}, "ab", [2, 1], [1], [1, 2, 3]]
)
def test_a_damaged_record_tells_no_times(tmp_path, times):
    np.save(tmp_path / "a.npy", np.ones((2, 3)))
    (tmp_path / "a.json").write_text(json.dumps({"times": times}))
    found, told = find_features("a.mp4", tmp_path).find_times(stride=4, fps=4)
    assert not told and found.tolist() == [0.5, 1.5]


@pytest.mark.parametrize(
    "text", [b"[" * 10**5, b'{"stride": ' + b"9" * 5000 + b"}", b"\xff{}", b""]
)
def test_json_that_python_cannot_read_is_named(tmp_path, text):
    """Too deep, a number too long, no text."""
    for name in ("manifest.json", "a.json", "thresholds.json"):
        (tmp_path / name).write_bytes(text)
    np.save(tmp_path / "a.npy", np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"manifest\.json is damaged or not a file of this kind"):
        find_stride(tmp_path)
    with pytest.raises(ValueError, match=r"thresholds\.json contains"):
        load_thresholds(tmp_path / "thresholds.json", "binary", ["a", "b"])
    assert not find_features("a.mp4", tmp_path).find_times()[1]


def test_the_least_values_that_extraction_takes_are_read(tmp_path):
    """Whole frames (0 pixels), at the file's own rate (0)."""
    settings = {"window": 8, "stride": 1, "fps": 0, "image_fps": 0.01, "short_side": 0}
    open_store(tmp_path, settings)
    assert read_manifest(tmp_path) == settings
