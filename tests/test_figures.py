"""Figures have one shape; tables in README and docs are what the figures say."""

import re

from models.recognizer import build_recognizer
from scripts.benchmarks import tables, write_tables, zoo
from scripts.benchmarks.tables import Part, Table
from scripts.benchmarks.write_tables import Options, add_up, spread_across, write_cell, write_number
from utils.system import figures
from utils.system.commands import ROOT, IncompleteError

import pytest

TINY = {
    "tiny": Table(
        ("what", "seconds"), (Part("tiny", ("{name}", "{seconds} s"), {"step": "train"}),)
    ),
    "lost": Table(("what",), (Part("lost", ("{name}",)),)),
    "keyless": Table(("what",), (Part("tiny", ("{hours}",)),)),
    "empty": Table(("what",), (Part("tiny", ("{name}",), {"step": "rest"}),)),
    "nowhere": Table(("what",), (Part("tiny", ("{name}",), {"color": "red"}),)),
}


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A folder with one page and one file of figures."""
    monkeypatch.setattr(write_tables, "TABLES", TINY)
    (tmp_path / "docs/figures").mkdir(parents=True)
    found = figures.Figures(tmp_path / "docs/figures/tiny.json", seed=3, libraries=("tyro",))
    found.add(name="a|b", step="train", seconds=1.8734, seconds_spread=0.04)
    found.add(name="c", step="test", seconds=7.0)
    (tmp_path / "README.md").write_text("# A\n\n<!-- table: tiny -->\nold\n<!-- end -->\n\nB\n")
    return tmp_path


def test_figures_say_where_they_come_from(house):
    found = figures.read_figures(house / "docs/figures/tiny.json")
    assert {*figures.KEYS, "machine", "load", "seed"} == set(found)
    assert found["seed"] == 3 and len(found["load"]["start"]) == len(found["load"]["end"]) == 3
    assert found["machine"]["versions"].keys() == {"python", "tensorflow", "keras", "numpy", "tyro"}
    assert found["machine"]["cpus"] >= 1 and found["machine"]["memory_gib"] >= 1
    words = ["/env/python", "-m", "a.b", "--output", "x.json", "--data", "/secret/place/my clips"]
    assert figures.name_command([*words, "--n=2", "--output=y"]) == (
        "python -m a.b --data 'my clips' --n=2"
    )


def test_a_table_is_written_once_and_then_agrees(house):
    with pytest.raises(IncompleteError, match="1 pages differ"):
        write_tables.write_tables(Options(check=True, root=house))
    assert "old" in (house / "README.md").read_text()
    assert write_tables.write_tables(Options(root=house)) == [house / "README.md"]
    text = (house / "README.md").read_text()
    assert text.startswith(
        "# A\n\n<!-- table: tiny -->\n| what | seconds |\n|---|---|\n| a\\|b | 1.87 s |\n\n> `"
    )
    assert text.endswith("[figures](docs/figures/tiny.json)\n<!-- end -->\n\nB\n")
    assert write_tables.write_tables(Options(check=True, root=house)) == []


@pytest.mark.parametrize(
    ("block", "words"),
    {
        "<!-- table: tinny -->\n<!-- end -->": "README.md: unknown table 'tinny'; known: tiny",
        "<!-- table: tiny -->\n": "README.md: the table tiny has no <!-- end -->",
        "<!-- table: tiny -->\n<!-- table: lost -->\n<!-- end -->": "the table tiny has no",
        "<!-- table: lost -->\n<!-- end -->": "lost.json: no such file",
        "<!-- table: keyless -->\n<!-- end -->": "keyless, figures tiny: no 'hours' in {\"name\"",
        "<!-- table: empty -->\n<!-- end -->": "no rows where {'step': 'rest'}",
        "<!-- table: nowhere -->\n<!-- end -->": "no row has color",
    }.items(),
)
def test_what_cannot_be_written_is_named(house, block, words):
    (house / "README.md").write_text(block)
    with pytest.raises(ValueError) as raised:
        write_tables.write_tables(Options(root=house))
    assert words in str(raised.value)


@pytest.mark.parametrize("text", ["[]", '{"rows": []}', '{"rows": [1]', "{"])
def test_other_files_are_no_figures(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"a\.json"):
        figures.read_figures(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("number", "spread", "text"),
    [
        (1.8734, None, "1.87"),
        (1.8734, 0.3, "1.9"),
        (1.8734, 0.00001, "1.87"),
        (1157.4, None, "1157"),
        (0.01512, None, "0.0151"),
        (0.01512, 0.004, "0.015"),
        (0.0, 0.0, "0.00"),
        (350.26, 40, "350"),
        (0.3333, 2.1, "0.3"),
        (0.0, 2.1, "0"),
    ],
)
def test_numbers_have_the_digits_that_their_spread_allows(number, spread, text):
    assert write_number(number, spread) == text


def test_cells_are_templates():
    row = {"mean": 0.8, "folds": [0.75, 0.9], "none": None, "count": 13174, "why": "over 18"}
    assert write_cell("{mean:.3f} of {count:,}", row, "") == "0.800 of 13,174"
    assert write_cell("{folds:.2f}", row, "") == "0.75, 0.90"
    assert write_cell("{none} s", row, "") == ""
    assert write_cell("{why:.2f}", row, "") == "over 18"
    assert write_cell("{mean}", row, "", carried=True) == "0.8"
    assert write_cell("{seconds} s", row | {"failure": "out of memory"}, "") == "out of memory"
    with pytest.raises(ValueError, match="here: count is 13174"):
        write_cell("{count:q}", row, "here")


def test_rows_stand_side_by_side():
    rows = [{"frames": 8, "who": "a", "gib": 1.5}, {"frames": 8, "who": "b", "failure": "too much"}]
    rows.append({"frames": 16, "who": "a", "gib": 2.5})
    rows[0]["gib_spread"] = 0.5
    found = spread_across(rows, ("by {who}", "gib"), ("frames",))
    assert [row["frames"] for row in found] == [8, 16]
    assert [row["by a"] for row in found] == [1.5, 2.5]
    assert [row["by b"] for row in found] == ["too much", None]
    assert found[0]["by a_spread"] == 0.5


def test_rows_are_added_up():
    rows = [{"group": "a", "part": "x", "tried": 2}, {"group": "a", "part": "y", "tried": 3}]
    assert add_up([*rows, {"group": "b", "tried": 1}], "group") == [
        {"group": "a", "tried": 5},
        {"group": "b", "tried": 1},
    ]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs/figures").glob("*.json")), ids=lambda p: p.stem
)
def test_figures_of_the_project_have_the_shape(path):
    text = path.read_text()
    assert figures.read_figures(path)["rows"] and not re.search('[" =]/[a-z]+/', text)
    used = {part.figures for table in tables.TABLES.values() for part in table.parts}
    assert path.stem in used, "no table shows these figures"


def test_tables_of_the_project_are_what_its_figures_say():
    assert write_tables.write_tables(Options(check=True)) == []


def test_every_table_stands_in_a_page():
    pages = [page for pattern in write_tables.PAGES for page in ROOT.glob(pattern)]
    text = "\n".join(page.read_text() for page in pages)
    assert [name for name in tables.TABLES if f"<!-- table: {name} -->" not in text] == []


def test_networks_of_the_zoo_are_measured(tmp_path, monkeypatch):
    row = zoo.measure_entry("vivit", 2)
    assert row["seconds"] > 0 and row["seconds_spread"] >= 0 and row["gib"] > 0.1
    assert row["clip"] == "16 x 32" and row["parameters"] == pytest.approx(0.745488)
    run = {"i3d": row, "space": {"failure": "over 3 s"}}
    monkeypatch.setattr(zoo, "_run", lambda arguments, limit: run[arguments[0]])
    options = zoo.Options(("i3d",), ("space",), output=tmp_path / "zoo.json")
    rows = zoo.benchmark_zoo(options)
    assert rows == figures.read_figures(options.output)["rows"]
    assert rows[0]["weights"] == "51 MB, Apache-2.0" and rows[0]["accuracy"] == [68.4, 88.0]
    assert rows[1] == {"group": "schemes", "name": "space", "failure": "over 3 s"}


@pytest.mark.parametrize("name", zoo.ZOO)
def test_the_zoo_says_what_is_published(name):
    row = zoo.describe_weights(zoo.ZOO[name])
    assert (row["note"] is None) == bool(row["license"]) == bool(row["megabytes"])
    assert (row["accuracy"] is None) == (row["protocol"] is None)


@pytest.mark.parametrize(("encoder", "inner"), [("bilstm", 8), ("transformer", 16)])
def test_multiply_adds_of_recognizers_are_counted(encoder, inner):
    network = build_recognizer(8, 3, "K5-K5", encoder, width=16)
    work = 10 * (5 * 8 * 16 + 5 * 16 * 16 + 2 * 16 * 4)  # convolutions, logits twice
    lstm = 2 * 2 * 4 * (16 * inner + inner * inner)
    block = 4 * 16 * 16 + 2 * 16 * 32 + 2 * 10 * 16  # attention, MLP, scores and sums
    work += 10 * (lstm if encoder == "bilstm" else 3 * block)
    assert zoo.count_recognizer(network, 10) == work
