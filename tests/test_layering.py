"""The walls of the house stand, and each check of them can fail."""

from support import walls
from support.commands import ROOT
from support.walls import CHECKS, House

import pytest


@pytest.fixture(scope="module")
def house():
    return House(ROOT)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_walls(house, check):
    assert list(check(house)) == []


# A small house without a fault.
GOOD = {
    "training.py": '"""Train."""\nimport models\nfrom tasks.classification.training import train\n',
    "scripts/benchmarks/flow.py": '"""Time."""\nfrom scripts.benchmarks import training\n',
    "scripts/benchmarks/training.py": '"""Time."""\n',
    "scripts/__init__.py": "",
    "models/__init__.py": '"""Networks."""\nimport os\n',
    "models/layers.py": '"""Layers."""\nimport math\nimport keras\n',
    "models/heads.py": '"""Heads."""\nfrom models.layers import Head\nHEADS = {"average": 1}\n',
    "models/pretrained/__init__.py": "",
    "models/pretrained/files.py": '"""Files."""\nimport json\n',
    "utils/system/__init__.py": "",
    "utils/system/files.py": '"""Files."""\ndef read():\n    """Read."""\ndef _open(): ...\n',
    "utils/video/__init__.py": "",
    "utils/video/reading.py": '"""A."""\nimport av, cv2\nfrom utils.system import files\n',
    "tasks/classification/__init__.py": "",
    "tasks/classification/training.py": '"""A."""\nimport models.heads\nfrom utils import video\n',
    "tasks/recognition/__init__.py": "",
    "tasks/recognition/training.py": '"""Train."""\n',
    "tests/test_heads.py": '"""Tests."""\nassert build("average")\n',
}
ORDER = (
    "utils.system utils.video models.layers models.heads models.pretrained tasks.classification "
    "tasks.recognition training scripts"
).split()
LOOP = '"""Doc."""\nfrom utils.{} import one\n'
HEADS = GOOD["models/heads.py"]
# What is wrong: (the check that finds it, {file: its text}, words of the fault).
FAULTS = {
    "a package": ("unlisted", {"utils/more/__init__.py": ""}, "utils.more is not"),
    "a module": ("unlisted", {"tasks/more.py": '"""More."""'}, "tasks.more is not"),
    "a file at the root": ("unlisted", {"more.py": '"""More."""'}, "more is not"),
    "a room": ("unlisted", {"more/__init__.py": ""}, "more is not"),
    "an empty place": (
        "gone",
        {"utils/system/__init__.py": None, "utils/system/files.py": None},
        "",
    ),
    "up": (
        "upward",
        {"utils/system/deep/a.py": '"""A."""\nimport utils.video.reading\n'},
        "deep.a",
    ),
    "up, of a package": (
        "upward",
        {"utils/system/a.py": "from utils.video import reading"},
        "a imp",
    ),
    "up, in a function": (
        "upward",
        {"utils/system/a.py": "def read():\n    from utils import video\n"},
        "utils.system.a imports utils.video",
    ),
    "up, relative": (
        "upward",
        {"utils/system/a.py": "from ..video import reading"},
        "video.reading",
    ),
    "up, in models": ("upward", {"models/layers.py": "from models import heads"}, "models.heads"),
    "tasks that know each other": (
        "strangers",
        {"tasks/recognition/a.py": "from tasks.classification.training import train"},
        "tasks.recognition.a imports tasks.classification.training",
    ),
    "the other way": (
        "strangers",
        {"tasks/classification/a.py": "import tasks.recognition.training"},
        "tasks.classification.a imports tasks.recognition.training",
    ),
    "models on utils": (
        "strangers",
        {"models/heads.py": "import utils.system.files"},
        "models.heads",
    ),
    "utils on models": ("strangers", {"utils/video/a.py": "import models"}, "imports models"),
    "utils on tasks": ("strangers", {"utils/video/a.py": "import tasks.recognition"}, "video.a"),
    "an entry point": ("entry_points", {"tasks/recognition/a.py": "import training"}, "training"),
    "a script": (
        "entry_points",
        {"scripts/a.py": '"""A."""', "scripts/b.py": "import scripts.a"},
        "b",
    ),
    "an entry point, later": (
        "entry_points",
        {"tasks/recognition/a.py": '"""A."""\nlater("scripts.benchmarks.flow", "run")'},
        "scripts.benchmarks.flow",
    ),
    "tasks that know each other later": (
        "strangers",
        {"tasks/recognition/a.py": '_M = "tasks.classification.training"\nlater(_M, "train")'},
        "tasks.recognition.a imports tasks.classification.training",
    ),
    "a lost function": (
        "lost",
        {"models/heads.py": HEADS + 'later("models.layers", "gone")\n'},
        "models.heads takes gone of models.layers",
    ),
    "a lost module": (
        "lost",
        {"models/heads.py": HEADS + 'later("models.gone", "build")\n'},
        "models.heads takes build of models.gone",
    ),
    "modules in a circle": (
        "circles",
        {
            "utils/video/a.py": "from utils.video import b",
            "utils/video/b.py": "import utils.video.a",
        },
        "utils.video.a",
    ),
    "packages in a circle": (
        "circles",
        {"utils/system/a.py": "from utils.video import one", "utils/video/one.py": ""},
        "utils.system",
    ),
    "cv2": ("libraries", {"utils/system/a.py": "import cv2"}, "utils.system.a imports cv2"),
    "av": ("libraries", {"utils/clips/a.py": "import av.error"}, "utils.clips.a imports av"),
    "matplotlib": (
        "libraries",
        {"utils/video/a.py": "import matplotlib.pyplot as plt"},
        "matplotlib",
    ),
    "keras": ("libraries", {"utils/video/a.py": "def f():\n    from keras import ops"}, "keras"),
    "tensorflow": ("libraries", {"models/heads.py": "import tensorflow as tf"}, "tensorflow"),
    "files in a network": (
        "libraries",
        {"models/heads.py": "import json"},
        "models.heads imports json",
    ),
    "a private name": (
        "private",
        {"utils/video/a.py": "from utils.system.files import _open"},
        "utils.video.a imports _open of utils.system.files",
    ),
    "a private name of a module": (
        "private",
        {"utils/video/a.py": "from utils.system import files as f\nf._open()"},
        "utils.video.a uses _open of utils.system.files",
    ),
    "a full package": ("full_packages", {"utils/video/__init__.py": '"""V."""'}, "utils.video/"),
    "a module without docstring": (
        "undocumented",
        {"utils/video/a.py": "A = 1"},
        "utils.video.a has",
    ),
    "a function": (
        "undocumented",
        {"utils/video/a.py": '"""A."""\ndef read(): ...'},
        "utils.video.a.read has",
    ),
    "a class": (
        "undocumented",
        {"utils/video/a.py": '"""A."""\nclass Read: ...'},
        "utils.video.a.Read has",
    ),
    "a row": (
        "untested",
        {"models/heads.py": 'HEADS = {\n    "average": 1,\n    "lstm": 2,\n}'},
        "no test names 'lstm' of HEADS in models.heads",
    ),
    "a row with a type": (
        "untested",
        {"models/heads.py": 'HEADS: dict[str, int] = {"lstm": 2}'},
        "no test names 'lstm'",
    ),
    "a docstring": ("untested", {"tests/test_heads.py": '"""The average."""'}, "'average'"),
    "a part of a word": ("untested", {"models/heads.py": 'HEADS = {"aver": 1}'}, "'aver'"),
    "a rule": (
        "untested",
        {"utils/video/a.py": "def advise(): ...\nADVICE = (advise,)"},
        "no test names 'advise' of ADVICE in utils.video.a",
    ),
}


def build_house(root, changes, monkeypatch):
    """Write the good house with some of its files changed, None for none; return it."""
    monkeypatch.setattr(walls, "ORDER", ORDER)
    for name, text in (GOOD | changes).items():
        if text is not None:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    return House(root)


def test_a_good_house_has_no_fault(tmp_path, monkeypatch):
    house = build_house(tmp_path, {}, monkeypatch)
    assert [fault for check in CHECKS for fault in check(house)] == []
    assert set(house.list_arrows()) == {
        ("models.heads", "models.layers"),
        ("scripts.benchmarks.flow", "scripts.benchmarks.training"),
        ("tasks.classification.training", "models.heads"),
        ("tasks.classification.training", "utils.video"),
        ("training", "models"),
        ("training", "tasks.classification.training"),
        ("utils.video.reading", "utils.system.files"),
    }


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found(fault, tmp_path, monkeypatch):
    check, changes, words = FAULTS[fault]
    found = [*getattr(walls, f"find_{check}")(build_house(tmp_path, changes, monkeypatch))]
    assert len(found) == 1 and words in found[0], found


@pytest.mark.parametrize(
    "test",
    [
        "@pytest.mark.parametrize('head', HEADS)\ndef test_heads(head): ...",
        "for head in sorted(heads.HEADS): ...",
        "[head for head in HEADS]",
        "build(lstm=True, head='lstm of two rows')",
    ],
)
def test_tests_that_go_through_a_table_name_its_rows(test, tmp_path, monkeypatch):
    changes = {"models/heads.py": 'HEADS = {"lstm": 2}', "tests/test_heads.py": test}
    assert [*walls.find_untested(build_house(tmp_path, changes, monkeypatch))] == []


def test_every_check_is_seen_to_fail():
    assert {f"find_{check}" for check, *_ in FAULTS.values()} == {c.__name__ for c in CHECKS}
