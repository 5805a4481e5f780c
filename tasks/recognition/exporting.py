"""What a recognizer becomes where it is served, and the sentences that it is tried on."""

from models.ctc import decode, name_classes
from models.exporting.serving import serve_recognizer
from models.recognizer import count_pooled, output_lengths
from tasks.export_subject import CALIBRATION, check_preprocessing, pick_form, pick_spread
from tasks.recognition.scoring import choose_sentences
from tasks.recognition.transcription import load_recognizer, read_features, spell
from utils.runs.folders import load_changed, load_data
from utils.signing.batches import pad_rows
from utils.signing.corpora import find_corpus, list_sentences, load_sentences
from utils.signing.row_changes import read_sentence
from utils.signing.wer import align_corpus, score_corpus
from utils.system.words import print_line

import keras


def _choose_sentences(options, params, own):
    """Return (sentences to compare, more to calibrate on, their inputs, the corpus)."""
    corpus, sentences = params.corpus, own
    if options.data_path:
        corpus = find_corpus(options.data_path)[0]
        sentences, _ = list_sentences(options.data_path, needs_frames=False)
    splits = {sentence.split for sentence in sentences}
    chosen, _ = choose_sentences(sentences, "dev" if "dev" in splits else "")
    chosen = pick_spread(chosen, options.count)
    more = [sentence for sentence in own if sentence.split == "train"]
    more = pick_spread(more, CALIBRATION) if options.calibrating else []
    kept, inputs, problems = read_features(chosen + more, params)
    for name, problem in problems:
        print_line(f"  problem: {name}: {problem}")
    chosen = [sentence for sentence in chosen if sentence in kept]
    if not chosen:
        raise ValueError(
            f"{params.features} has no features of the sentences to compare on. Give --data-path."
        )
    return chosen, [sentence for sentence in more if sentence in kept], inputs, corpus


class SentenceSubject:
    """A recognizer's subject, as in `tasks.export_subject`.

    Args:
        options: `tasks.options.ExportOptions`.

    Raises:
        ValueError: no run, no network, nothing to compare on, or what is not for recognizers.
    """

    def __init__(self, options):
        run, params = options.run, load_changed(options.run, features=options.features)
        check_preprocessing(options, params)
        if options.format == "litert":
            raise ValueError(
                f"{run} reads sentences of any length in loops, for which LiteRT has no "
                "operations. Give savedmodel, onnx or keras."
            )
        if options.videos:
            raise ValueError(
                f"{run} recognizes sentences from features. Give --data-path instead of videos."
            )
        own, self.vocabulary = load_data(run, load_sentences)
        self.params, self.network = params, load_recognizer(run, params.features)
        chosen, more, self.inputs, self.corpus = _choose_sentences(options, params, own)
        self.sentences = chosen + more
        self.checked, self.calibrating = len(chosen), len(more)
        self.metadata = self._describe(self.serve(None))

    def _describe(self, served):
        return {
            "task": "recognition",
            "network": self.params.network,
            "activation": "softmax",
            "class_names": name_classes(self.vocabulary),
            "thresholds": [],
            "input": {
                "features": {
                    "shape": served.input["features"].shape,
                    "dtype": "float32",
                    "values": "rows of features, padded at the end",
                },
                "lengths": {"shape": (None,), "dtype": "int32", "values": "rows that are real"},
            },
            "output": {"probabilities": {"shape": served.output["probabilities"].shape}},
            "rows_a_step": count_pooled(self.params.front),
        }

    def serve(self, flat):
        return serve_recognizer(pick_form(self.network, flat))

    def read(self, index):
        rows = read_sentence(self.inputs[self.sentences[index].path])
        return rows, rows

    def join(self, arrays):
        return pad_rows(arrays, [max(map(len, arrays))])

    def answer(self, inputs):
        probabilities = keras.ops.softmax(self.network(inputs, training=False)[:, 0])
        return keras.ops.convert_to_numpy(probabilities)

    def split(self, probabilities, inputs):
        steps = output_lengths(inputs["lengths"], self.params.front)
        return [rows[:count] for rows, count in zip(probabilities, steps, strict=True)]

    def score(self, answers):
        found = [decode(rows[None], [len(rows)])[0] for rows in answers]
        sentences = self.sentences[: self.checked]
        references, hypotheses = spell(found, sentences, self.vocabulary, self.corpus)
        return {"WER": score_corpus(align_corpus(references, hypotheses)).wer}
