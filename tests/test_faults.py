"""The campaign of faults: it sees what crashes, hangs, is lost or goes unnamed."""

import ctypes
import signal
import time
from functools import partial

from scripts.benchmarks import faults, kills
from scripts.benchmarks.kills import CRASHED, HUNG, LOST, UNNAMED, WHOLE, Campaign, Job
from scripts.benchmarks.mutants import KINDS, READ, REFUSED, Kind, mutate, run_mutants
from utils.system.commands import IncompleteError

import numpy as np
import pytest

# Counts to twenty in a file; killed, it goes on where it was.
COUNTER = """
import os, subprocess, sys, time
from pathlib import Path
path, own = Path("count.txt"), ({own})
count = int(path.read_text()) if path.is_file() else 0
while count < 20:
    count += 1
    Path("new").write_text(str(count))
    os.replace("new", path)
    time.sleep(0.05)
"""
SLOPPY = {
    WHOLE: "0",
    LOST: "Path('begun').is_file() and Path('count.txt').write_text('99'), Path('begun').touch()",
    CRASHED: "Path('begun').is_file() and sys.exit(1), Path('begun').touch()",
    HUNG: "subprocess.Popen(['sleep', '60'])",
}


def break_reader(how, path):
    """Read a file as a reader that is no good; the sound one, of zeros, it reads."""
    if any(path.read_bytes()):
        how(path)


def refuse(path):
    raise ValueError(f"{path} is damaged")


def refuse_silently(path):
    raise ValueError("some file is damaged")


BAD = {
    REFUSED: refuse,
    UNNAMED: refuse_silently,
    CRASHED: lambda path: {}[path],
    HUNG: lambda path: time.sleep(60),
}


def make_zeros(folder):
    (folder / "zeros.bin").write_bytes(bytes(64))
    return folder / "zeros.bin"


@pytest.mark.parametrize("expected", [*BAD, "killed", "memory"])
def test_what_becomes_of_a_damaged_file_is_seen(expected, tmp_path):
    others = {"killed": lambda path: ctypes.string_at(0), "memory": lambda path: bytes(2 << 30)}
    how = (BAD | others)[expected]
    kinds = {"zeros": Kind(make_zeros, partial(break_reader, how))}
    rows = [*run_mutants(kinds, 6, 1, seconds=1, gibibytes=1, keep=tmp_path / "kept")]
    assert [row[:2] for row in sorted(rows)] == [("zeros", number) for number in range(6)]
    wrong = CRASHED if expected in others else expected
    outcomes = {outcome for *_, outcome, _ in rows}
    assert wrong in outcomes and outcomes <= {wrong, READ}
    kept = len([*(tmp_path / "kept").glob("zeros-*")])
    assert kept == (0 if wrong == REFUSED else sum(row[2] == wrong for row in rows))


def test_mutants_follow_from_their_seed():
    data, settings = bytes(range(256)) * 8, b'{"a": [1, {"b": 2}], "c": "d"}'
    for each, is_json in ((data, False), (settings, True)):
        made = [mutate(each, np.random.default_rng([0, n]), is_json) for n in range(40)]
        assert made == [mutate(each, np.random.default_rng([0, n]), is_json) for n in range(40)]
        assert len({*made, each}) > 20


def test_readers_of_the_product_stand_a_few(tmp_path):
    kinds = {name: KINDS[name] for name in ("PNG", "features .npz", "list .csv", "store: record")}
    rows = [*run_mutants(kinds, 20, 0, keep=tmp_path)]
    assert {outcome for *_, outcome, _ in rows} <= {READ, REFUSED}


@pytest.mark.parametrize("expected", SLOPPY)
def test_what_becomes_of_a_killed_command_is_seen(expected, tmp_path, monkeypatch):
    (tmp_path / "counter.py").write_text(COUNTER.format(own=SLOPPY[expected]))
    monkeypatch.setitem(kills.JOBS, "counting", Job(str(tmp_path / "counter.py"), ("count.txt",)))
    monkeypatch.setattr(kills, "SIGNALS", {signal.SIGKILL: (-9,)})
    campaign = Campaign(tmp_path / "work", grace=1)
    (tmp_path / "count.txt").write_text("20")
    found = kills.read_results(tmp_path, ("count.txt",))
    rows = [campaign.attempt("counting", n, 2, 1, found, 0) for n in range(3)]
    assert expected in {outcome for _, outcome, _ in rows} <= {expected, WHOLE}
    assert sum(met for met, *_ in rows) > 0


def test_a_command_that_hides_how_it_ended_is_seen(tmp_path, monkeypatch):
    (tmp_path / "counter.py").write_text(COUNTER.format(own=0))
    monkeypatch.setattr(kills, "SIGNALS", {signal.SIGTERM: (143,)})
    monkeypatch.setitem(kills.JOBS, "counting", Job(str(tmp_path / "counter.py"), ("count.txt",)))
    campaign = Campaign(tmp_path / "work")
    _, outcome, why = campaign.attempt("counting", 0, 2, 0.3, {}, 0)
    assert (outcome, why) == (UNNAMED, "status -15 after SIGTERM")


def test_the_table_and_the_status(tmp_path, monkeypatch, capsys):
    options = faults.Options(kills=0, jobs=(), mutants=4, kinds=("PNG",), disks=0)
    monkeypatch.setitem(KINDS, "PNG", Kind(make_zeros, partial(break_reader, refuse)))
    faults.run_campaign(options)
    assert "| PNG                          |     4 |       0 |    0 |" in capsys.readouterr().out
    monkeypatch.setitem(KINDS, "PNG", Kind(make_zeros, partial(break_reader, refuse_silently)))
    with pytest.raises(IncompleteError, match="faults; the lines above"):
        faults.run_campaign(options)
    assert "PNG, unnamed: number 0" in capsys.readouterr().out
