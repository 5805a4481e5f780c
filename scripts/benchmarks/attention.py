"""Measure time and memory of TimeSformer's attention: python -m scripts.benchmarks.attention.

Each measurement runs in a process of its own, on one random clip of 224 x 224 pixels, with 400
classes.
"""

import json
import resource
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it starts from any folder

from models.choices import SCHEMES
from models.design import Design
from models.later import later
from utils.command_line import Command
from utils.system.commands import run_command
from utils.system.figures import Figures
from utils.system.timing import limit_memory, measure_seconds

build = later("models.networks", "build")
number_format = later("utils.fitting.devices", "number_format")
prepare_steps = later("utils.fitting.devices", "prepare_steps")

# A scheme's name in Hugging Face's transformers, with PyTorch the peer.
_PEERS = {"space": "space_only", "joint": "joint_space_time", "divided": "divided_space_time"}
_PEER = """
import json, resource, statistics, sys, time
import torch
from transformers import TimesformerConfig, TimesformerForVideoClassification
scheme, frames, step, precision, repeats = json.loads(sys.argv[1])
config = TimesformerConfig(attention_type=scheme, num_frames=frames, num_labels=400)
dtype = torch.bfloat16 if precision == "mixed_bfloat16" else torch.float32
model = TimesformerForVideoClassification(config).to(dtype).eval()
clip, target = torch.randn(1, frames, 3, 224, 224, dtype=dtype), torch.tensor([0])
optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9)
def forward():
    with torch.inference_mode():
        model(clip)
def train():
    optimizer.zero_grad()
    model(clip, labels=target).loss.backward()
    optimizer.step()
call, seconds = {"forward": forward, "train": train}[step], []
for _ in range(repeats + 1):
    begin = time.perf_counter()
    call()
    seconds.append(time.perf_counter() - begin)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps({"seconds": statistics.median(seconds[1:]), "gib": peak}))
"""


@dataclass(frozen=True)
class Options:
    """What is measured."""

    attention: tuple[Literal[tuple(SCHEMES)], ...] = tuple(SCHEMES)
    """Attention schemes."""
    frames: tuple[int, ...] = (8, 16, 32, 64, 96)
    """Frames per clip."""
    steps: tuple[Literal["forward", "train"], ...] = ("forward", "train")
    """forward: the forward pass. train: a step of SGD."""
    size: str = "base"
    """Size of the network: base (ViT-B) or small."""
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    """Number format."""
    repeats: int = 1
    """Calls after a first one; the median counts. If the first call takes over 60 s, it is the
    result."""
    limit: float = 1800
    """Seconds after which a measurement is stopped."""
    memory: float = 0
    """Memory limit of a measurement in GiB. 0: none."""
    whole: bool = False
    """Hold all attention scores of a layer in memory at once, to see what that costs."""
    peer: str = ""
    """Python with PyTorch and transformers, to measure Hugging Face's TimeSformer as well."""
    output: Path | None = None
    """JSON file to write the figures to, such as docs/figures/attention.json."""


def _peak_gib():
    """Return the peak memory of the accelerator where JAX has one, else of this process."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        stats = jax.local_devices()[0].memory_stats()
        if stats:
            return stats["peak_bytes_in_use"] / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(options):
    """Measure the first scheme, number of frames and step of `Options`; return seconds and GiB."""
    limit_memory(options.memory)
    if options.whole:
        from models import attention

        attention.SCORES = 2**60
    scheme, frames = options.attention[0], options.frames[0]
    design = Design(size=options.size, attention=scheme)
    with number_format(options.precision):
        model = build("timesformer", 400, 1, frames, design=design)
        call = prepare_steps(model)[options.steps[0]]
    seconds = [measure_seconds(call)]
    if seconds[0] < 60:
        seconds = [measure_seconds(call) for _ in range(options.repeats)]
    return {"seconds": statistics.median(seconds), "gib": _peak_gib()}


def _run(command, limit):
    """Run a measuring process; return what it printed, or what became of it."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return {"failure": f"over {limit:.0f} s"}
    if not done.returncode:
        return json.loads(done.stdout.splitlines()[-1])
    said = done.stderr.strip() or "killed"
    if done.returncode < 0 or any(
        sign in said for sign in ("bad_alloc", "RESOURCE_EXHAUSTED", "OOM", "MemoryError")
    ):
        return {"failure": "out of memory"}
    return {"failure": f"exit {done.returncode}: {said.splitlines()[-1][:200]}"}


def _commands(options):
    """Yield (who, scheme, frames, step, command of the measuring process)."""
    for frames in options.frames:
        for scheme in options.attention:
            for step in options.steps:
                one = replace(options, attention=(scheme,), frames=(frames,), steps=(step,))
                values = json.dumps(asdict(replace(one, output=None)))
                own = [sys.executable, "-m", "scripts.benchmarks.attention", "--child", values]
                yield "ours", scheme, frames, step, own
                if options.peer and scheme in _PEERS:
                    values = (_PEERS[scheme], frames, step, options.precision, options.repeats)
                    other = [options.peer, "-c", _PEER, json.dumps(values)]
                    yield "transformers", scheme, frames, step, other


def benchmark_attention(options):
    """Measure every choice in a process of its own; print and return the rows."""
    if options.repeats < 1 or min(options.frames) < 1:
        raise ValueError("repeats and frames must be at least 1.")
    figures = Figures(options.output)
    for who, scheme, frames, step, command in _commands(options):
        row = {"who": who, "attention": scheme, "frames": frames, "step": step}
        row |= _run(command, options.limit)
        figures.add(**row)
        result = row.get("failure") or f"{row['seconds']:8.2f} s {row['gib']:7.2f} GiB"
        print(f"{who:<12} {scheme:<12} {frames:>3} frames {step:<8} {result}", flush=True)
    return figures.rows


COMMAND = Command(__doc__, Options)

if __name__ == "__main__":
    if "--child" in sys.argv:
        print(json.dumps(measure(Options(**json.loads(sys.argv[-1])))))
    else:
        run_command(lambda: benchmark_attention(COMMAND.parse()))
