"""The word error rate against sclite's own counts, and what is read off an alignment."""

import json
import random
from pathlib import Path

from utils.signing.sclite import find_sclite, run_sclite, write_ctm, write_stm
from utils.signing.wer import (
    Score,
    align,
    align_corpus,
    count_confusions,
    count_errors,
    format_alignment,
    list_worst,
    score_corpus,
)

import pytest

REFERENCE = Path(__file__).parent.parent.parent / "shared" / "reference" / "wer_sclite.json"
# Worked by hand, and the same by sclite 2.4.10: (substitutions, deletions, insertions).
PAIRS = [
    ("A B C", "A B C", (0, 0, 0)),
    ("A B C", "", (0, 3, 0)),
    ("", "A B", (0, 0, 2)),
    ("", "", (0, 0, 0)),
    ("A", "A B C", (0, 0, 2)),
    ("A B C", "B C", (0, 1, 0)),
    ("A B C", "A X C", (1, 0, 0)),
    ("A B", "B A", (0, 1, 1)),  # 6, where two substitutions would cost 8
    ("A B C", "C B A", (2, 0, 0)),
    ("A B C D E", "D E X Y Z", (0, 3, 3)),
    ("A A B", "A B B", (1, 0, 0)),
    ("A B C D", "B C D E", (0, 1, 1)),
    ("A B C", "X Y Z", (3, 0, 0)),
    ("A B A B", "B A B A", (0, 1, 1)),
    ("A B", "X A B Y", (0, 0, 2)),
    ("A B C D E F", "A X Y D F E", (2, 1, 1)),
    ("Regen SONNE", "REGEN sonne", (0, 0, 0)),
    ("Ü", "ü", (1, 0, 0)),  # sclite folds ASCII letters only
]


def kinds(reference, hypothesis):
    score = count_errors(align(reference.split(), hypothesis.split()))
    assert score.words == len(reference.split())
    return score.substitutions, score.deletions, score.insertions


@pytest.mark.parametrize(("reference", "hypothesis", "errors"), PAIRS)
def test_errors_by_hand(reference, hypothesis, errors):
    assert kinds(reference, hypothesis) == errors


@pytest.mark.skipif(not REFERENCE.is_file(), reason="needs ../shared/reference")
def test_errors_are_those_of_sclite():
    pairs = json.loads(REFERENCE.read_text())["pairs"]
    assert len(pairs) == 500
    for pair in pairs:
        expected = tuple(pair[kind] for kind in ("substitutions", "deletions", "insertions"))
        assert kinds(pair["reference"], pair["hypothesis"]) == expected, pair


def random_pairs(count, seed=0):
    draw = random.Random(seed)
    for _ in range(count):
        yield [[draw.choice("ABCDE") for _ in range(draw.randint(1, 9))] for _ in range(2)]


def test_totals_are_never_below_the_edit_distance():
    """jiwer counts the fewest errors; sclite's weights prefer a match to few errors."""
    jiwer = pytest.importorskip("jiwer")
    ours, theirs = [], []
    for reference, hypothesis in [*random_pairs(400), ("A B C D E".split(), "D E X Y Z".split())]:
        found = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
        theirs.append(found.substitutions + found.deletions + found.insertions)
        ours.append(count_errors(align(reference, hypothesis)).errors)
    assert all(a >= b for a, b in zip(ours, theirs, strict=True))
    assert sum(a == b for a, b in zip(ours, theirs, strict=True)) > 300
    assert (ours[-1], theirs[-1]) == (6, 5)


def test_alignments_spell_both_sides():
    for reference, hypothesis in random_pairs(50, seed=1):
        alignment = align(reference, hypothesis)
        assert [word for word, _ in alignment if word is not None] == reference
        assert [word for _, word in alignment if word is not None] == hypothesis
        assert (None, None) not in alignment


CORPUS = (
    {"a": ["NORD", "REGEN", "STARK"], "b": ["SONNE"], "c": ["MORGEN", "WIND"]},
    {"a": ["NORD", "SONNE"], "b": ["SONNE"], "c": ["MORGEN", "WIND", "WIND"]},
)


def test_a_corpus_is_one_rate_not_a_mean():
    alignments = align_corpus(*CORPUS)
    assert score_corpus(alignments) == Score(6, 1, 1, 1)
    assert score_corpus(alignments).wer == pytest.approx(50)
    signers = score_corpus(alignments, {"a": "S2", "b": "S1", "c": "S2"})
    assert list(signers) == ["S1", "S2"]
    assert (signers["S1"].wer, signers["S2"].wer) == (0, pytest.approx(60))
    text = str(score_corpus(alignments))
    assert text == "WER 50.00 % (sub 16.67, del 16.67, ins 16.67; 3 errors in 6 words)"


def test_worst_sentences_and_confusions():
    alignments = align_corpus(*CORPUS)
    assert list_worst(alignments, 5) == ["a", "c"]
    assert list_worst(alignments, 1) == ["a"]
    alignments["d"] = align(["STARK"], ["SONNE"])
    assert format_alignment(alignments["a"]).splitlines()[-1].split() == ["D", "S"]
    assert count_confusions(alignments)[0] == (("STARK", "SONNE"), 2)
    assert set(count_confusions(alignments)[1:]) == {((None, "WIND"), 1), (("REGEN", None), 1)}


def test_alignments_are_readable_columns():
    shown = format_alignment(align("NORD REGEN STARK".split(), "NORD SONNE STARK WIND".split()))
    assert shown.splitlines() == [
        "REF:  NORD  REGEN  STARK  ****",
        "HYP:  NORD  SONNE  STARK  WIND",
        "            S             I",
    ]


def test_what_cannot_be_scored_is_an_error():
    with pytest.raises(ValueError, match="no sentence"):
        align_corpus({}, {})
    with pytest.raises(ValueError, match="2 sentences are in only one of the two, such as a, b"):
        align_corpus({"a": ["X"]}, {"b": ["X"]})
    with pytest.raises(ValueError, match=r"no words \(1 were inserted\)"):
        _ = score_corpus(align_corpus({"a": []}, {"a": ["X"]})).wer


def test_files_of_sclite(tmp_path):
    write_stm(tmp_path / "r.stm", {"b x": ["NORD"], "a": ["REGEN", "WIND"]}, {"a": "S1", "b x": ""})
    write_ctm(tmp_path / "h.ctm", {"b x": [], "a": ["REGEN", "__ON__"]})
    assert (tmp_path / "r.stm").read_text().splitlines() == [
        "a 1 S1 0.00 1000000.00 REGEN WIND",
        "b%20x 1 unknown 0.00 1000000.00 NORD",
    ]
    assert (tmp_path / "h.ctm").read_text().splitlines() == [
        "a 1 0.00 0.50 REGEN",
        "a 1 0.50 0.50 __ON__",
    ]
    control = ("IGNORE_TIME_SEGMENT_IN_SCORING", "ignore_time_segment_in_scoring2", "<ALT>")
    for word in ("@", "A{B", "A B", "", "A\n", *control):
        with pytest.raises(ValueError, match="Sentence a: sclite cannot read"):
            write_ctm(tmp_path / "h.ctm", {"a": [word]})
    write_stm(tmp_path / "label.stm", {"a": ["<o,f0,m>", "B"]})
    assert "1000000.00 <o> <o,f0,m> B" in (tmp_path / "label.stm").read_text()
    assert "__ON__" in (tmp_path / "h.ctm").read_text()


# What sclite 2.4.10 prints of `CORPUS`.
PRINTED = """
        | SPKR | # Snt # Wrd | Corr    Sub    Del    Ins    Err  S.Err |
        |------+-------------+-----------------------------------------|
        | s1   |    3      6 |    4      1      1      1      3      2 |
        |==============================================================|
        | Sum  |    3      6 |    4      1      1      1      3      2 |
        |==============================================================|
        | Mean |  3.0    6.0 |  4.0    1.0    1.0    1.0    3.0    2.0 |
"""


def test_figures_of_sclite_are_read(tmp_path, monkeypatch):
    """A program of that name, which prints what sclite printed, and once fails."""
    (tmp_path / "out.txt").write_text(PRINTED)
    program = tmp_path / "sclite"
    program.write_text(f"#!/bin/sh\n/bin/cat {tmp_path}/out.txt\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    files = tmp_path / "r.stm", tmp_path / "h.ctm"
    write_stm(files[0], CORPUS[0])
    write_ctm(files[1], CORPUS[1])
    assert run_sclite(*files) == score_corpus(align_corpus(*CORPUS))
    program.write_text("#!/bin/sh\necho not a stm >&2\nexit 1\n")
    with pytest.raises(ValueError, match=r"did not score .*r\.stm.*status 1.*not a stm"):
        run_sclite(*files)
    monkeypatch.setenv("PATH", "")
    assert run_sclite(*files) is None


@pytest.mark.skipif(find_sclite() is None, reason="needs sclite (Debian: sctk)")
def test_sclite_itself_agrees(tmp_path):
    pairs = {f"s {i}": pair for i, pair in enumerate(random_pairs(100, seed=2))}
    references = {name: reference for name, (reference, _) in pairs.items()}
    hypotheses = {name: hypothesis for name, (_, hypothesis) in pairs.items()}
    hypotheses["s 0"] = hypotheses["s 99"] = []
    references["label"], hypotheses["label"] = ["<o,f0,m>", "A"], ["<o,f0,m>", "B"]
    write_stm(tmp_path / "r.stm", references)
    write_ctm(tmp_path / "h.ctm", hypotheses)
    found = run_sclite(tmp_path / "r.stm", tmp_path / "h.ctm")
    assert found == score_corpus(align_corpus(references, hypotheses))
