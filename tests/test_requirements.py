"""What is installed: every pin of the requirements files stands in its lock, with hashes."""

import re
from pathlib import Path

from support.commands import ROOT

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FILES = sorted(ROOT.glob("requirements*.txt"))
MAIN = "requirements"
PYTHON = {"python_version": "3.11", "python_full_version": "3.11.7"}


def read_pins(path):
    """Return {name: version} of a requirements file, each pinned."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    pins = {}
    for wanted in map(Requirement, filter(None, lines)):
        (pin,) = wanted.specifier
        assert pin.operator == "==", f"{path.name}: {wanted} is not pinned"
        pins[canonicalize_name(wanted.name)] = pin.version
    return pins


def read_lock(name):
    """Return {name: version} of what a lock has for the project's Python, all of it with hashes."""
    text = Path(ROOT, "locks", f"{name}.lock").read_text().replace("\\\n", " ")
    entries = {}
    for line in text.splitlines():
        told, *hashes = line.split("--hash=")
        assert hashes and all(re.fullmatch(r"sha256:[0-9a-f]{64} *", each) for each in hashes), line
        wanted = Requirement(told)
        (pin,) = wanted.specifier
        assert pin.operator == "==", line
        if wanted.marker is None or wanted.marker.evaluate(PYTHON):
            assert wanted.name not in entries, line
            entries[wanted.name] = pin.version
    return entries


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_pin_is_locked(path):
    """`.ci/lock` makes the locks anew."""
    locked, pins = read_lock(path.stem), read_pins(path)
    assert pins and {name: locked.get(name) for name in pins} == pins


def test_locks_go_together():
    """They can be installed into one environment, and nothing is read from elsewhere."""
    main = read_lock(MAIN)
    for path in FILES:
        other = read_lock(path.stem)
        assert {name: main.get(name, version) for name, version in other.items()} == other
    locks = sorted(Path(ROOT, "locks").iterdir())
    assert [path.name for path in locks] == sorted(f"{path.stem}.lock" for path in FILES)
    assert not [path for path in locks if re.search(r"://|^-", path.read_text(), re.M)]


def test_ci_installs_from_locks():
    text = Path(ROOT, ".ci/run").read_text()
    installed = [line for line in text.splitlines() if "pip" in line and "install" in line]
    assert installed and all("--require-hashes -r locks/" in line for line in installed)
