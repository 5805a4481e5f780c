"""Tables are whole, read back as they were, and nothing that a spreadsheet computes."""

import ast
import csv
from functools import partial
from pathlib import Path

from scripts.predict import list_inputs
from support.commands import ROOT
from utils.data.examples import Example, save_examples
from utils.data.lists import list_csv
from utils.features.blocks import Failure
from utils.features.extraction import Collector, load_failures
from utils.runs.folders import save_data
from utils.signing.corpora import read_csv, save_sentences
from utils.signing.releases import Sentence
from utils.system.commands import run_command
from utils.system.hashing import hash_bytes, hash_text
from utils.system.tables import read_cell, write_csv
from utils.system.words import print_line

import pytest


def test_a_table_is_csv_whole_or_not_there(tmp_path):
    path = tmp_path / "new" / "table.csv"
    write_csv(path, ("path", "ü"), [("a, b", 0.5), ('"c"', "")])
    assert path.read_bytes() == 'path,ü\r\n"a, b",0.5\r\n"""c""",\r\n'.encode()

    def fail():
        yield "d", 1
        raise OSError

    with pytest.raises(OSError):
        write_csv(path, ("path", "ü"), fail())
    assert len(path.read_bytes()) == 31 and list(path.parent.iterdir()) == [path]


def test_hashes_stay():
    assert hash_text("ü") == "ccea9926cd506ef041d05adbd5a2dfb7"
    assert hash_bytes([b"a", b"b"]) == hash_text("ab")


# Names as files may have them: what a spreadsheet would compute, or a screen obey.
STRANGE = [
    "=cmd|' /C calc'!A0", "+run", "-left", "@SUM(1)", "\t=1", "\r=1", "'-q", "'", "''=a", "\uff1d1",
    "-1", "+0.5", "-1e3", "1-2", "a=b", "'a", "-", "--", "-1-", "x\ny",
]  # fmt: skip


def test_no_cell_is_a_formula_and_all_read_back(tmp_path):
    write_csv(tmp_path / "a.csv", ("path", *STRANGE), [(Path(name), -0.5) for name in STRANGE])
    with open(tmp_path / "a.csv", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert [read_cell(cell) for cell in header[1:]] == STRANGE
    assert [[read_cell(row[0]), row[1]] for row in rows] == [[name, "-0.5"] for name in STRANGE]
    cells = [*header, *(row[0] for row in rows)]
    bare = {cell for cell in cells if cell[0] in "=+-@\t\r\n\uff1d"}
    assert bare == {"-1", "+0.5", "-1e3"}


def test_lists_of_runs_read_back(tmp_path):
    labels = [name for name in STRANGE if name == name.strip()]
    examples = [Example(f"/v/{i}.mp4", name, "train", "g") for i, name in enumerate(labels)]
    save_examples(examples, tmp_path / "splits.csv")
    assert [e.labels for e in list_csv(tmp_path / "splits.csv")] == [e.labels for e in examples]
    glosses = [tuple(name.split()) for name in labels if name.split()]
    said = [Sentence(f"-{i}", f"/v/{i}", "=s", "train", g, g) for i, g in enumerate(glosses)]
    save_sentences(said, tmp_path / "sentences.csv")
    again = list(read_csv(tmp_path / "sentences.csv"))
    assert [(s.id, s.signer, s.raw) for s in again] == [(s.id, s.signer, s.raw) for s in said]


def test_failures_read_back(tmp_path):
    failures = {"a": Failure("a", "-a.mp4", "=why", "digest")}
    Collector(tmp_path, {}, ("centre",), failures=failures).save_failures()
    assert load_failures(tmp_path) == {"-a.mp4": ("=why", "digest")}


def test_names_steer_no_screen(tmp_path, capsys):
    name = "a\nError: no\x1b[2J\r\u202e\x9b\u2028\u2066b\u00e9\U0001f3c3\u200d"
    shown = r"a\nError: no\x1b[2J\r\u202e\x9b\u2028\u2066b" + "\u00e9\U0001f3c3\u200d"
    print_line(name, "second")
    with pytest.raises(SystemExit):
        run_command(partial(list_inputs, [name]))
    said = capsys.readouterr()
    assert said.out == f"{shown}\nsecond\n"
    assert (
        said.err == f"Error: {shown}: there is no such file, and no file matches it as a pattern.\n"
    )
    save_data(tmp_path, [], [], [(name, f"{name}: broken"), ("b", "b: odd")])
    assert (tmp_path / "problems.txt").read_text() == f"{shown}: broken\nb: odd\n"


def test_all_lines_are_printed_by_one_function():
    """Anything else printed is a text without a name in it."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        if place.startswith(("tests", "models", "weights", "data", "scripts/benchmark")):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
            if called and not all(isinstance(each, ast.Constant) for each in node.args):
                found.append(f"{place}:{node.lineno}")
    rows = {"scripts/cross_validate.py", "utils/system/measuring.py", "utils/system/words.py"}
    rows |= {"scripts/__main__.py", "tasks/training_flags.py", "utils/command_line.py"}
    assert {each.split(":")[0] for each in found} == rows, found  # two print JSON, three --help
