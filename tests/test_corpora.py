"""Corpora as users meet them: rendered releases, read back, and what can be wrong with one."""

import dataclasses
import itertools
import os
import shutil
from collections import Counter
from functools import partial
from pathlib import Path

from support.commands import run
from support.videos import moving_square
from utils.rendering.signer import SILENT, find_gloss
from utils.signing.cleaning import clean_hypothesis
from utils.signing.corpora import (
    BAD_SENTENCES,
    CORPORA,
    drop_unreadable,
    find_corpus,
    list_sentences,
)
from utils.signing.releases import FRAMES, RELEASES, Sentence
from utils.signing.rendered_corpus import GLOSSES, LAYOUTS, UNSEEN, list_rows, plan_corpus
from utils.signing.vocabulary import (
    find_unseen,
    list_vocabulary,
    summarize_corpus,
)
from utils.video.writing import write_video

import cv2
import pytest

SMALL = "--train 2 --dev 1 --test 1 --signers 2 --glosses 1 2 --workers 1".split()
BAD = next(iter(BAD_SENTENCES))


def render(folder, *options):
    command = ["scripts/render_corpus.py", folder, *SMALL, *options]
    return run(command, folder.parent)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Both versions in one folder."""
    folder = tmp_path_factory.mktemp("corpora") / "data"
    for kind in ("phoenix2014", "phoenix2014t"):
        done = render(folder, "--kind", kind)
        assert done.returncode == 0, done.stderr
        assert f"{RELEASES[kind].folder} contains" in done.stdout
    return folder


@pytest.fixture
def release(rendered, tmp_path):
    """A copy to spoil, and the table of its training sentences."""
    folder = tmp_path / "copy"
    shutil.copytree(rendered / "phoenix-2014-multisigner", folder)
    return folder, folder / "annotations/manual/train.corpus.csv"


def test_the_releases_layout(rendered):
    folder = rendered / "phoenix-2014-multisigner"
    tables = sorted(path.name for path in (folder / "annotations/manual").iterdir())
    assert tables == ["dev.corpus.csv", "test.corpus.csv", "train.corpus.csv"]
    lines = (folder / "annotations/manual/dev.corpus.csv").read_text().splitlines()
    assert lines[0] == "id|folder|signer|annotation"
    name, pattern, signer, _ = lines[1].split("|")
    assert (pattern, signer) == (f"{name}/1/*.png", "Signer01")
    frames = sorted((folder / FRAMES / "dev").glob(pattern))
    show = name.split("_default-")[0]
    assert [path.name for path in frames[:2]] == [
        f"{show}.avi_pid0_fn00000{number}-0.png" for number in (0, 1)
    ]
    assert cv2.imread(str(frames[0])).shape == (260, 210, 3)
    # -T: its tables say /1/, but there is no such folder, and frames begin with 1.
    folder = rendered / "PHOENIX-2014-T"
    table = folder / "annotations/manual/PHOENIX-2014-T.dev.corpus.csv"
    header, line = table.read_text().splitlines()
    assert header == "name|video|start|end|speaker|orth|translation"
    name, pattern, start, end, signer, *_ = line.split("|")
    assert (pattern, start, end, signer) == (f"{name}/1/*.png", "-1", "-1", "Signer01")
    assert not list((folder / FRAMES / "dev").glob(pattern))
    assert (folder / FRAMES / "dev" / name / "images0001.png").is_file()
    assert not (folder / FRAMES / "dev" / name / "images0000.png").exists()
    assert not list(rendered.rglob(".*"))  # nothing half done


@pytest.mark.parametrize("kind", ["phoenix2014", "phoenix2014t"])
def test_a_rendered_release_is_read_back(rendered, kind):
    sentences, problems = list_sentences(rendered, kind)
    assert Counter(s.split for s in sentences) == {"train": 2, "dev": 1, "test": 1}
    assert problems == ([(BAD, BAD_SENTENCES[BAD])] if kind == "phoenix2014" else [])
    plans = {p.name: p for p in plan_corpus(kind, (2, 1, 1), 2, lengths=(1, 2))}
    for sentence in sentences:
        plan = plans[sentence.id]
        assert list(sentence.raw) == plan.text.split()
        meant = [find_gloss(label) for label in plan.labels if label not in SILENT]
        clean = partial(clean_hypothesis, corpus=kind)
        assert list(sentence.glosses) == clean(meant)
        assert sentence.signer == f"Signer{plan.signer:02d}"
        assert len(list(Path(sentence.path).glob("*.png"))) > 8
    assert next(s for s in sentences if s.split == "test").signer == "Signer02"
    assert find_corpus(rendered / RELEASES[kind].folder)[0] == kind


def test_rendering_goes_on_and_repeats(rendered, tmp_path):
    """A killed run left one sentence half done; other options are refused."""
    again = tmp_path / "again"
    shutil.copytree(rendered, again)
    frames = again / "phoenix-2014-multisigner" / FRAMES
    name = next((frames / "dev").iterdir()).name
    kept = (frames / "dev" / name / "1").iterdir()
    before = {path.name: path.read_bytes() for path in kept}
    part = frames / "dev/.part-killed"
    part.mkdir()
    shutil.move(frames / "dev" / name, part / name)
    for path in (part, part / name):
        os.utime(path, (1, 1))
    done = render(again)
    assert done.returncode == 0, done.stderr
    assert {p.name: p.read_bytes() for p in (frames / "dev" / name / "1").iterdir()} == before
    assert [path.name for path in (frames / "dev").iterdir()] == [name]
    refused = render(again, "--seed", "1")
    assert refused.returncode == 2
    assert "a corpus of other options. Give a new folder" in refused.stderr


@pytest.mark.parametrize("kind", LAYOUTS)
def test_plans_have_the_oddities_of_the_real_ones(kind):
    plans = plan_corpus(kind, (300, 40, 40))
    clean = partial(clean_hypothesis, corpus=kind)
    assert plans == plan_corpus(kind, (300, 40, 40))
    assert plans != plan_corpus(kind, (300, 40, 40), seed=1)
    assert len({plan.name for plan in plans}) == len(plans)
    split = {name: [p for p in plans if p.split == name] for name in ("train", "dev", "test")}
    text = "\n".join(plan.text for plan in split["train"])
    oddities = ["loc-", "cl-", "-PLUSPLUS", "NORDRAUM", *SILENT, "__ON__", "__PU__", "  ", " \n"]
    if kind != "phoenix2014t":
        oddities += ["poss-", "qu-", "lh-", "S0NNE", "HABEN2", " ZEIGEN "]
        dirty = [p for p in split["dev"] + split["test"] if clean(p.text.split()) != p.text.split()]
        assert not dirty
        assert plans[0].name == BAD
        assert plans[0].num_frames < len(plans[0].text.split())
    assert [oddity for oddity in oddities if oddity not in text] == []
    # Every gloss but one is in training; that one is in dev only.
    seen = {name: {g for p in part for g in clean(p.text.split())} for name, part in split.items()}
    assert seen["dev"] - seen["train"] == {UNSEEN}
    assert seen["test"] <= seen["train"]
    assert {g for gloss in GLOSSES for g in clean([gloss])} <= seen["train"]
    assert all(2 <= len(plan.labels) <= 20 for plan in plans)
    labels = [plan.labels for plan in split["train"]]
    assert any(a == b for row in labels for a, b in itertools.pairwise(row))
    # The last signer is never in training.
    signers = {name: {plan.signer for plan in part} for name, part in split.items()}
    assert signers["train"] == {1, 2, 3, 4}
    assert 5 in signers["test"]
    assert signers["dev"] == ({5} if kind == "phoenix2014_si5" else {1, 2, 3, 4})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("phoenix2014", (1, 1, 1), 1), "1 signers and 1, 1, 1 sentences; give at least 2"),
        (("phoenix2014", (1, 0, 1)), "5 signers and 1, 0, 1 sentences"),
        (("phoenix2014", (1, 1, 1), 2, 0, (4, 3)), "Sentences of 4 to 3 glosses"),
        (("phoenix", (1, 1, 1)), "Unknown kind 'phoenix'; known: phoenix2014"),
    ],
)
def test_plans_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        plan_corpus(*arguments)


def test_si5_is_told_from_multisigner(tmp_path):
    """Both in one folder, as they are released: the user must say which."""
    for kind in ("phoenix2014", "phoenix2014_si5"):
        folder = tmp_path / "phoenix2014-release" / RELEASES[kind].folder
        plans = plan_corpus(kind, (1, 1, 1), 2)
        for split in ("train", "dev", "test"):
            path = folder / RELEASES[kind].annotations.format(split)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(list_rows(plans, kind, split)))
        for plan in plans:
            (folder / FRAMES / plan.split / plan.name / "1").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"phoenix2014 and phoenix2014_si5\. Give --corpus"):
        list_sentences(tmp_path)
    sentences, _ = list_sentences(tmp_path, "phoenix2014_si5")
    assert {s.split: s.signer for s in sentences} == {
        "train": "Signer01",
        "dev": "Signer02",
        "test": "Signer02",
    }
    assert list_sentences(tmp_path / "phoenix2014-release/phoenix-2014-multisigner")[0]


def test_blanks_in_labels_and_a_gloss_called_null(release):
    folder, table = release
    lines = table.read_text().splitlines()
    cells = lines[-1].split("|")
    cells[-1] = ' NULL  loc-NORD   "GRAD  '
    table.write_text("\n".join([*lines[:-1], "|".join(cells), ""]))
    sentence = next(s for s in list_sentences(folder)[0] if s.id == cells[0])
    assert sentence.raw == ("NULL", "loc-NORD", '"GRAD')
    assert sentence.glosses == ("NULL", "NORD", '"GRAD')


def test_sentences_that_cannot_be_used_are_named(release):
    folder, table = release
    lines = table.read_text().splitlines()
    first, second = (line.split("|")[0] for line in lines[-2:])
    shutil.rmtree(folder / FRAMES / "train" / first)
    lines += ["empty|empty/1/*.png|Signer01|  ", "tag|tag/1/*.png|Signer01|__PU__"]
    table.write_text("\n".join(lines))
    sentences, problems = list_sentences(folder)
    assert [s.id for s in sentences if s.split == "train"] == [second]
    assert [name for name, _ in problems] == [BAD, first, "empty", "tag"]
    reasons = dict(problems)
    assert reasons[first].endswith(f"{FRAMES}/train/{first}/1 does not exist")
    assert reasons["empty"] == "no glosses"
    assert reasons["tag"] == "no glosses (only ('__PU__',))"
    shutil.rmtree(folder / FRAMES / "dev")
    with pytest.raises(
        ValueError, match=r"no sentence of dev can be used\. 5 of 7 sentences are left out"
    ):
        list_sentences(folder)


def test_unreadable_frames_are_named(release, tmp_path):
    folder, _ = release
    sentences, _ = list_sentences(folder)
    first = next(s for s in sentences if s.split == "train")
    frame = sorted(Path(first.path).iterdir())[3]
    frame.write_bytes(frame.read_bytes()[:60])
    left, problems = drop_unreadable(sentences, tmp_path)
    assert [s for s in sentences if s not in left] == [first]
    assert [name for name, _ in problems] == [first.id]
    assert frame.name in problems[0][1]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda t: t.replace("annotation", "glosses", 1),
            "the header is 'id.folder.signer.glosses",
        ),
        (lambda t: t.replace("Signer01|", "", 1), "line 2: the line has 3 columns; expected 4"),
        (lambda t: t + t.splitlines()[-1], "1 ids occur twice"),
        (lambda t: t.splitlines()[0] + "\n", "no training sentence"),
        (lambda t: "", "the header is ''; expected 'id|folder"),
    ],
)
def test_spoiled_tables_are_errors(release, spoil, message):
    folder, table = release
    table.write_text(spoil(table.read_text()))
    with pytest.raises(ValueError, match=message.replace("|", r"\|")) as error:
        list_sentences(folder)
    assert str(folder) in str(error.value)


def test_missing_parts_are_errors(release, tmp_path):
    folder, table = release
    table.write_bytes("id|folder|signer|annotation\nÜ".encode("latin-1"))
    with pytest.raises(ValueError, match=r"train\.corpus\.csv: not UTF-8"):
        list_sentences(folder)
    table.unlink()
    with pytest.raises(ValueError, match=r"train\.corpus\.csv: no such file"):
        list_sentences(folder)
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="contains no corpus"):
        list_sentences(tmp_path / "none")
    with pytest.raises(ValueError, match="Unknown corpus 'phoenix'; known: phoenix2014"):
        list_sentences(folder, "phoenix")


def test_a_csv_of_videos(tmp_path):
    for name in ("a", "b", "c"):
        write_video(tmp_path / f"{name}.avi", list(moving_square(4, (40, 40))), 25)
    (tmp_path / "frames").mkdir()
    table = tmp_path / "corpus.csv"
    table.write_text(
        "path,glosses,split,signer\na.avi,HELLO  YOU ,train,Ann\nb.avi,YOU WHO,val,Bob\n"
        "frames,YOU,train,Ann\nmissing.avi,YOU,train,Ann\n"
    )
    sentences, problems = list_sentences(table)
    assert [dataclasses.astuple(s)[1:4] for s in sentences] == [
        (str(tmp_path / "a.avi"), "Ann", "train"),
        (str(tmp_path / "b.avi"), "Bob", "dev"),
        (str(tmp_path / "frames"), "Ann", "train"),
    ]
    assert sentences[0].glosses == sentences[0].raw == ("HELLO", "YOU")
    assert problems == [("missing.avi", f"{tmp_path}/missing.avi does not exist")]
    (tmp_path / "a.avi").write_bytes(b"nothing")
    both = [sentences[1], dataclasses.replace(sentences[0], split="dev")]
    assert drop_unreadable(both, tmp_path)[0] == both[:1]
    with pytest.raises(
        ValueError, match=r"no sentence of train can be used\. 1 of 2 .* such as a\.avi"
    ):
        drop_unreadable(sentences[:2], tmp_path)
    table.write_text("path,glosses,split\na.avi,HELLO,sometimes\n")
    with pytest.raises(ValueError, match=r"corpus\.csv, line 2: a\.avi,HELLO,sometimes; expected"):
        list_sentences(table)
    table.write_text("path,label\na.avi,HELLO\n")
    with pytest.raises(ValueError, match="'path,label'; expected path,glosses,split"):
        list_sentences(table)


def sentence(split, glosses, raw=""):
    words = tuple(glosses.split())
    return Sentence(f"{split} {glosses}", "", "S1", split, tuple(raw.split()) or words, words)


CORPUS = [
    sentence("train", "NORD REGEN", "loc-NORD REGEN-PLUSPLUS"),
    sentence("train", "A B"),
    sentence("dev", "NORD NEBEL REGEN A+B"),
    sentence("test", "REGEN"),
]


def as_written(sentences):
    return [dataclasses.replace(sentence, glosses=sentence.raw) for sentence in sentences]


def test_the_vocabulary_is_of_training_only():
    vocabulary = list_vocabulary(CORPUS)
    assert vocabulary == ["A", "B", "NORD", "REGEN"]
    assert list_vocabulary(as_written(CORPUS)) == ["A", "B", "REGEN-PLUSPLUS", "loc-NORD"]
    with pytest.raises(ValueError, match="The 0 training sentences contain no gloss"):
        list_vocabulary(CORPUS[2:])


def test_the_floor_of_the_rate():
    """What no output can match: letters count once joined, raw glosses once cleaned."""
    for corpus in (CORPUS, as_written(CORPUS)):
        vocabulary = list_vocabulary(corpus)
        floor = find_unseen(CORPUS, vocabulary, "phoenix2014t")
        assert floor["dev"].counts == {"NEBEL": 1}
        assert (floor["dev"].share, floor["test"].share) == (25, 0)
        assert find_unseen(CORPUS, vocabulary, "phoenix2014")["dev"].counts.keys() == {
            "NEBEL",
            "A+B",
        }
    text = summarize_corpus(CORPUS, [(BAD, "bad")] * 12, list_vocabulary(CORPUS), "phoenix2014t")
    assert text.splitlines()[:5] == [
        "train: 2 sentences, 4 glosses, 1 signers",
        "dev: 1 sentences, 4 glosses, 1 signers; 25.00 % never occur in training, "
        "which is the lowest possible WER (NEBEL x1)",
        "test: 1 sentences, 1 glosses, 1 signers; 0.00 % never occur in training, "
        "which is the lowest possible WER",
        "vocabulary: 4 glosses",
        f"left out: {BAD}: bad",
    ]
    assert text.endswith("left out: 2 more sentences")


def test_every_release_has_a_layout():
    found = {name for name, row in CORPORA.items() if not row.named}
    assert set(LAYOUTS) == set(RELEASES) == found - {"csv"}


def test_a_release_is_cleaned_by_another_rule_only_where_it_is_named(rendered):
    folder = rendered / "PHOENIX-2014-T"
    assert find_corpus(folder)[0] == "phoenix2014t"
    assert find_corpus(folder, "phoenix2014t_corrnet") == ("phoenix2014t_corrnet", folder)
    every = [list_sentences(folder, corpus) for corpus in ("", "phoenix2014t_corrnet")]
    assert [s.raw for s in every[0][0]] == [s.raw for s in every[1][0]]
