"""Parameters: flags, presets, and contradictions caught before anything runs."""

import copy
import dataclasses
import json
import re
import runpy
from typing import Literal, get_args, get_type_hints

from tasks.training_flags import parse_params
from utils.checks import parameters
from utils.clips.sampling import SAMPLINGS
from utils.features.store import read_record
from utils.params import Params, Recognition
from utils.presets import PRESETS
from utils.runs.saved_params import load_params, save_params
from utils.scores.labelings import load_thresholds
from utils.system.commands import run_command
from utils.video.flow import FLOWS
from utils.video.streams import STREAMS
from utils.video.views import CROPS

import pytest


def as_flags(params):
    """Return the arguments that set every parameter of the task."""
    others = {field.name for field in dataclasses.fields(Recognition)}
    for name, value in vars(params).items():
        if name in others and params.task != "recognition":
            continue
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            yield f"--{flag}" if value else f"--no-{flag}"
        else:
            yield from (f"--{flag}", *map(str, value if isinstance(value, tuple) else [value]))


def test_flags():
    params = parse_params(
        ["--learning-rates", "1e-2", "1e-3", "1e-4", "--no-flip", "--epochs", "3"]
    )
    assert (params.learning_rates, params.flip, params.epochs) == ((1e-2, 1e-3, 1e-4), False, 3)
    assert parse_params(["--preset", "scratch", "--epochs", "2"]).weights == "none"


@pytest.mark.parametrize("name", PRESETS)
def test_presets(name):
    assert parse_params(["--preset", name]) == Params(**PRESETS[name].changes)


@pytest.mark.parametrize("name", PRESETS)
def test_every_field_is_a_flag(name):
    params = Params(**PRESETS[name].changes)
    assert parse_params([*as_flags(params)]) == params


@pytest.mark.parametrize(
    ("name", "table"),
    [("flow", FLOWS), ("stream", STREAMS), ("sampling", SAMPLINGS), ("eval_crops", CROPS)],
)
def test_every_row_can_be_given(name, table):
    assert get_args(get_type_hints(Params)[name]) == tuple(table)


def test_round_trip(tmp_path):
    params = Params(rate_epochs=(3, 4), data_path="x")
    save_params(params, tmp_path / "params.json")
    assert load_params(tmp_path / "params.json") == params


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", "20"),
        ("epochs", 2.5),
        ("epochs", True),
        ("epochs", None),
        ("epochs", [20]),
        ("dropout", "0.5"),
        ("flip", 1),
        ("data_path", 3),
        ("data_path", {"a": 1}),
        ("network", ["i3d"]),
        ("stream", ["rgb"]),
        ("stream", {}),
        ("rate_epochs", 10),
        ("rate_epochs", [10]),
        ("rate_epochs", [10, "15"]),
        ("rate_epochs", [[10], [15]]),
        ("class_names", "ab"),
        ("class_names", ["a", 1]),
    ],
)
def test_a_value_of_another_type_is_named(tmp_path, name, value):
    """In the parameters of somebody else's run, before anything is done with it."""
    path = tmp_path / "params.json"
    path.write_text(json.dumps(vars(Params()) | {name: value}))
    with pytest.raises(ValueError, match=rf"params\.json is from another version.*{name} .*\. Use"):
        load_params(path)


def test_values_of_the_right_types_are_taken(tmp_path):
    path = tmp_path / "params.json"
    given = {"dropout": 0, "class_names": ["a", "b", "c"], "learning_rates": [1, 0.5, 0.25]}
    path.write_text(json.dumps(vars(Params()) | given))
    found = load_params(path)
    assert (found.dropout, found.class_names) == (0, ("a", "b", "c"))
    path.write_text(json.dumps(vars(Params()) | {"class_names": []}))
    assert load_params(path).class_names == ()


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[]", "", "NaN", "\0"])
def test_json_that_is_none_is_named(tmp_path, text):
    (tmp_path / "params.json").write_text(text)
    with pytest.raises(ValueError, match=r"params\.json is damaged"):
        load_params(tmp_path / "params.json")


def test_json_without_an_end_is_damaged_everywhere(tmp_path):
    (tmp_path / "a.json").write_text("[" * 100_000)
    assert read_record(tmp_path, "a") == {}
    with pytest.raises(ValueError, match=r"a\.json contains \[\["):
        load_thresholds(tmp_path / "a.json", "multi", ["a", "b"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs is 0; it must be at least 1"),
        ({"frames_per_segment": 0}, "at least 1"),
        ({"rand_operations": 2, "stream": "flow"}, "which optical flow has not"),
        ({"rand_operations": 2, "stream": "both"}, "which optical flow has not"),
        ({"schedule": "cosine", "warmup_epochs": 20}, "warmup_epochs is 20 of 20 epochs"),
        ({"ema": 1.0}, "from 0 to below 1"),
        ({"frame_size": 300}, "Raise short_side, lower frame_size"),
        ({"short_side": 0, "stream": "flow"}, "flow is not computed on stretched frames"),
        ({"learning_rates": (1e-2, -1.0, 1e-4)}, r"learning_rates is -1.0"),
        ({"rate_epochs": (5, 5)}, "second phase must end after"),
        ({"val_fraction": 0.6, "test_fraction": 0.5}, "leave no video to train on"),
        ({"run": "a/b"}, "without slashes"),
    ],
)
def test_contradictions(changes, message):
    with pytest.raises(ValueError, match=message):
        Params(**changes)


@pytest.mark.parametrize(
    "flags",
    [("--epochs", "0"), ("--epoch", "3"), ("--preset", "big"), ("--stream", "x")],
    ids=" ".join,
)
def test_bad_flags_end_with_a_message(flags):
    with pytest.raises(ValueError, match=flags[0].strip("-")):
        parse_params([*flags])


@pytest.mark.parametrize(
    ("name", "value"), [("pictures", -1), ("rescale", 2**63), ("num_segments", -1)]
)
def test_a_value_out_of_its_range_is_named_with_its_file(tmp_path, name, value):
    path = tmp_path / "params.json"
    path.write_text(json.dumps(dataclasses.asdict(Params()) | {name: value}))
    with pytest.raises(ValueError, match=rf"params\.json is damaged.*{name} is"):
        load_params(path)


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (int, "3", "count is '3'. It must be a whole number, such as 3."),
        (int, 3.0, "count is 3.0. It must be a whole number"),
        (float, True, "count is True. It must be a number"),
        (bool, "yes", "count is 'yes'. It must be True or False."),
        (str, 5, "count is 5. It must be text in quotes."),
        (str, None, "count is None"),
        (Literal["rgb", "flow"], "rbg", "count is 'rbg'. It must be one of 'rgb', 'flow'."),
        (tuple[int, int], [1, 2], "[1, 2]. It must be 2 values in round brackets, each a whole "),
        (tuple[int, int], (1,), "(1,). It must be 2 values"),
        (tuple[str, ...], "a", "count is 'a'. It must be any number of values in round brackets"),
    ],
)
def test_a_default_of_another_type_is_named(kind, value, words):
    group = type("Group", (), {"count": value, "__annotations__": {"count": kind}})
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        parameters(group)
    assert str(error.value).startswith("utils/params.py: count is ")


def test_a_default_without_a_type_is_named():
    with pytest.raises(ValueError, match=r"count has no type\. Write it as count: int = 3\."):
        parameters(type("Group", (), {"count": 3}))


def test_a_parameter_that_is_gone_is_named():
    with pytest.raises(ValueError, match=r"no parameter epoch, .*; it has epochs\. Rename"):
        assert Params().epoch
    with pytest.raises(ValueError, match=r"no parameter zzzz, .* needs\. Put it back\."):
        assert Params().zzzz
    assert copy.deepcopy(Params()) == Params()


def test_a_slip_in_the_file_is_one_line(tmp_path, capsys):
    path = tmp_path / "params.py"
    path.write_text("a = 1\nb = = 2\n")
    with pytest.raises(SystemExit) as stop:
        run_command(lambda: runpy.run_path(path))
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"Error: {path}, line 2: invalid syntax: b = = 2\n"
