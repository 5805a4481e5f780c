"""Commands that are killed at random moments, or fill the disk, and then go on.

`scripts.benchmarks.faults` counts what becomes of them: what is there at the end must be what an
unbroken command leaves, number for number.
"""

import contextlib
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from utils.rendering.samples import render_twins
from utils.system.commands import ROOT
from utils.system.hashing import hash_bytes, hash_text

import h5py
import numpy as np

LOST, CRASHED, HUNG, UNNAMED, WHOLE = "lost", "crashed", "hung", "unnamed", "whole"
# What a process is sent, and the statuses that it may end with: the command's own, or while it
# is being loaded the system's, which a shell tells alike.
SIGNALS = {signal.SIGKILL: (-9,), signal.SIGTERM: (143, -15), signal.SIGINT: (130, -2)}
_VOLATILE = {"seconds", "seconds_per_epoch", "date", "machine", "load"}
_PAGE = 4096  # bytes; no disk in memory is smaller
_LEFTOVERS = ("**/.part-*", "**/*.part", "**/.*.partial")
_TINY = (
    "--data-path {inputs}/videos --network i3d_lstm --weights {weights} --num-segments 2 --run r "
    "--frames-per-segment 8 --frame-size 112 --short-side 112 --workers 1 --rate-epochs 2 3"
)
_SIGNS = (
    "training.py phoenix --data-path {inputs}/phoenix-2014-multisigner --run r --width 32 "
    "--pictures 0 --rate-epochs 4 6 --short-side 0 --frame-size 112"
)


class Job(NamedTuple):
    """A command that is killed.

    Attributes:
        command: a script and its flags; {inputs} and {weights} are filled in.
        results: globs of what it leaves, compared with what an unbroken one leaves.
        begun: what must be there for `resume` to be given.
        resume: the flag that goes on.
        done: what must not be there for it to be called again.
        inputs: commands whose results it needs, called once.
    """

    command: str
    results: tuple
    begun: str = ""
    resume: str = ""
    done: str = ""
    inputs: tuple = ()


_RUN = ("weights/r/*", "weights/r/evaluation/*/*.json", "weights/r/evaluation/*/*.csv")
_ROWS = (
    "scripts.extract_features --data {inputs}/videos --output {inputs}/rows --weights {weights} "
    "--window 8 --stride 8 --frame-size 112 --short-side 112"
)
_CORPUS = (
    "scripts.render_corpus {inputs} --train 12 --dev 4 --test 4 --signers 2 --glosses 3 4 "
    "--workers 1"
)
_SIGN_ROWS = (
    "scripts.extract_features --data {inputs}/phoenix-2014-multisigner --weights {weights} "
    "--output {inputs}/signs --window 8 --stride 4 --frame-size 112 --short-side 0"
)
_RECOGNIZER = _SIGNS.replace("--run r ", "--run stage1 ") + " --features {inputs}/signs --epochs 2"


_VIVIT = (
    "--network vivit --num-segments 1 --frames-per-segment 8 --frame-size 32 --short-side 36 "
    "--pictures 0 --workers 1"
)


def _train(command, *inputs):
    return Job(command, _RUN, "weights/r/params.json", "--resume", "", inputs)


JOBS = {
    "training, frozen": _train(f"training.py {_TINY} --finetune none --epochs 4"),
    "training, on features": _train(
        "training.py --data-path {inputs}/videos --features {inputs}/rows --run r --epochs 8 "
        "--num-segments 2 --rate-epochs 3 5",
        _ROWS,
    ),
    "training, fine-tuned": _train(f"training.py {_TINY} --finetune Mixed_5c --epochs 4"),
    "training, from scratch": _train(
        f"training.py --data-path {{inputs}}/videos --run r {_VIVIT} --epochs 6 --ema 0.9"
    ),
    "recognition, on features": _train(
        f"{_SIGNS} --features {{inputs}}/signs --epochs 8", _CORPUS, _SIGN_ROWS
    ),
    "recognition, fine-tuned": _train(
        f"{_SIGNS} --weights {{inputs}}/weights/stage1 --finetune Mixed_5c --epochs 3",
        _CORPUS,
        _SIGN_ROWS,
        _RECOGNIZER,
    ),
    "extracting features": Job(_ROWS.replace("{inputs}/rows", "rows"), ("rows/**/*",)),
    "extracting flow": Job(
        "scripts.extract_flow {inputs}/videos --output flow --method tvl1 --short-side 72",
        ("flow/**/*",),
    ),
    "checking videos": Job("scripts.check_data {inputs}/videos", ("weights/cache/videos.json",)),
    "exporting": Job(
        "scripts.export_model {inputs}/weights/small --format keras --output out",
        ("out/*.keras",),
        done="out",
        inputs=(f"training.py --data-path {{inputs}}/videos --run small {_VIVIT} --epochs 1",),
    ),
    "comparing settings": Job(
        "scripts.compare_settings --name c --vary dropout --values 0.1 0.5 --data {inputs}/videos "
        f"{_VIVIT} --epochs 3",
        ("weights/*/history.csv", "weights/c.json"),
    ),
    "cross-validating": Job(
        "scripts.cross_validate --data-path {inputs}/videos --name c --block 1 --seeds 1 "
        f"{_VIVIT} --epochs 2",
        ("weights/*/history.csv", "weights/*/evaluation/*/*.json", "weights/c.json"),
    ),
    "rendering a corpus": Job(_CORPUS.replace("{inputs}", "."), ("phoenix-2014-multisigner/**/*",)),
}


def _hash_file(path):
    return hash_bytes([path.read_bytes()])


def _read_hdf5(file):
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            array = np.asarray(item)
            found[name] = str(array.dtype), array.shape, hash_bytes([array.tobytes()])

    with h5py.File(file) as opened:
        opened.visititems(visit)
        return found | {"attributes": {name: str(value) for name, value in opened.attrs.items()}}


def _read_network(path):
    with zipfile.ZipFile(path) as archive:
        return _read_hdf5(io.BytesIO(archive.read("model.weights.h5")))


def _leave_volatile(value):
    if isinstance(value, dict):
        return {k: _leave_volatile(v) for k, v in value.items() if k not in _VOLATILE}
    return [*map(_leave_volatile, value)] if isinstance(value, list) else value


def _read_table(path):
    rows = csv.DictReader(path.read_text().splitlines())
    return [{k: v for k, v in row.items() if k not in _VOLATILE} for row in rows]


# What differs between two runs alike (times, the bytes of archives) is left out.
_COMPARED = {
    ".keras": _read_network,
    ".h5": _read_hdf5,
    ".csv": _read_table,
    ".json": lambda path: _leave_volatile(json.loads(path.read_text())),
    ".png": lambda path: "",
}


def read_results(folder, globs):
    """Return {path in a folder: what can be compared of it} of files."""
    paths = {path for pattern in globs for path in folder.glob(pattern) if path.is_file()}
    return {
        str(path.relative_to(folder)): _COMPARED.get(path.suffix, _hash_file)(path)
        for path in sorted(paths)
    }


def list_family(session):
    """Return the numbers of the living processes of a session."""
    family = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] not in "ZX":
                family.append(int(path.parent.name))
    return family


@dataclass
class Campaign:
    """Where commands work, on what.

    Attributes:
        folder: of everything that they write.
        weights: file of published weights, or none.
        seconds: that a command may take.
        grace: seconds in which a command has to end when it is told to, and its family with it.
    """

    folder: Path
    weights: str = "none"
    seconds: float = 300.0
    grace: float = 30.0

    def start(self, command, folder):
        """Start a command in a folder, in a session of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        inputs = self.folder / "inputs"
        words = [word.format(inputs=inputs, weights=self.weights) for word in command.split()]
        script = [str(ROOT / words[0])] if words[0].endswith(".py") else ["-m", words[0]]
        with open(folder.with_suffix(".log"), "ab") as log:
            return subprocess.Popen(
                [sys.executable, *script, *words[1:]],
                cwd=folder,
                env=os.environ
                | {"PYTHONPATH": str(ROOT), "VIDEO_HOME": ".", "TF_CPP_MIN_LOG_LEVEL": "3"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def run(self, command, folder):
        """Run a command to its end; return its status, or None where it had its time."""
        process = self.start(command, folder)
        try:
            return process.wait(self.seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None

    def prepare(self, job):
        """Make what a job needs, once."""
        inputs = self.folder / "inputs"
        if not (inputs / "videos").is_dir():
            render_twins(inputs / "videos", actors=2, clips_per_actor=2)
        for command in job.inputs:
            mark = inputs / f".{hash_text(command)}"
            if not mark.is_file():
                if self.run(command, inputs):
                    raise RuntimeError(f"{command} failed: {inputs.with_suffix('.log')}")
                mark.touch()

    def run_unbroken(self, name):
        """Run a job as nobody disturbs it; return (its seconds, what it leaves)."""
        job, folder = JOBS[name], self.folder / name.replace(" ", "_") / "unbroken"
        begin = time.monotonic()
        if self.run(job.command, folder) != 0:
            raise RuntimeError(f"{name} failed: {folder.with_suffix('.log')}")
        return time.monotonic() - begin, read_results(folder, job.results)

    def _go_on(self, job, folder):
        """Return the command that goes on with a job that was broken off; "" where it is done."""
        if job.done and (folder / job.done).exists():
            return ""
        goes_on = job.resume and (folder / job.begun).is_file()
        return f"{job.command} {job.resume}" if goes_on else job.command

    def kill(self, job, folder, sent, moment):
        """Begin a command, or go on with it, and kill it after so many seconds.

        Returns:
            Whether it was killed before it ended, and what was wrong: "" or an outcome and why.
        """
        if not (command := self._go_on(job, folder)):
            return False, ""
        process = self.start(command, folder)
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = process.wait(moment)
            return False, (CRASHED, f"status {status}") if status else ""
        if sent is signal.SIGINT:
            os.killpg(process.pid, sent)  # a terminal sends it to all
        else:
            process.send_signal(sent)
        try:
            status = process.wait(self.grace)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True, (HUNG, f"{sent.name} did not end it")
        end = time.monotonic() + self.grace
        while (family := list_family(process.pid)) and time.monotonic() < end:
            time.sleep(0.1)
        for each in family:
            os.kill(each, signal.SIGKILL)
        if family:
            return True, (HUNG, f"{len(family)} processes lived on after {sent.name}")
        if status not in (0, *SIGNALS[sent]):
            return True, (UNNAMED, f"status {status} after {sent.name}")
        return True, ""

    def attempt(self, name, number, kills, seconds, expected, seed):
        """Kill a job several times, let it end, and compare what it leaves.

        Args:
            name: of the job.
            number: of the attempt.
            kills: how many.
            seconds: that it takes unbroken.
            expected: of `run_unbroken`.
            seed: of the campaign.

        Returns:
            (kills that met a running process, outcome, why).
        """
        job, folder = JOBS[name], self.folder / name.replace(" ", "_") / str(number)
        generator = np.random.default_rng([seed, [*JOBS].index(name), number])
        met = 0
        for _ in range(kills):
            sent = list(SIGNALS)[generator.integers(len(SIGNALS))]
            struck, wrong = self.kill(job, folder, sent, generator.uniform(0.2, 1) * seconds)
            met += struck
            if wrong:
                return met, *wrong
        if command := self._go_on(job, folder):
            status = self.run(command, folder)
            if status is None:
                return met, HUNG, "the command that goes on had its time"
            if status:
                return met, CRASHED, f"status {status} of the command that goes on"
        if wrong := self._compare(job, folder, expected):
            return met, LOST, wrong
        shutil.rmtree(folder)
        folder.with_suffix(".log").unlink()
        return met, WHOLE, ""

    def _compare(self, job, folder, expected):
        """Say what a job left otherwise than an unbroken one; "" for nothing."""
        found = read_results(folder, job.results)
        if differing := [key for key in {*expected, *found} if expected.get(key) != found.get(key)]:
            return f"{', '.join(sorted(differing)[:5])} differ"
        if left := [str(path) for pattern in _LEFTOVERS for path in folder.glob(pattern)]:
            return f"left behind: {', '.join(left[:5])}"
        return ""

    def fill(self, name, number, expected, seed):
        """Run a job on a disk that is too small, then on one that is large enough.

        Args:
            name, number, expected, seed: as of `attempt`.

        Returns:
            (1, outcome, why); (0, WHOLE, why) where it fills no disk, or this user mounts none.
        """
        job, folder = JOBS[name], self.folder / name.replace(" ", "_") / f"disk{number}"
        generator = np.random.default_rng([seed, [*JOBS].index(name), number, 1])
        whole = folder.with_name("unbroken")
        needed = sum(path.stat().st_size for path in whole.rglob("*") if path.is_file())
        size = int(generator.uniform(0.05, 0.9) * needed)
        folder.mkdir(parents=True)
        while size >= _PAGE:
            if not _mount(folder, f"size={size}"):
                return 0, WHOLE, "this user may mount no disk"
            try:
                if outcome := self._fill(job, folder, expected):
                    return 1, *outcome
            finally:
                subprocess.run(["umount", "-l", folder], check=True)
            size //= 2  # what fits at last may be less than what is written on the way
        return 0, WHOLE, "it fits on the smallest disk"

    def _fill(self, job, folder, expected):
        """Return the outcome and why; None where the disk was not full."""
        status = self.run(job.command, folder)
        said = folder.with_suffix(".log").read_text(errors="replace")
        if status == 0:
            return None
        names = {Path(pattern).parts[0] for pattern in job.results}
        if status is None:
            return HUNG, "on a full disk"
        if status not in (1, 2) or "Traceback" in said:
            return CRASHED, f"status {status} on a full disk"
        if not any(name in said for name in names):
            return UNNAMED, f"status {status} on a full disk"
        _mount(folder, "remount,size=1g")
        if (command := self._go_on(job, folder)) and self.run(command, folder):
            return CRASHED, "the command that goes on after a full disk"
        wrong = self._compare(job, folder, expected)
        return (LOST, wrong) if wrong else (WHOLE, "")


def _mount(folder, options):
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0
