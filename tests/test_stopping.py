"""Commands that are stopped, or killed: the whole family ends, tidily, and says how to go on."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import training
from support.commands import ROOT
from tasks.training import TASKS
from utils.features.ray_extraction import start_ray
from utils.params import Params
from utils.runs.folders import open_run
from utils.system import commands
from utils.system.commands import IncompleteError, run_command, run_script
from utils.system.processes import measure_peak

import pytest

# Each writes half a file named after its process, and waits.
BEGIN = """
import os, sys, time
from utils.system.commands import ROOT, run_command, run_script
from utils.system.files import atomic_path
from utils.system.processes import measure_peak, run_tasks

def write():
    with atomic_path(f"half/{os.getpid()}") as part:
        part.write_text("half")
        time.sleep(60)

def nothing():
    pass

def work():
    list(run_tasks({1: (write,), 2: (write,)}, 1, nothing))
"""
ALONE = BEGIN + "run_command(write, 'go on so')\n"
WORKERS = BEGIN + "if __name__ == '__main__':\n    run_command(work, 'go on so')\n"
SCRIPTS = BEGIN + "run_command(lambda: run_script(os.path.abspath('alone.py')), 'go on so')\n"
MEASURED = BEGIN + "run_command(lambda: measure_peak(['alone.py'], '.'), 'go on so')\n"
NESTED = BEGIN + "run_command(lambda: run_script(os.path.abspath('workers.py')), 'go on so')\n"
FAMILIES = {
    "alone.py": ALONE,
    "workers.py": WORKERS,
    "scripts.py": SCRIPTS,
    "measured.py": MEASURED,
    "nested.py": NESTED,
}


def wait_until(holds, seconds=20):
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


def list_family(mark):
    """Return the processes that have a mark in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (
                mark in (path / "environ").read_bytes()
                and b") Z" not in (path / "stat").read_bytes()
            ):
                found.append(path.name)
    return found


@contextlib.contextmanager
def begin(folder, name):
    """Yield (a command that is at work, a function that lists its family)."""
    for script, text in FAMILIES.items():
        (folder / script).write_text(text)
    mark = f"MARK=family-{folder}"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MARK": f"family-{folder}"}
    pipes = {"stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    command = [sys.executable, name]
    with subprocess.Popen(command, cwd=folder, env=environment, **pipes) as process:
        assert wait_until(lambda: list(folder.glob("half/.part-*/*")))
        yield process, lambda: list_family(mark.encode())
        process.kill()


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_whole_family_ends_and_nothing_half_written_stays(tmp_path, name, number):
    with begin(tmp_path, name) as (process, family):
        assert family()
        process.send_signal(number)
        _, said = process.communicate(timeout=20)
        assert wait_until(lambda: not family()), family()
    if number == signal.SIGTERM:
        assert process.returncode == 143
        assert said == "Stopped; go on so.\n"
    if (name, number) != ("alone.py", signal.SIGKILL):  # which the next write there clears
        assert not list(tmp_path.glob("half/.part-*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_ctrl_c_and_a_closed_terminal_reach_all_at_once(tmp_path, number):
    with begin(tmp_path, "nested.py") as (process, family):
        os.killpg(process.pid, number)
        _, said = process.communicate(timeout=20)
        assert process.returncode == 128 + number
        assert "Stopped; go on so.\n" in said  # beside what Python says of its tracker's end
        assert wait_until(lambda: not family()), family()
    assert not list(tmp_path.glob("half/.part-*"))


def test_a_second_signal_ends_what_tidies_up_for_long(tmp_path):
    (tmp_path / "slow.py").write_text(
        BEGIN
        + """
from utils.system import commands
commands._AGAIN = 0.5
def tidy():
    try:
        write()
    finally:
        print("tidying", file=sys.stderr, flush=True)
        time.sleep(60)
run_command(tidy)
"""
    )
    with begin(tmp_path, "slow.py") as (process, _):
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)  # of the group, at the same time
        assert process.stderr.readline() == "tidying\n"
        time.sleep(0.6)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        assert process.returncode == -signal.SIGINT and not said


def stop_by(number):
    def command():
        os.kill(os.getpid(), number)
        time.sleep(5)

    return command


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_status_tells_the_signal(capsys, number):
    handlers = [signal.getsignal(each) for each in commands.SIGNALS]
    with pytest.raises(SystemExit) as ended:
        run_command(stop_by(number))
    assert ended.value.code == 128 + number
    assert capsys.readouterr().err == "Stopped; run the same command to start again.\n"
    for each, handler in zip(commands.SIGNALS, handlers, strict=True):
        signal.signal(each, handler)


def test_nohup_is_minded(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    run_command(lambda: os.kill(os.getpid(), signal.SIGHUP))
    assert signal.signal(signal.SIGHUP, before) == signal.SIG_IGN


def test_ray_does_not_say_how_sigterm_ends(monkeypatch):
    def init(*_, **__):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    for name in ("ray", "ray.data"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(init=init))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    before = signal.getsignal(signal.SIGTERM)
    start_ray()
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_script_that_a_signal_ended_is_named(tmp_path):
    (tmp_path / "killed.py").write_text("import os\nos.kill(os.getpid(), 9)")
    with pytest.raises(IncompleteError, match=r"A signal ended this command: .*killed\.py"):
        run_script(tmp_path / "killed.py")


def test_a_measured_process_that_ends_is_measured(tmp_path):
    (tmp_path / "ok.py").write_text("")
    assert 0 < measure_peak(["ok.py"], tmp_path) < 16


@pytest.mark.parametrize("opened", [False, True])
def test_what_training_advises_can_be_done(tmp_path, monkeypatch, capsys, opened):
    monkeypatch.chdir(tmp_path)
    params = Params(network="vivit")

    def prepare(plan, scope, replicas):
        if opened:
            open_run(plan.params)
        raise KeyboardInterrupt

    monkeypatch.setitem(TASKS, "classification", prepare)
    with pytest.raises(SystemExit, match="130"):
        run_command(lambda: training.train_run(params))
    said = capsys.readouterr().err
    assert ("--resume" in said) == opened == bool(list(tmp_path.glob("weights/*/params.json")))
