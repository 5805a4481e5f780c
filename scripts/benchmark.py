"""The old name of the command scripts.benchmarks.training."""

import runpy

if __name__ == "__main__":
    runpy.run_module("scripts.benchmarks.training", run_name="__main__", alter_sys=True)
