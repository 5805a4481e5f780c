"""Published TimeSformer and ViT weights: references, every tensor, every way it fails."""

import math
from functools import cache
from pathlib import Path

from models.choices import SCHEMES, SIZES, Size
from models.design import Design
from models.networks import build
from models.pretrained import timesformer_weights as published
from models.pretrained.download import WeightsError
from models.pretrained.hugging_face import (
    _list_sources,
    fold_normalization,
    recognize_tensors,
    set_tensors,
)
from models.pretrained.timesformer_weights import (
    PUBLISHED,
    choose_checkpoint,
    fetch,
    load_published,
)
from models.timesformer import resize_space, resize_time
from support.backends import once

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

pytestmark = pytest.mark.models
REFERENCE = Path(__file__).parents[2] / "shared/reference"
DIM, DEPTH, HEADS, WIDTH, OUTPUTS, FRAMES, SIDE, PATCH = 64, 3, 4, 128, 7, 4, 4, 8
RAW = (0.5, 0.5)  # the normalization of clips in [-1, 1]


TINY = Size(DIM, DEPTH, 0, HEADS, WIDTH, 0, 0, 0.0)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(SIZES, "tiny", TINY)


@cache
def network(attention="divided", positions="space_time", frame_size=32, stream="rgb", **choices):
    frames, outputs = choices.pop("frames", FRAMES), choices.pop("outputs", OUTPUTS)
    choices = {"size": "tiny", "patch_size": PATCH, "dropout": 0.0} | choices
    design = Design(attention=attention, positions=positions, **choices)
    with pytest.MonkeyPatch.context() as patch:  # whatever the test at hand made of the sizes
        patch.setitem(SIZES, "tiny", TINY)
        return build("timesformer", outputs, 1, frames, frame_size, stream, design)


def fill(model, tensors, normalization=RAW):
    return set_tensors(model, *recognize_tensors(tensors, "file"), "file", normalization)


def draw_timesformer(attention="divided", positions="space_time"):
    """Draw tensors of Hugging Face's names and layout for every variable of a network."""
    head, generator = network(attention, positions).get_layer("head"), np.random.default_rng(0)
    tensors = {}
    for variable in head.weights:
        name = _list_sources(head, "TimeSformer")[variable.path]
        array = generator.normal(size=variable.shape, scale=0.2).astype("float32")
        array = array[0].transpose(3, 2, 0, 1) if array.ndim == 5 else array
        array = array.T if array.ndim == 2 else array
        prefix = "" if name.startswith("classifier") else "timesformer."
        tensors[prefix + name] = np.ascontiguousarray(array)
    return tensors


def draw_vit(prefix="vit."):
    tensors = {}
    for name, array in draw_timesformer("space", "space").items():
        name = name.replace("timesformer.", prefix)
        parts = ("query", "key", "value") if ".qkv." in name else ("qkv",)
        for part, piece in zip(parts, np.split(array, len(parts)), strict=True):
            tensors[name.replace("qkv", part)] = piece
    return tensors


def draw_clips():
    shape = (2, 1, FRAMES, 32, 32, 3)
    return np.random.default_rng(1).uniform(-1, 1, shape).astype("float32")


def values(model):
    return {v.path: keras.ops.convert_to_numpy(v) for v in model.get_layer("head").weights}


@pytest.mark.parametrize(
    ("file", "attention", "positions", "count"),
    [
        ("divided_space_time", "divided", "space_time", 69),
        ("joint_space_time", "joint", "space_time", 45),
        ("space_only", "space", "space", 44),
    ],
)
def test_tokens_and_logits_of_the_published_implementation(file, attention, positions, count):
    path = REFERENCE / f"timesformer_{file}.safetensors"
    if not path.is_file():
        pytest.skip("needs ../shared")
    tensors = load_file(path)
    known = {n: tensors.pop(f"reference.{n}") for n in ("pixel_values", "last_hidden", "logits")}
    model = network(attention, positions)
    assert fill(model, tensors) == [f"TimeSformer, all {count} tensors"]
    clips = known["pixel_values"].transpose(0, 1, 3, 4, 2)[:, None]
    head = model.get_layer("head")
    both = keras.Model(head.input, [head.get_layer("norm").input, head.output])
    tokens, logits = (keras.ops.convert_to_numpy(x) for x in both(clips))
    classes, grid = tokens[:, : -FRAMES * SIDE**2], tokens[:, -FRAMES * SIDE**2 :]
    grid = grid.reshape(2, FRAMES, SIDE**2, DIM)
    if attention == "space":  # theirs keeps frames apart; the authors average them
        tokens = np.concatenate([classes[:, :, None], grid], axis=2).reshape(8, -1, DIM)
        known["logits"] = known["logits"].reshape(2, FRAMES, -1).mean(axis=1)
    else:
        grid = grid.transpose(0, 2, 1, 3).reshape(2, -1, DIM)
        tokens = np.concatenate([classes, grid], axis=1)
    np.testing.assert_allclose(tokens, known["last_hidden"], atol=1e-4, rtol=0)
    np.testing.assert_allclose(logits, known["logits"], atol=1e-4, rtol=0)


def run_divided(t, pixels):
    """Run the published divided attention in NumPy: (batch, time, rows, columns, 3) to logits."""

    def dense(x, name):
        return x @ t[name + ".weight"].T + t[name + ".bias"]

    def norm(x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
        return x * t[name + ".weight"] + t[name + ".bias"]

    def attend(x, name):
        x = dense(x, f"{name}.attention.qkv").reshape(*x.shape[:-1], 3, HEADS, DIM // HEADS)
        q, k, v = np.moveaxis(x, (-3, -2), (0, -3))
        scores = np.exp(q @ np.swapaxes(k, -1, -2) / np.sqrt(DIM // HEADS))
        x = np.moveaxis(scores / scores.sum(-1, keepdims=True) @ v, -3, -2)
        return dense(x.reshape(*x.shape[:-2], DIM), f"{name}.output.dense")

    erf = np.vectorize(math.erf)
    cut = pixels.reshape(len(pixels), FRAMES, SIDE, PATCH, SIDE, PATCH, 3)
    kernel = t["embeddings.patch_embeddings.projection.weight"]
    x = np.einsum("btipjqc,dcpq->btijd", cut, kernel).reshape(len(pixels), FRAMES, -1, DIM)
    x = x + t["embeddings.patch_embeddings.projection.bias"]
    places = t["embeddings.position_embeddings"]
    x = x + places[:, None, 1:] + t["embeddings.time_embeddings"][:, :, None]
    token = np.repeat(t["embeddings.cls_token"] + places[:, :1], len(pixels), axis=0)
    for block in range(DEPTH):
        at = f"encoder.layer.{block}."
        y = attend(norm(x.swapaxes(1, 2), at + "temporal_layernorm"), at + "temporal_attention")
        x = x + dense(y, at + "temporal_dense").swapaxes(1, 2)
        y = np.concatenate([np.repeat(token[:, None], FRAMES, axis=1), x], axis=2)
        y = attend(norm(y, at + "layernorm_before"), at + "attention")
        token, x = token + y[:, :, 0].mean(1, keepdims=True), x + y[:, :, 1:]
        y = np.concatenate([token, x.reshape(len(x), -1, DIM)], axis=1)
        hidden = dense(norm(y, at + "layernorm_after"), at + "intermediate.dense")
        y = y + dense(hidden * (1 + erf(hidden / np.sqrt(2))) / 2, at + "output.dense")
        token, x = y[:, :1], y[:, 1:].reshape(x.shape)
    return dense(norm(token[:, 0], "layernorm"), "classifier")


def test_divided_attention_against_numpy_with_its_normalization_folded_in():
    tensors, clips, model = draw_timesformer(), draw_clips(), network()
    fill(model, tensors, None)
    pixels = ((clips[:, 0] + 1) / 2 - 0.45) / 0.225
    bare = {name.removeprefix("timesformer."): a.astype("float64") for name, a in tensors.items()}
    logits = keras.ops.convert_to_numpy(model(clips))
    np.testing.assert_allclose(logits, run_divided(bare, pixels), atol=1e-4, rtol=0)


def test_folding_is_exact_for_each_channel():
    generator = np.random.default_rng(0)
    kernel, bias = generator.normal(size=(1, 2, 2, 3, 5)), generator.normal(size=5)
    mean, deviation = np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.3, 0.4])
    clip = generator.uniform(-1, 1, (1, 2, 2, 3))
    folded, shifted = fold_normalization(kernel, bias, mean, deviation)
    pixels = ((clip + 1) / 2 - mean) / deviation
    expected = np.tensordot(pixels, kernel, 4) + bias
    np.testing.assert_allclose(np.tensordot(clip, folded, 4) + shifted, expected, atol=1e-5)
    unchanged = fold_normalization(kernel.astype("float32"), bias.astype("float32"), *RAW)
    np.testing.assert_array_equal(unchanged[0], kernel.astype("float32"))


BLOCK = "timesformer.encoder.layer.1."
CHANGES = {
    "missing": (
        lambda t: t.pop(f"{BLOCK}temporal_dense.bias"),
        "1 tensors missing, such as encoder.layer.1.temporal_dense.bias",
    ),
    "left over": (
        lambda t: t.update({"timesformer.embeddings.mask": np.zeros(3, "float32")}),
        "1 tensors left over, such as embeddings.mask",
    ),
    "shape": (
        lambda t: t.update({f"{BLOCK}output.dense.bias": np.zeros(5, "float32")}),
        r"encoder.layer.1.output.dense.bias is \(5,\), .* block_2_mlp_2/bias, \(64,\)",
    ),
    "classifier without a kernel": (
        lambda t: t.pop("classifier.weight"),
        "1 tensors missing, such as classifier.weight",
    ),
    "positions": (
        lambda t: t.update(
            {"timesformer.embeddings.position_embeddings": np.zeros((1, 17, 5), "float32")}
        ),
        r"position_embeddings is \(1, 17, 5\)",
    ),
}


@once
@pytest.mark.parametrize("change", CHANGES)
def test_every_tensor_counts_and_nothing_changes_on_error(change):
    spoil, message = CHANGES[change]
    tensors, model = draw_timesformer(), network()
    before = values(model)
    spoil(tensors)
    with pytest.raises(WeightsError, match=f"file.*{message}"):
        fill(model, tensors)
    assert all(np.array_equal(before[path], array) for path, array in values(model).items())


@once
@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (
            {"attention": "axial"},
            r"attention divided \(this network: axial\); give --attention div",
        ),
        (
            {"attention": "joint", "positions": "none", "stream": "flow"},
            "give --attention divided --positions space_time --stream rgb",
        ),
        (
            {"patch_size": 16, "frame_size": 64},
            r"patch_size 8 \(this network: 16\); give --patch-size 8",
        ),
        ({"size": "small"}, r"size tiny \(this network: small\); give --size tiny"),
    ],
)
def test_another_design_is_named_with_the_flag_that_fits(tmp_path, choices, message):
    save_file(draw_timesformer(), tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=f"model.safetensors has .*{message}"):
        load_published(network(**choices), str(tmp_path / "model.safetensors"))


@once
def test_a_size_that_no_flag_gives(tmp_path, monkeypatch):
    model = network(size="small")
    save_file(draw_vit(), tmp_path / "model.safetensors")
    monkeypatch.delitem(SIZES, "tiny")
    with pytest.raises(WeightsError, match=r"of 64 channels, 3 blocks, an MLP of 128.*no flag"):
        load_published(model, str(tmp_path))


def test_a_local_file_or_folder_survives_the_round_trip(tmp_path):
    tensors, model = draw_timesformer(), network()
    fill(model, tensors, None)
    save_file(tensors, tmp_path / "model.safetensors")
    filled = values(model)
    for path in (tmp_path, tmp_path / "model.safetensors"):
        fill(model, {name: 0 * array for name, array in tensors.items()})
        name, notes = load_published(model, str(path))
        assert name == str(path) and len(notes) == 1
        assert all(np.array_equal(filled[path], array) for path, array in values(model).items())


def test_positions_are_interpolated_and_a_foreign_classifier_left_out():
    tensors, model = draw_timesformer(), network(outputs=3, frames=6, frame_size=48)
    fresh = values(model)["logits/kernel"]
    notes = fill(model, tensors)
    assert notes[1:] == [
        "space_positions interpolated from 17 to 37",
        "time_positions interpolated from 4 to 6",
        "the classifier starts at random",
        "left out: classifier.bias, classifier.weight",
    ]
    found = values(model)
    times = tensors["timesformer.embeddings.time_embeddings"][0]
    np.testing.assert_allclose(found["time_positions/tokens"][0], resize_time(times, 6), atol=1e-6)
    places = tensors["timesformer.embeddings.position_embeddings"][0]
    np.testing.assert_allclose(
        found["space_positions/tokens"][0], resize_space(places, 37), atol=1e-6
    )
    np.testing.assert_array_equal(found["logits/kernel"], fresh)


@pytest.mark.parametrize("attention", SCHEMES)
def test_an_image_network_starts_every_scheme_as_the_authors_do(attention):
    tensors = draw_vit() | {"vit.pooler.dense.bias": np.ones(DIM, "float32")}
    model = network(attention)
    notes = fill(model, tensors, None)
    left_out = "left out: classifier.bias, classifier.weight, pooler.dense.bias"
    assert notes[1:] == ["the classifier starts at random", left_out]
    found, (*earlier, last) = values(model), SCHEMES[attention].windows
    at = "vit.encoder.layer.2."
    joined = [tensors[f"{at}attention.attention.{n}.weight"].T for n in ("query", "key", "value")]
    for window in (*earlier, last):
        np.testing.assert_array_equal(
            found[f"block_3_{window}/qkv/kernel"], np.concatenate(joined, axis=1)
        )
        np.testing.assert_array_equal(
            found[f"block_3_{window}_norm/gamma"], tensors[f"{at}layernorm_before.weight"]
        )
    for window in earlier:
        assert not found[f"block_3_{window}/entry/kernel"].any()
        assert not found[f"block_3_{window}/entry/bias"].any()
    assert attention == "space" or not found["time_positions/tokens"].any()
    kernel = tensors["vit.embeddings.patch_embeddings.projection.weight"]
    np.testing.assert_array_equal(found["projection/kernel"][0], kernel.transpose(2, 3, 1, 0))


@once
def test_an_image_network_needs_positions_and_its_queries():
    with pytest.raises(WeightsError, match=r"incomplete.*missing.*layer.1.attention.attention.qkv"):
        tensors = draw_vit("")
        tensors.pop("encoder.layer.1.attention.attention.key.weight")
        set_tensors(network(), *recognize_tensors(tensors, "incomplete"), "incomplete")


@once
def test_what_is_no_checkpoint(tmp_path):
    model, file = network(), tmp_path / "file.safetensors"
    file.write_bytes(b"nothing of the kind")
    with pytest.raises(WeightsError, match=r"file\.safetensors cannot be read as safetensors"):
        load_published(model, str(file))
    with pytest.raises(WeightsError, match=r"model\.safetensors: no such file"):
        load_published(model, str(tmp_path))
    save_file({"bert.weight": np.zeros(3, "float32")}, file)
    with pytest.raises(WeightsError, match=r"neither a TimeSformer nor a ViT .* bert.weight"):
        load_published(model, str(file))
    with pytest.raises(
        WeightsError, match="Unknown weights 'kinetix'; known: kinetics, kinetics600"
    ):
        load_published(model, "kinetix")
    with pytest.raises(WeightsError, match=r"vivit has no published weights\. Give none"):
        load_published(build("vivit", 2, 1, 8, 32), "kinetics")


@once
def test_the_checkpoint_of_a_variant():
    assert choose_checkpoint("kinetics", 8, 64) == "timesformer_base_k400"
    assert choose_checkpoint("ssv2", 64, 224) == "timesformer_l_ssv2"
    assert len({row.repository for row in PUBLISHED.values()}) == len(PUBLISHED)


@once
@pytest.mark.parametrize(("name", "row"), PUBLISHED.items())
def test_each_checkpoint_is_found(name, row):
    assert choose_checkpoint(row.weights, row.frames, row.frame_size) == name
    assert "/" in row.repository and row.classes in (0, 174, 400, 600, 1000)


def refuse(*_, **__):
    raise OSError("unreachable")


@once
def test_offline_says_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setattr(published, "reachable", refuse)
    monkeypatch.setitem(SIZES, "base", SIZES["tiny"])
    monkeypatch.delitem(SIZES, "tiny")
    with pytest.raises(WeightsError) as error:
        load_published(network(patch_size=16, frame_size=64), "kinetics", tmp_path)
    for part in (
        "timesformer_base_k400 could not be fetched",
        ".safetensors: unreachable\n",
        "k400/resolve/8aaf40ea7d3d282dcb0a5dea01a198320d15d6c0/model.safetensors",
        "k400/resolve/refs%2Fpr%2F5/model.safetensors",
        f"into {tmp_path / 'timesformer_base_k400'}/",
        "--weights none",
    ):
        assert part in str(error.value)
    with pytest.raises(WeightsError, match=r"timesformer_base_k400 has patch_size 16 .*: 8"):
        load_published(network(), "kinetics", tmp_path)  # before anything is fetched


@once
def test_the_next_revision_and_a_file_put_by_hand(tmp_path, monkeypatch):
    asked = []

    def download(repository, file, revision, local_dir, etag_timeout, tqdm_class):
        asked.append(revision)
        if revision == "main":
            raise FileNotFoundError("404")
        Path(local_dir).mkdir()
        Path(local_dir, file).write_bytes(b"")
        return str(Path(local_dir, file))

    monkeypatch.setattr(published, "reachable", lambda _: None)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    expected = tmp_path / "timesformer_hr_k600/model.safetensors"
    assert fetch("timesformer_hr_k600", tmp_path) == expected and asked == ["main", "refs/pr/4"]
    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
    assert fetch("timesformer_hr_k600", tmp_path) == expected
    with pytest.raises(
        WeightsError, match=r"main/model.safetensors: unreachable\n  .*pr%2F7/.*: unreachable"
    ):
        fetch("timesformer_base_k600", tmp_path)


@once
def test_a_file_that_changed_is_not_taken(tmp_path, monkeypatch):
    """Against the published SHA-256, or where none is known the first one seen."""
    for name in ("vit_base_imagenet21k", "timesformer_hr_k600"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(b"first")
    with pytest.raises(
        WeightsError, match=r"-in21k: its SHA-256 is a7937b64\w+, not fd4e1169\w+\."
    ):
        fetch("vit_base_imagenet21k", tmp_path)
    path = fetch("timesformer_hr_k600", tmp_path)
    record = Path(f"{path}.sha256")
    assert record.read_text().startswith("a7937b64") and fetch("timesformer_hr_k600", tmp_path)
    path.write_bytes(b"other")
    with pytest.raises(WeightsError, match=rf"changed since they were first used.*delete {record}"):
        fetch("timesformer_hr_k600", tmp_path)


@once
def test_a_file_of_another_name_is_not_taken(tmp_path, monkeypatch):
    model = network(patch_size=16, frame_size=64)
    monkeypatch.setitem(SIZES, "base", SIZES["tiny"])
    monkeypatch.delitem(SIZES, "tiny")
    (tmp_path / "timesformer_base_k400").mkdir()
    save_file(draw_timesformer(), tmp_path / "timesformer_base_k400/model.safetensors")
    with pytest.raises(WeightsError, match=r"is not facebook/.*-k400: its classifier.bias has 7"):
        load_published(model, "kinetics", tmp_path)
