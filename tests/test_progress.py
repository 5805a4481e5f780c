"""Progress on the screen: a bar on a terminal, plain lines elsewhere."""

import io
import sys

from utils.system import progress
from utils.system.progress import show_progress

import pytest


class Terminal(io.StringIO):
    def isatty(self):
        return True


def count(screen, monkeypatch, pause, parts=False, total=4):
    """Count to a total by iterating or updating, on a screen; return what it shows."""
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(progress, "_PAUSE", pause)
    if parts:
        with show_progress("Extracting", "video", total=total, parts=True) as bar:
            for _ in range(2 * total):
                bar.update(0.5)
    else:
        assert [*show_progress("Checking videos", "video", range(total))] == [*range(total)]
    return screen.getvalue()


def test_elsewhere_it_is_a_plain_line_every_so_often(monkeypatch):
    lines = count(io.StringIO(), monkeypatch, 1e-9).splitlines()
    assert [line.split(",")[0] for line in lines] == [
        f"Checking videos: {n} of 4" for n in (1, 2, 3, 4)
    ]
    assert all(line.endswith(" left") for line in lines)
    lines = count(io.StringIO(), monkeypatch, 1e-9, True, total=1).splitlines()
    assert lines[0].startswith("Extracting: 0.5 of 1 videos, 00:0")
    assert lines[-1].startswith("Extracting: 1.0 of 1 videos, 00:00 left")


def test_short_work_leaves_nothing_in_a_file(monkeypatch):
    assert count(io.StringIO(), monkeypatch, 60) == ""


@pytest.mark.parametrize("parts", [False, True])
def test_on_a_terminal_it_is_a_bar_that_is_gone_at_the_end(parts, monkeypatch):
    shown = count(Terminal(), monkeypatch, 60, parts)
    assert "| 0" in shown and "/4" in shown and "\n" not in shown
    assert shown.endswith("\r") and not shown.rstrip("\r").rsplit("\r", 1)[1].strip()


def test_a_single_item_is_not_counted(monkeypatch):
    assert count(Terminal(), monkeypatch, 60, total=1) == ""


def test_a_name_steers_no_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert show_progress("a\x1b[2J\nb.mp4", "window", [1, 2]).desc == "a\\x1b[2J\\nb.mp4"
