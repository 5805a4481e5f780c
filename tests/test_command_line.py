"""Command lines: what is refused is named with what is possible, and help is short."""

import re
from dataclasses import dataclass

from scripts import __main__ as listing
from scripts import compare_settings, explain, predict
from support.commands import ROOT, run
from tasks.training_flags import (
    TASK_NETWORKS,
    UNREAD,
    list_choices,
    list_presets,
    read_flags,
    read_params,
)
from utils.command_line import Command, list_commands
from utils.params import GROUPS, Params
from utils.presets import PRESETS
from utils.version import VERSION

import pytest
import tyro


@dataclass(frozen=True)
class Options:
    """What is done."""

    places: tyro.conf.Positional[tuple[str, ...]]
    """Where."""
    name: str
    """What it is called. And more."""
    count: int = 2
    """How
    often."""
    sizes: tuple[float, float] = (1.0, 2.0)
    """Two sizes."""
    quick: bool = False
    """Whether it is quick."""
    output: str = ""
    """A file."""

    def __post_init__(self):
        if self.count < 1:
            raise ValueError(f"count is {self.count}.")


COMMAND = Command("Do it.\n\nIn two\nsteps.", Options)


def test_a_line_is_parsed():
    line = "a b --name n --count 3 --sizes 1 2.5 --quick"
    assert COMMAND.parse(line.split()) == Options(("a", "b"), "n", 3, (1.0, 2.5), True)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a", "--name STR is missing: What it is called. --help lists all flags."),
        ("a --name", "--name takes a value."),
        ("a --name n --count two", "--count takes a whole number, not 'two'."),
        ("a --name n --sizes 1", "--sizes takes 2 values."),
        ("a --name n --sizes 1 b", "--sizes takes 2 values, not '1', 'b'."),
        ("a --name n --cuont 1", "Unknown flag --cuont. Did you mean --count? --help lists all fl"),
        ("a --name n --zzz", "Unknown flag --zzz. --help lists all flags."),
        ("a --name n --count 0", "count is 0."),
    ],
)
def test_what_is_refused_is_named(line, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        COMMAND.parse(line.split())


def test_help_is_wrapped_and_plain(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    with pytest.raises(SystemExit):
        COMMAND.parse(["--help"])
    page = capsys.readouterr().out
    assert "\n\nDo it.\n\nIn two steps.\n\n" in page and "How often. (default: 2)" in page
    assert "A file.\n" in page and "(default: off)" in page
    assert max(map(len, page.splitlines())) <= 60


@pytest.mark.parametrize("name", list_choices("classification"))
def test_a_typo_is_refused_with_the_nearest_value(name):
    preset = "phoenix" if name in UNREAD["classification"] else "default"
    value = [choice for choice in list_choices("classification")[name] if choice][-1]
    with pytest.raises(ValueError, match=rf"Unknown --{name} {value}x\. Did you mean {value}\?"):
        read_flags([preset, f"--{name}", f"{value}x"])


@pytest.mark.parametrize("task", TASK_NETWORKS)
def test_a_task_has_its_own_networks(task):
    (other,) = TASK_NETWORKS.keys() - {task}
    for network in TASK_NETWORKS[task]:
        assert read_flags(["--task", task, "--network", network])["network"] == network
    for network in TASK_NETWORKS[other].keys() - TASK_NETWORKS[task].keys():
        with pytest.raises(ValueError, match=f"Unknown --network {network}"):
            read_flags(["--task", task, "--network", network])


def test_a_row_that_is_added_can_be_given(monkeypatch):
    monkeypatch.setitem(TASK_NETWORKS["classification"], "mine", None)
    assert read_flags(["--network", "mine"])["network"] == "mine"


@pytest.mark.parametrize("name", UNREAD["classification"])
def test_flags_of_recognition_say_so(name):
    with pytest.raises(ValueError, match="is for sign language recognition: add --task recogni"):
        read_flags([f"--{name.replace('_', '-')}", "1"])


@pytest.mark.parametrize("name", UNREAD["recognition"])
def test_recognition_does_not_read_what_its_help_leaves_out(name):
    files = (ROOT / "tasks/recognition").glob("*.py")
    assert not [path for path in files if f"params.{name}" in path.read_text()]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("pheonix", "Unknown --preset pheonix. Did you mean phoenix? Possible: default, paper"),
        ("--preset papr", "Unknown --preset papr. Did you mean paper?"),
        ("--preset", "--preset takes a value. Possible: default, paper, finetune"),
        ("--epoch 3", "Unknown flag --epoch. Did you mean --epochs?"),
        ("--frame_sze 3", "Unknown flag --frame-sze. Did you mean --frame-size?"),
        ("--flip yes", "No flag takes the value 'yes'."),
        ("--stream rbg", "Unknown --stream rbg. Did you mean rgb? Possible: rgb, flow, both."),
    ],
)
def test_unknown_words_of_training(line, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        read_params(line.split())


def test_data_without_its_flag(tmp_path):
    with pytest.raises(ValueError, match=f"Give your data as --data-path {tmp_path}"):
        read_params([str(tmp_path), "--epochs", "2"])


def test_a_command_with_training_flags_knows_both(capsys):
    line = "--name n --vary dropout --values 0 0.5".split()
    options, flags = compare_settings.COMMAND.parse([*line, "--preset", "paper"])
    assert (options.values, flags) == (("0", "0.5"), ["--preset", "paper"])
    with pytest.raises(SystemExit):
        compare_settings.COMMAND.parse(["--help"])
    page = capsys.readouterr().out
    assert page.endswith(
        "\n\nThe flags of training.py can be given too: python training.py --help\n"
    )
    for flag, nearest in (("--seds", "--seeds"), ("--epochz", "--epochs")):
        with pytest.raises(ValueError, match=f"Did you mean {nearest}"):
            compare_settings.COMMAND.parse([*line, flag, "1"])


def test_every_parameter_is_in_a_group():
    names = [name for group in GROUPS for name in group.__annotations__]
    assert sorted(names) == sorted(vars(Params())) and len(names) == 96


@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_preset_says_what_it_trains_costs_and_scores(width):
    lines = list_presets(width)
    text = " ".join(" ".join(lines).split())
    for name, row in PRESETS.items():
        assert all(text.endswith(".") for text in row[1:])
        assert f"{name} {row.trains} {row.cost} {row.score}" in text
    assert max(map(len, lines)) <= max(width, 70)


def test_the_version(capsys):
    with pytest.raises(SystemExit) as stop:
        read_params(["--version"])
    assert not stop.value.code and capsys.readouterr().out == f"{VERSION}\n"
    assert f"\n## {VERSION}" in (ROOT / "CHANGELOG.md").read_text()


def test_options_with_a_positional_argument():
    assert predict.COMMAND.parse(["a.mp4", "--step", "0.5"]).step == 0.5
    with pytest.raises(ValueError, match=r"^VIDEO is missing: .* --help lists all flags\.$"):
        explain.COMMAND.parse(["--run", "weights/r"])


def test_all_commands_are_listed_once(capsys):
    named = [name for group in listing.GROUPS.values() for name in group.split()]
    assert sorted(named) == sorted(list_commands(ROOT / "scripts"))
    listing.print_commands()
    printed = capsys.readouterr().out
    for name in (
        *named,
        *(f"benchmarks.{name}" for name in list_commands(ROOT / "scripts/benchmarks")),
    ):
        assert len(re.findall(rf"  python -m scripts\.{re.escape(name)}  +[A-Z]", printed)) == 1


def test_the_list_needs_no_keras(tmp_path):
    done = run(["scripts/__main__.py"], tmp_path)
    assert done.returncode == 0 and "scripts.predict" in done.stdout
