"""The old name of the command scripts.benchmarks.training."""

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it starts from any folder

if __name__ == "__main__":
    runpy.run_module("scripts.benchmarks.training", run_name="__main__", alter_sys=True)
