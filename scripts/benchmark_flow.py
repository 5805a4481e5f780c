"""The old name of the command scripts.benchmarks.flow."""

import runpy

if __name__ == "__main__":
    runpy.run_module("scripts.benchmarks.flow", run_name="__main__", alter_sys=True)
