"""The old name of the command scripts.benchmarks.extraction."""

import runpy

if __name__ == "__main__":
    runpy.run_module("scripts.benchmarks.extraction", run_name="__main__", alter_sys=True)
