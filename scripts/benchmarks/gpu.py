"""Measure networks on a GPU, and PyTorch beside them: python -m scripts.benchmarks.gpu.

Each part runs in a process of its own and gets a share of the time. The JSON file is written after
every row, so a stop loses nothing. scripts/benchmarks/gpu.sh runs it where packages are missing.
Weights and clips are random. Clips per second are medians of whole calls of `predict_on_batch` or
`train_on_batch` (SGD with momentum), on clips that are on the GPU. A row counts only if its results
are finite, a training step changed the weights, and it is not faster than the matrix product of its
precision. Products of float32 are computed in TF32, except in rows called "float32 highest".
"""

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it starts from any folder

from utils.command_line import Command
from utils.system.commands import ROOT, run_command
from utils.system.figures import Figures
from utils.system.measuring import LEFT_OUT


class Part(NamedTuple):
    """A part: the module that measures it, its share of the seconds, what its process is told."""

    module: str
    share: float
    environment: dict[str, str] = {}  # noqa: RUF012 (never changed)


_ON_JAX = {"KERAS_BACKEND": "jax", "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.92"}
# The script that it starts takes memory too.
_TWO = _ON_JAX | {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.42"}
# What it imports of ours imports JAX, which is to leave the GPU alone.
_ON_TORCH = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "HF_HUB_OFFLINE": "1"}
# In this order; what one leaves of its share goes to the next ones.
PARTS = {
    "ceilings": Part("gpu_networks", 40, _ON_JAX),
    "i3d": Part("gpu_networks", 110, _ON_JAX),
    "transformers": Part("gpu_networks", 95, _ON_JAX),
    "torch": Part("peers_torch", 65, _ON_TORCH),
    "extraction": Part("gpu_video", 90, _TWO),
    "flow": Part("gpu_video", 35, _ON_JAX),
    "compiled": Part("peers_torch", 70, _ON_TORCH),
    "correctness": Part("gpu_networks", 20, _ON_JAX),
}
_WORK = {"forward": 1, "train": 3}  # times a forward pass's operations
_MOST = 1.5  # of the matrix product's rate: both are measured in a second or so
_TIMES = ("per_second", "seconds", "calls", "spread", "prepare_seconds", "first_seconds")


@dataclass(frozen=True)
class Options:
    """What is measured, and for how long."""

    parts: tuple[Literal[tuple(PARTS)], ...] = tuple(PARTS)
    """Parts of the benchmark. Their order is fixed."""
    seconds: float = 430
    """Seconds for everything."""
    row_seconds: float = 1.5
    """Seconds per row, roughly, after compilation and warm-up."""
    row_limit: float = 70
    """Seconds after which a row is ended, compilation included. Its part goes on with the next."""
    reserve: float = 8
    """Seconds that a part must have left to begin a row."""
    batches: tuple[int, ...] = (16, 1, 64, 4)
    """Batch sizes, the most important first."""
    steps: tuple[Literal["forward", "train"], ...] = ("forward", "train")
    """forward: the forward pass. train: a training step."""
    precisions: tuple[Literal["bfloat16", "float32"], ...] = ("bfloat16", "float32")
    """Number formats. bfloat16 is Keras' mixed_bfloat16."""
    networks: tuple[Literal["i3d", "timesformer", "vivit"], ...] = ("i3d", "timesformer", "vivit")
    """Networks, in Keras and in PyTorch."""
    size: Literal["base", "small"] = "base"
    """Size of ViViT and TimeSformer: base (ViT-B) or small."""
    frames: int = 64
    """I3D: frames per clip."""
    timesformer_frames: int = 8
    """TimeSformer: frames per clip."""
    vivit_frames: int = 32
    """ViViT: frames per clip."""
    frame_size: int = 224
    """Height and width of frames in pixels."""
    matrix: int = 8192
    """Side of the matrices in the matrix product that the card's rate is measured with."""
    flow_size: tuple[int, int] = (256, 340)
    """TV-L1: height and width in pixels."""
    flow_batches: tuple[int, ...] = (64, 256, 16, 1)
    """TV-L1: pairs of frames per batch."""
    videos: int = 32
    """Extraction: number of videos, 320x240 pixels each."""
    video_frames: int = 512
    """Extraction: frames per video."""
    batch_frames: int = 1024
    """Extraction: frames per batch."""
    chunk: int = 128
    """Extraction: frames of dense's blocks."""
    output: Path | None = None
    """JSON file to write the figures to."""

    def __post_init__(self):
        positive = ("seconds", "row_seconds", "row_limit", "frames", "matrix", "videos")
        for name in (*positive, "video_frames"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be more than 0.")
        if min((*self.batches, *self.flow_batches)) < 1:
            raise ValueError("batches and flow_batches are of one at least.")


class Report:
    """Rows as they come, written after each, with shares of the card's rate.

    Args:
        output: a JSON file, or None.
    """

    def __init__(self, output):
        self.rows, self.work, self.part_seconds = [], {}, {}
        self.begun, self.begun_at, self.tried = {}, math.inf, []
        more = {"gflop_a_clip": self.work, "part_seconds": self.part_seconds}
        self.figures = Figures(output, libraries=("jax", "torch", "transformers"), **more)
        self.machine = self.figures.whole["machine"]

    def take(self, line):
        """Take a line of a measuring process; what is not JSON goes to the screen."""
        try:
            found = json.loads(line)
        except ValueError:
            print(line.rstrip(), flush=True)
            return
        self.machine.update(found.get("machine", {}))
        self.work.update(found.get("work", {}))
        if "begin" in found:
            self.begun, self.begun_at = found["begin"], time.monotonic()
            self.tried.append(self.begun)
        if "row" in found:
            self.add(found["row"])

    def add(self, row):
        """Add a row, and write all of them."""
        self.rows.append(row)
        self.begun, self.begun_at = {}, math.inf
        self.write()
        if row.get("failure") != LEFT_OUT:
            print(describe(self._complete(row)), flush=True)

    def _complete(self, row):
        """Return a row with the share of the matrix product's rate, where both are known."""
        if row.get("unit") == "FLOP" and "per_second" in row:
            return row | {"tflop_per_second": row["per_second"] / 1e12}
        rates = {
            each["precision"]: each["per_second"]
            for each in self.rows
            if each["part"] == "ceilings" and "precision" in each and "per_second" in each
        }
        gflop, rate = self.work.get(row.get("network")), rates.get(row.get("precision"))
        if not gflop or not rate or "per_second" not in row:
            return row
        done = row["per_second"] * gflop * 1e9 * _WORK[row["step"]]
        if done > _MOST * rate:
            said = f"impossible: {row['per_second']:.0f} a second, {done / rate:.1f} of the rate"
            return {key: row[key] for key in row if key not in _TIMES} | {"failure": said}
        return row | {"tflop_per_second": done / 1e12, "share": done / rate}

    def write(self):
        """Write the file, where there is to be one."""
        self.figures.rows[:] = [self._complete(row) for row in self.rows]
        self.figures.write()

    def table(self):
        """Return the lines of all that was measured."""
        rows = map(self._complete, self.rows)
        return [describe(row) for row in rows if "failure" not in row]


def describe(row):
    """Return a line about a row."""
    keys = ("name", "network", "framework", "layout", "step", "precision", "batch")
    text = " ".join(str(row[key]) for key in keys if row.get(key) not in (None, ""))
    if "failure" in row:
        return f"{row['part']}: {text}: {row['failure']}"
    if "per_second" not in row:
        skipped = {*keys, "part", "unit", "videos", "frames"}
        numbers = (
            f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in row.items()
            if key not in skipped
        )
        return f"{text}: {', '.join(numbers)}"
    unit, rate = row.get("unit", "clips" if "network" in row else "pairs"), row["per_second"]
    rate = f"{rate / 1e12:.4g} T{unit}/s" if rate > 1e9 else f"{rate:.4g} {unit}/s"
    share = f", {100 * row['share']:.1f} %" if "share" in row else ""
    return f"{text}: {rate}{share} (first call {row['first_seconds']:.1f} s)"


def name_card():
    """Return {name: value} of what nvidia-smi says of the card, empty where there is none."""
    names = ("name", "driver_version", "memory.total", "clocks.sm", "power.limit")
    command = ["nvidia-smi", f"--query-gpu={','.join(names)}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    values = done.stdout.splitlines()[0].split(", ") if done.stdout else []
    return {f"card {name}": value for name, value in zip(names, values, strict=False)}


def _run_process(name, task, report, end):
    """Run a process of a part until it ends, its time is over, or a row takes too long.

    Returns:
        Why it failed; "" if it did not.
    """
    part, begin = PARTS[name], time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", f"scripts.benchmarks.{part.module}", json.dumps(task)],
        cwd=ROOT,
        env=os.environ | part.environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that what it started ends with it
    )
    reader = threading.Thread(target=lambda: [report.take(line) for line in process.stdout])
    reader.start()
    try:
        while process.poll() is None:
            now = time.monotonic()
            if now > min(end, report.begun_at + task["row_limit"]):
                since = report.begun_at if now <= end else begin
                return f"ended after {now - since:.0f} s"
            time.sleep(0.05)
        return f"its process ended with {process.returncode}" if process.returncode else ""
    finally:
        with suppress(ProcessLookupError):  # none is left of those that it started
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join(10)


def run_part(name, task, report, limit):
    """Run a part in a process of its own; end it when its time is over.

    A process that fails in a row, or whose row takes too long, is followed by another one, which
    goes on with the next row.

    Args:
        name: a key of `PARTS`.
        task: of its process.
        report: a `Report`.
        limit: seconds.
    """
    end, report.tried = time.monotonic() + limit, []
    while True:
        left, tried = end - time.monotonic(), len(report.tried)
        told = {"part": name, "end": time.time() + left - min(5.0, left / 10)}
        failure = _run_process(name, task | told | {"skip": report.tried}, report, end)
        if failure:
            report.add(report.begun | {"part": name, "failure": failure})
        goes_on = failure and len(report.tried) > tried
        if not goes_on or end - time.monotonic() < task["reserve"]:
            return


def benchmark_gpu(options):
    """Measure the parts, one after another; print all rows at the end, and return the `Report`.

    Args:
        options: `Options`.
    """
    end, report = time.monotonic() + options.seconds, Report(options.output)
    report.machine.update(name_card())
    task = asdict(options) | {"output": None}
    chosen = [name for name in PARTS if name in options.parts]
    for place, name in enumerate(chosen):
        left = end - time.monotonic()
        shares = sum(PARTS[each].share for each in chosen[place:])
        limit = left * PARTS[name].share / shares
        print(f"== {name}, {limit:.0f} of {left:.0f} s", flush=True)
        begin = time.monotonic()
        run_part(name, task, report, limit)
        report.part_seconds[name] = time.monotonic() - begin
        report.write()
    print("== all", report.machine, *report.table(), sep="\n", flush=True)
    return report


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    run_command(lambda: benchmark_gpu(COMMAND.parse()))
