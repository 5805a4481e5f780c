"""The same networks in PyTorch, for scripts.benchmarks.gpu: I3D here, others of transformers.

python -m scripts.benchmarks.peers_torch TASK, a JSON object of `scripts.benchmarks.gpu`. PyTorch
is no requirement of this project: where it is missing, a row says so.
"""

import importlib.util
import itertools
import json
import os
import sys
from functools import partial

from models.i3d_stages import STAGES
from utils.system.measuring import find_fault, make_recorder, say

import numpy as np

CLASSES = 400
LAYOUTS = {"channels first": "contiguous_format", "channels last": "channels_last_3d"}
# Our sizes as transformers takes them; the others are its defaults, ViT-B's.
_SMALL = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
SIZES = {"base": {}, "small": _SMALL | {"intermediate_size": 256}}


def build_i3d(channels=3, classes=CLASSES):
    """Build I3D in PyTorch, stage by stage that of `models.i3d`, for sides that divide by 16.

    Returns:
        A module from (batch, channels, frames, height, width) to logits (batch, classes).
    """
    import torch
    from torch import nn

    class Unit(nn.Sequential):
        """A convolution, BatchNorm without scale and ReLU."""

        def __init__(self, width, out, kernel, stride):
            # TensorFlow's padding: with stride 2 one more behind than before.
            before, behind = (kernel - stride) // 2, (kernel - stride + 1) // 2
            uneven = before != behind
            pads = [nn.ConstantPad3d((before, behind) * 3, 0.0)] if uneven else []
            norm = nn.BatchNorm3d(out, eps=1e-3)
            norm.weight.requires_grad_(False)
            pad = 0 if uneven else before
            conv = nn.Conv3d(width, out, kernel, stride, pad, bias=False)
            super().__init__(*pads, conv, norm, nn.ReLU(inplace=True))

    class Mixed(nn.Module):
        """The four branches of an Inception module."""

        def __init__(self, width, *widths):
            super().__init__()
            a, b, c, d, e, f = widths
            self.branches = nn.ModuleList(
                [
                    Unit(width, a, 1, 1),
                    nn.Sequential(Unit(width, b, 1, 1), Unit(b, c, 3, 1)),
                    nn.Sequential(Unit(width, d, 1, 1), Unit(d, e, 3, 1)),
                    nn.Sequential(nn.MaxPool3d(3, 1, 1), Unit(width, f, 1, 1)),
                ]
            )
            self.out = a + c + e + f

        def forward(self, x):
            return torch.cat([branch(x) for branch in self.branches], 1)

    class I3D(nn.Module):
        """The whole network."""

        def __init__(self):
            super().__init__()
            width, stages = channels, []
            for _, kind, arguments in STAGES:
                if kind == "pool":  # what it pads lies behind, as TensorFlow's does on even sides
                    stages.append(nn.MaxPool3d(*arguments, ceil_mode=True))
                elif kind == "conv":
                    stages.append(Unit(width, *arguments))
                    width = arguments[0]
                else:
                    stages.append(Mixed(width, *arguments))
                    width = stages[-1].out
            self.stages = nn.Sequential(*stages)
            self.logits = nn.Linear(width, classes)

        def forward(self, x):
            x = self.stages(x).mean((3, 4))
            if x.shape[2] > 1:
                x = nn.functional.avg_pool1d(x, 2, 1)
            return self.logits(x.transpose(1, 2)).mean(1)

    return I3D()


def copy_i3d(theirs, ours):
    """Give a PyTorch I3D the weights of a Keras one that ends in its logits."""
    import torch
    from torch import nn

    units = [layer for layer in ours.layers if layer.name.endswith("conv_3d")]
    by_name = {layer.name: layer for layer in ours.layers}
    convs = {unit.name: unit for unit in units[:-1]}
    modules = [module for module in theirs.modules() if isinstance(module, nn.Conv3d)]
    norms = [module for module in theirs.modules() if isinstance(module, nn.BatchNorm3d)]

    def order(name):
        stage, *rest = name.split(".")
        return [row[0] for row in STAGES].index(stage), rest

    def read(variable):
        return torch.from_numpy(np.array(variable))

    with torch.no_grad():
        for name, conv, norm in zip(sorted(convs, key=order), modules, norms, strict=True):
            conv.weight.copy_(read(convs[name].kernel).permute(4, 3, 0, 1, 2))
            other = by_name[name.removesuffix("conv_3d") + "batch_norm"]
            norm.bias.copy_(read(other.beta))
            norm.running_mean.copy_(read(other.moving_mean))
            norm.running_var.copy_(read(other.moving_variance))
        theirs.logits.weight.copy_(read(units[-1].kernel).T)
        theirs.logits.bias.copy_(read(units[-1].bias))


def build_network(name, task):
    """Return (module from clips to logits, shape of a clip) of a network as `gpu_networks` has."""
    from torch import nn

    size = task["frame_size"]
    if name == "i3d":
        return build_i3d(), (3, task["frames"], size, size)
    import transformers

    class Logits(nn.Module):
        """A model of transformers whose output is its logits."""

        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, clips):
            return self.model(clips).logits

    kind = {"timesformer": "Timesformer", "vivit": "Vivit"}[name]
    frames = task[f"{name}_frames"]
    config = getattr(transformers, f"{kind}Config")(
        image_size=size, num_frames=frames, num_labels=CLASSES, **SIZES[task["size"]]
    )
    model = getattr(transformers, f"{kind}ForVideoClassification")(config)
    return Logits(model), (frames, 3, size, size)


class Peers:
    """Modules and clips on the device, one network at a time."""

    def __init__(self, task):
        import torch

        self.torch, self.task = torch, task
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.held, self.module, self.shape, self.before = None, None, None, None

    def _synchronize(self):
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def _get(self, name, layout, dtype):
        if self.held != (name, layout, dtype):
            self.module = self.held = None
            if self.device == "cuda":
                self.torch.cuda.empty_cache()
            with self.torch.device(self.device):
                module, self.shape = build_network(name, self.task)
            module = module.to(self.device, dtype)
            if layout:
                module = module.to(memory_format=getattr(self.torch, LAYOUTS[layout]))
            self.module, self.held = module, (name, layout, dtype)
        return self.module

    def prepare(self, name, layout, step, precision, batch, compiled):
        """Return the call of a step on a batch."""
        torch = self.torch
        exact = precision == "float32 highest"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = not exact
        torch.backends.cudnn.benchmark = True
        half = precision == "bfloat16"
        # To infer, weights of 16 bits; to train, of 32, and products of 16.
        dtype = torch.bfloat16 if half and step == "forward" else torch.float32
        module = self._get(name, layout, dtype)
        clips = torch.rand((batch, *self.shape), device=self.device).mul_(2).sub_(1).to(dtype)
        if layout:
            clips = clips.contiguous(memory_format=getattr(torch, LAYOUTS[layout]))
        run = torch.compile(module, dynamic=False) if compiled else module
        if step == "forward":
            module.train(False)

            def forward():
                with torch.inference_mode():
                    logits = run(clips)
                self._synchronize()
                return logits

            return forward
        module.train()
        targets = torch.arange(batch, device=self.device) % CLASSES
        kept = [each for each in module.parameters() if each.requires_grad]
        optimizer = torch.optim.SGD(kept, 1e-3, momentum=0.9)
        self.before = kept[-1].detach().float().cpu().numpy().copy()

        def train():
            optimizer.zero_grad()
            with torch.autocast(self.device, torch.bfloat16, enabled=half):
                loss = torch.nn.functional.cross_entropy(run(clips), targets)
            loss.backward()
            optimizer.step()
            self._synchronize()
            return loss

        return train

    def check(self, step, result):
        """Return what is wrong with a step's result, a row's `failure`; "" for nothing."""
        change = 1
        if step == "train":
            kept = [each for each in self.module.parameters() if each.requires_grad]
            change = kept[-1].detach().float().cpu().numpy() - self.before
        return find_fault(result.detach().float().cpu().numpy(), change)


def list_rows(task):
    """Yield (network, layout, step, precision, batch), what matters most first."""
    compiled = task["part"] == "compiled"
    names = [
        name
        for name in task["networks"]
        if name == "i3d" or importlib.util.find_spec("transformers")
    ]
    for batch in task["batches"][: 1 if compiled else None]:
        for precision, step, name in itertools.product(task["precisions"], task["steps"], names):
            for layout in ["channels last", "channels first"] if name == "i3d" else [""]:
                yield name, layout, step, precision, batch
        if not compiled and batch == task["batches"][0] and "float32" in task["precisions"]:
            for name in names:
                layout = "channels last" if name == "i3d" else ""
                yield name, layout, "forward", "float32 highest", batch


def measure_peers(recorder, task):
    """Print rows of PyTorch's networks, as they are or compiled."""
    compiled = task["part"] == "compiled"
    if not importlib.util.find_spec("torch"):
        say(row={"part": task["part"], "failure": "left out, torch is not installed"})
        return
    import torch

    say(machine={"torch": torch.__version__, "cudnn": torch.backends.cudnn.version()})
    if not importlib.util.find_spec("transformers"):
        say(row={"part": task["part"], "failure": "left out, transformers is not installed"})
    peers = Peers(task)
    for name, layout, step, precision, batch in list_rows(task):
        what = {"part": task["part"], "network": name, "layout": layout, "step": step}
        what |= {"framework": f"torch {'compiled' if compiled else 'eager'}"}
        what |= {"precision": precision, "batch": batch}
        prepare = partial(peers.prepare, name, layout, step, precision, batch, compiled)
        if not recorder.row(prepare, batch, partial(peers.check, step), **what):
            peers.held = peers.module = None
        if compiled:
            torch.compiler.reset()


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    _TASK = json.loads(sys.argv[1])
    measure_peers(make_recorder(_TASK), _TASK)
