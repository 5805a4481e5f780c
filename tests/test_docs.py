"""The documentation: links lead somewhere, commands parse, and what it names is there."""

import ast
import contextlib
import importlib
import importlib.util
import io
import re
import shutil
from dataclasses import fields
from pathlib import Path

from support.commands import ROOT
from support.pages import PAGES, list_anchors, list_commands, list_flags, list_links
from tasks.training_flags import UNREAD, read_params
from utils.command_line import list_commands as list_scripts
from utils.params import Params

import pytest

SCRIPTS = [f"scripts.{name}" for name in list_scripts(ROOT / "scripts")]
SCRIPTS += [f"scripts.benchmarks.{name}" for name in list_scripts(ROOT / "scripts/benchmarks")]
PROGRAMS = ["evaluate.py", *SCRIPTS]
# Flags of other programs.
OTHERS = set("--generate --head --address --logdir --require-hashes".split())
WANTED = (
    "data networks training features flow signing predicting python exporting results speed "
    "architecture glossary references reliability"
).split()


def name_page(page):
    return str(page.relative_to(ROOT))


def find_command(program):
    """Return the `Command` of a program."""
    return importlib.import_module(program.removesuffix(".py")).COMMAND


def parse_line(words):
    """Parse the words of a command line, without python."""
    program, *arguments = words
    if program == "-m":
        program, *arguments = arguments
    if program == "training.py":
        read_params(arguments)
    elif program in PROGRAMS:
        find_command(program).parse(arguments)
    elif program != "-c":
        assert importlib.util.find_spec(program), f"there is no {program}"


def parse_with_placeholders(words):
    """Parse a command line; `--flag FLAG` is any of the flag's possible values."""
    try:
        parse_line(words)
    except ValueError as error:
        found = re.search(r"Unknown --([\w-]+) (\w+)\..* Possible: ([\w-]+)", str(error))
        if not found or found[2].lower() != found[1]:
            raise
        parse_with_placeholders([found[3] if word == found[2] else word for word in words])


@pytest.fixture(scope="module")
def helps():
    """{program: its help}."""
    parsers = {program: find_command(program).parse for program in PROGRAMS}
    parsers["training.py"] = read_params
    parsers["training.py phoenix"] = lambda arguments: read_params(["phoenix", *arguments])
    pages = {}
    for program, parse in parsers.items():
        with contextlib.redirect_stdout(io.StringIO()) as page, pytest.raises(SystemExit) as stop:
            parse(["--help"])
        assert not stop.value.code
        pages[program] = page.getvalue()
    return pages


@pytest.mark.parametrize("page", PAGES, ids=name_page)
def test_links_lead_somewhere(page):
    wrong = []
    for link in list_links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        found = target.exists() and (not anchor or anchor in list_anchors(target))
        if not found and not re.match("https?:", link):
            wrong.append(link)
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=name_page)
def test_commands_parse(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Path("weights/NAME")  # what the pages call a run that was trained
    run.mkdir(parents=True)
    shutil.copy(ROOT / "tests/data/kept/weights/i3d/params.json", run)
    monkeypatch.setattr("tasks.options.check_format", lambda *_: None)  # optional packages
    wrong = []
    for words in list_commands(page):
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                parse_with_placeholders(words[1:])
        except (ValueError, AssertionError) as error:
            wrong.append(f"{' '.join(words)}: {error}")
        except SystemExit as stop:  # after --help
            assert not stop.code
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=name_page)
def test_flags_exist(page, helps):
    known = {flag for text in helps.values() for flag in re.findall(r"(?<![\w-])--[\w-]+", text)}
    assert not list_flags(page) - known - OTHERS


def test_the_front_page_is_short():
    assert len((ROOT / "README.md").read_bytes()) <= 12 * 1024


@pytest.mark.parametrize("name", [f"{name}.md" for name in WANTED] + ["quickstart.ipynb"])
def test_pages_are_there(name):
    assert (ROOT / "docs" / name).is_file()


def list_rows():
    """Return the cells of the table that says how to add something."""
    table = (ROOT / "README.md").read_text().split("| to add |")[1].split("\n\n")[0]
    return [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]


def list_names(path):
    """Return the names that a module defines."""
    nodes = ast.parse(path.read_text()).body
    assigned = [node for node in nodes if isinstance(node, ast.Assign | ast.AnnAssign)]
    targets = [
        node.targets[0] if isinstance(node, ast.Assign) else node.target for node in assigned
    ]
    return {ast.unparse(target) for target in targets}


@pytest.mark.parametrize("row", list_rows(), ids=lambda row: row[0])
def test_what_a_new_row_needs_is_there(row):
    what, written, rows = row
    for path in re.findall(r"`([\w/]+(?:\.py|/))`", written):
        assert (ROOT / path).exists(), f"{what}: there is no {path}"
    places = re.findall(r"((?:`[A-Z_]+`(?:, )?)+) of ((?:(?: and of )?`[^`]+`)+)", rows)
    assert places, f"{what}: no table is named"
    for tables, modules in places:
        for path in re.findall("`([^`]+)`", modules):
            assert set(re.findall("[A-Z_]+", tables)) <= list_names(ROOT / path), path


def count_flag(name, text):
    """Return how many flags of a help page are a field's; positional ones stand alone."""
    flag = name.replace("_", "-")
    return len(re.findall(rf"^  (?:--{flag}|\[*{flag.upper()})(?![\w-])", text, re.M))


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_has_each_field_once(program, helps):
    renamed = {"class_name": "class"}
    for field in fields(find_command(program).options):
        name = renamed.get(field.name, field.name)
        assert count_flag(name, helps[program]) == 1, name


@pytest.mark.parametrize(
    ("program", "task"),
    [("training.py", "classification"), ("training.py phoenix", "recognition")],
)
def test_help_has_the_flags_of_the_task(program, task, helps):
    for field in fields(Params):
        assert count_flag(field.name, helps[program]) == (field.name not in UNREAD[task])
