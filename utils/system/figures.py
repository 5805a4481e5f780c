"""Figures: what was measured, in JSON files of one shape, and the machine that measured them.

    {"command", "date", "commit", "machine": {"processor", "cpus", "features", "memory_gib",
     "versions"}, "load": {"start", "end"}, "seed", "rows": [{...}, ...]}

The loads are those of the last 1, 5 and 15 minutes. A row is a flat object; what else belongs to
the whole has a key of its own. Figures that are older than this shape have `carried_over`, which
says where they come from, and in place of machine and load a sentence, `measured`. Tables in the
docs are made of these files by `scripts.benchmarks.write_tables`.
"""

import json
import os
import platform
import shlex
import subprocess
import sys
from contextlib import suppress
from datetime import date
from importlib import metadata
from pathlib import Path

from utils.system.commands import ROOT
from utils.system.files import read_json, write_atomically
from utils.system.words import print_line

KEYS = ("command", "date", "commit", "rows")
# What processors call the features that decide how fast networks are: what people call them.
_FEATURES = {
    "avx2": "AVX2",
    "avx512f": "AVX512",
    "avx512_vnni": "AVX512-VNNI",
    "avx512_bf16": "AVX512-BF16",
    "amx_tile": "AMX",
}
_LIBRARIES = ("tensorflow", "keras", "numpy")


def describe_machine(libraries=()):
    """Return {name: value} of what measures: processor, cores, memory, versions.

    Args:
        libraries: distributions whose versions are told beside TensorFlow's, Keras' and NumPy's,
            where they are installed.
    """
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    told = dict(reversed([map(str.strip, line.split(":", 1)) for line in lines if ":" in line]))
    flags = told.get("flags", "").split()
    versions = {"python": platform.python_version()}
    for name in (*_LIBRARIES, *libraries):
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {
        "processor": told.get("model name", platform.processor()),
        "cpus": os.cpu_count(),
        "features": [name for flag, name in _FEATURES.items() if flag in flags],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "versions": versions,
    }


def read_load():
    """Return the processes that ran or waited in the last 1, 5 and 15 minutes."""
    return [round(load, 2) for load in os.getloadavg()]


def name_command(arguments):
    """Return a Python command as others can type it.

    Args:
        arguments: of the process, Python's own name first. `--output` is left out, and an absolute
            path is told by its last part: others have other folders.
    """
    words, kept = iter(arguments[1:]), ["python"]
    for word in words:
        if word == "--output":
            next(words, None)
        elif not word.startswith("--output="):
            flag, equals, value = word.rpartition("=")
            place = Path(value)
            kept.append(f"{flag}{equals}{place.name if place.is_absolute() else value}")
    return shlex.join(kept)


def name_commit():
    """Return the project's commit, with "changed" where its code is another; "" without git."""
    git = ["git", "-C", str(ROOT)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        )
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "*.py"], check=False)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head.stdout.strip() + (", changed" if changed.returncode else "")


def make_row(value, unit, spread=None, **what):
    """Return a row of one number.

    Args:
        value: the number.
        unit: what it counts.
        spread: its standard deviation, or half its range; None where there is none.
        what: else in the row, what was measured.
    """
    row = {**what, "value": float(value), "unit": unit}
    return row if spread is None else row | {"value_spread": float(spread)}


class Figures:
    """Rows as they come, written whole after each, so that a killed measurement keeps its rows.

    Args:
        output: a JSON file, or None to write none.
        seed: that all was drawn from; None where nothing was.
        libraries: as in `describe_machine`.
        more: {key: value} beside the usual ones.
    """

    def __init__(self, output=None, seed=None, libraries=(), **more):
        self.output, self.rows = output, []
        self.whole = {
            "command": name_command(sys.orig_argv),
            "date": date.today().isoformat(),
            "commit": name_commit(),
            "machine": describe_machine(libraries),
            "load": {"start": read_load()},
            "seed": seed,
            **more,
            "rows": self.rows,
        }

    def add(self, **row):
        """Add a row, write the file, and return the row."""
        self.rows.append(row)
        self.write()
        return row

    def take(self, rows):
        """Add rows of `make_row` as they come, and print a line for each."""
        for row in rows:
            self.add(**row)
            what = ", ".join(str(row[key]) for key in row if not key.startswith(("value", "unit")))
            print_line(f"{what:<62} {row['value']:10.4g} {row['unit']}", flush=True)

    def write(self):
        """Write the file, where there is to be one."""
        self.whole["load"]["end"] = read_load()
        if self.output:
            write_atomically(self.output, json.dumps(self.whole, indent=1) + "\n")


def read_figures(path):
    """Return what a file of figures holds, a dict of the shape above.

    Raises:
        ValueError: it is not there, damaged, or of another shape; the file and the key are named.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file of figures.")
    found = read_json(path)
    missing = [key for key in KEYS if key not in found]
    if "measured" not in found:
        missing += [key for key in ("machine", "load") if key not in found]
    if missing or not all(isinstance(row, dict) for row in found["rows"]):
        what = f"has no {', '.join(missing)}" if missing else "has rows that are not objects"
        raise ValueError(f"{path}: a file of figures, but it {what}.")
    return found
