"""What a recognizer is worth: on sentences that are new, and beside one that needs no network.

A sentence is known where a training sentence has the same glosses. The other one answers with the
glosses of the training sentence whose rows are most similar (`utils.signing.nearest`).
"""

from models.recognizer import see_rows
from tasks.recognition.transcription import read_features
from utils.signing.cleaning import clean_hypothesis
from utils.signing.nearest import POINTS, find_nearest
from utils.signing.row_changes import read_sentence
from utils.signing.wer import score_corpus

MOST_NUMBERS = 2**28  # of all training sentences' rows as they are compared: 1 GiB


def find_known(references, training):
    """Return the ids of sentences whose glosses a training sentence has.

    Args:
        references: {id: glosses}, cleaned.
        training: list of `Sentence`.
    """
    sequences = {tuple(sentence.glosses) for sentence in training}
    return {name for name, words in references.items() if tuple(words) in sequences}


def score_apart(alignments, known):
    """Return {"wer", "known", "new"}: the WER of all, of the sentences known and of the others.

    None where there are no glosses.
    """
    groups = {name: "known" if name in known else "new" for name in alignments}
    scores = score_corpus(alignments, groups)
    parts = {part: scores.get(part) for part in ("known", "new")}
    every = {"wer": score_corpus(alignments)} | parts
    return {
        name: round(score.wer, 3) if score and score.words else None
        for name, score in every.items()
    }


def answer_by_nearest(network, sentences, inputs, training, params):
    """Answer with the glosses of the most similar training sentence.

    Args:
        network: a recognizer; rows are compared as its first convolution sees them.
        sentences: list of `Sentence`.
        inputs: {path: `VideoFeatures`} of them.
        training: list of `Sentence`.
        params: `Params` of the run, with its own features.

    Returns:
        {id: glosses}, cleaned.

    Raises:
        ValueError: the features of the training sentences cannot be read, or are too many.
    """
    columns = network.get_layer("normalize").moving_mean.shape[0]
    if len(training) * POINTS * columns > MOST_NUMBERS:
        raise ValueError(f"{len(training)} training sentences are too many to compare with.")
    training, own, _ = read_features(training, params)
    rows = [see_rows(network, read_sentence(own[s.path])) for s in training]
    asked = [see_rows(network, read_sentence(inputs[s.path])) for s in sentences]
    places = find_nearest(asked, rows)
    return {
        s.id: clean_hypothesis(training[place].glosses, params.corpus)
        for s, place in zip(sentences, places, strict=True)
    }
