"""The recall of each gloss and how alike answers are: worked by hand, kept and drawn."""

from tasks.recognition.transcription import Decoded, Transcript, sum_up
from utils.pictures.recognition_plot import list_rows, plot_recognition
from utils.signing.recall import PathTable, RecallTable
from utils.signing.releases import Sentence
from utils.signing.wer import measure_recall

import cv2
import numpy as np
import pytest
from matplotlib.colors import to_rgb

REFERENCES = {"a": "NORD REGEN REGEN".split(), "b": ["SONNE"], "c": "REGEN WIND".split()}
TRAINING = ["REGEN"] * 3 + ["WIND", "SONNE"], ["SONNE"]


def transcribe(*answers):
    said = dict(zip(REFERENCES, map(str.split, answers), strict=True))
    return Transcript(REFERENCES, said, Decoded([], 0.9, 0.5, None))


def test_numbers_worked_by_hand():
    found = transcribe("NORD REGEN", "REGEN", "WIND SONNE")
    alignments = found.align()
    # a: one REGEN is deleted; b: SONNE becomes REGEN; c: REGEN is deleted, SONNE inserted.
    recalls = {"NORD": 1, "REGEN": pytest.approx(1 / 3), "SONNE": 0, "WIND": 1}
    assert measure_recall(alignments) == recalls
    numbers = sum_up(found, alignments)
    assert numbers["val_top_gloss"] == 2 / 5 and numbers["val_top_gloss_reference"] == 3 / 6
    assert numbers["val_glosses"] == 4 / 4 and numbers["val_empty"] == 0


def test_collapse_is_seen():
    one = transcribe("REGEN", "REGEN", "")
    numbers = sum_up(one, one.align())
    assert numbers["val_top_gloss"] == 1 and numbers["val_glosses"] == 1 / 4
    assert numbers["val_empty"] == pytest.approx(1 / 3)
    none = transcribe("", "", "")
    numbers = sum_up(none, none.align())
    assert "val_top_gloss" not in numbers and numbers["val_glosses"] == 0
    assert set(measure_recall(none.align()).values()) == {0}


def test_a_table_goes_on_and_repeats_no_epoch(tmp_path):
    path = tmp_path / "recall.csv"
    table = RecallTable(path, TRAINING, REFERENCES.values())
    table.keep(3, {"REGEN": 1 / 3, "NORD": 0.0})  # of a run of an older version, gone on with
    table.keep(4, {"REGEN": 2 / 3, "NORD": 0.0, "SONNE": 1})
    again = RecallTable(path, TRAINING, REFERENCES.values())
    again.keep(4, {"REGEN": 1.0})
    assert path.read_text().splitlines() == [
        "gloss,train,dev,3,4",
        "REGEN,3,3,0.3333,1.0",
        "SONNE,2,1,,",
        "WIND,1,1,,",
        "NORD,0,1,0.0,",
    ]
    stacked = RecallTable(path, TRAINING, REFERENCES.values()).stack([1, 3, 4])
    np.testing.assert_array_equal(stacked[0], [np.nan, 0.3333, 1])
    path.write_text(path.read_text().replace("1.0", "x"))
    with pytest.raises(ValueError, match=r"recall\.csv is damaged: .*'x'.* Move it away"):
        RecallTable(path, TRAINING, REFERENCES.values())
    path.write_text("")
    with pytest.raises(ValueError, match=r"recall\.csv is damaged"):
        RecallTable(path, TRAINING, REFERENCES.values())


def test_what_each_step_says_is_kept(tmp_path):
    path = tmp_path / "steps.csv"
    table = PathTable(path, None, ["NORD", "=WIND"])
    table.keep(1, ["", "", ""])
    table.keep(3, ["NORD", "", "=WIND"])
    again = PathTable(path, None, ["NORD", "=WIND"])
    assert again.stack([1, 2, 3]) == [["", None, "NORD"], ["", None, ""], ["", None, "=WIND"]]
    again.keep(3, ["", "NORD", "REGEN"])
    lines = path.read_text().splitlines()
    assert lines == ["step,1,3", "0,,", "1,,NORD", "2,,REGEN"]
    path.write_text("step,1,3\n0,\n")
    with pytest.raises(ValueError, match=r"steps\.csv is damaged"):
        PathTable(path, None, [])


def make_table(path, count, epochs):
    names = [f"=GLOSS{place:04}" for place in range(count)]  # a formula, were it not guarded
    training = [[name] * (count // (place + 1)) for place, name in enumerate(names)]
    table = RecallTable(path, training, [names])
    table.epochs = {n: dict.fromkeys(names, n / epochs) for n in range(1, epochs)}
    table.keep(epochs, dict.fromkeys(names, 1.0))
    return table


def test_many_glosses_share_rows(tmp_path):
    table = make_table(tmp_path / "recall.csv", 1200, 2)
    table = RecallTable(table.path, [table.train.elements()], [table.dev])
    names, rows = list_rows(table, table.stack([1, 2]))
    assert len(rows) == len(names) <= 45 and names[0] == "=GLOSS0000 (1200)"
    assert names[-1] == "600 others (1)" and names[-2] == "300 others (2 to 3)"
    np.testing.assert_allclose(rows, [[0.5, 1]] * len(rows))


def test_a_band_counts_occurrences():
    training = [[f"A{place}"] * 9 for place in range(36)] + [["B", "C"]]
    table = RecallTable("none.csv", training, [["B"] * 3 + ["C"], *training[:36]])
    recalls = np.zeros((38, 1))
    recalls[36] = 1  # B, three of the four
    assert list_rows(table, recalls)[1][-1] == 0.75


def make_steps(folder, epochs, count=2):
    glosses = tuple(f"GLOSS{place}" for place in range(min(count, 30)))
    table = PathTable(folder / "steps.csv", Sentence("a", "a.mp4", "", "dev", glosses), glosses)
    table.keep(epochs, ["", *glosses, "ANOTHER"])
    return table


@pytest.mark.parametrize(("glosses", "epochs"), [(1, 1), (3, 2), (1200, 200)])
def test_runs_of_all_sizes_are_drawn(tmp_path, glosses, epochs):
    table = make_table(tmp_path / "recall.csv", glosses, epochs)
    numbers = {"val_wer": 100.0, "val_blanks": 1.0, "val_empty": 1.0, "val_glosses": 0.0}
    history = [{"epoch": n, "loss": 9.0} | numbers for n in range(1, epochs + 1)]
    steps = make_steps(tmp_path, epochs, glosses)
    plot_recognition(history, table, steps, tmp_path / "a.png", "run, sentences: 3 train, 1 dev")
    height, width, _ = cv2.imread(str(tmp_path / "a.png")).shape
    assert width == 1400 and height < 4200


def test_what_is_drawn(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "utils.pictures.recognition_plot.save_figure", lambda figure, *_: drawn.append(figure)
    )
    table = RecallTable(tmp_path / "recall.csv", TRAINING, REFERENCES.values())
    table.keep(2, dict.fromkeys(table.glosses, 0.0))
    table.keep(3, dict.fromkeys(table.glosses, 1.0))
    history = [{"epoch": n, "loss": 1.0, "val_top_gloss_reference": 0.5} for n in (1, 2, 3)]
    plot_recognition(history, table, make_steps(tmp_path, 3), tmp_path / "a.png", "run")
    errors, shares, steps, recalls = drawn[0].axes[:4]
    cells = steps.get_images()[0].get_array()
    assert (cells[:, :2] == to_rgb("0.85")).all()  # of epochs that were not measured
    assert [tuple(cell) for cell in cells[:, 2]] == [*map(to_rgb, ("white", "C0", "C1", "0.45"))]
    names = [text.get_text() for text in steps.get_legend().get_texts()]
    assert names == ["GLOSS0", "GLOSS1", "another gloss"]
    (image,) = recalls.get_images()
    assert np.ma.masked_invalid(image.get_array()).mask[:, 0].all()
    assert [*image.get_array()[0, 1:]] == [0, 1]
    assert recalls.get_yticklabels()[0].get_text() == "REGEN (3)"
    assert errors.get_ylabel() == "WER on dev in %" and shares.get_xlabel() == "epoch"
    assert 0.5 in {line.get_ydata()[0] for line in shares.lines if len(line.get_ydata())}
