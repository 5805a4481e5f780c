"""Word error rate, aligned and counted as NIST's sclite does it.

An insertion or a deletion costs 3, a substitution 4, a match nothing; the case of ASCII letters is
no matter. A corpus' rate is all errors by all reference words, not a mean over sentences.
"""

from collections import Counter
from dataclasses import dataclass

_INSERTION, _DELETION, _SUBSTITUTION = 3, 3, 4


@dataclass(frozen=True)
class Score:
    """Counted words and errors; scores can be added.

    Attributes:
        words: of the reference.
        substitutions, deletions, insertions: errors of each kind.
    """

    words: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    def __add__(self, other):
        return Score(*(a + b for a, b in zip(self._counts(), other._counts(), strict=True)))

    def _counts(self):
        return self.words, self.substitutions, self.deletions, self.insertions

    @property
    def errors(self):
        """Errors of all kinds."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def wer(self):
        """Errors in percent of the reference's words; may exceed 100.

        Raises:
            ValueError: the reference has no word, so there is no rate.
        """
        if not self.words:
            raise ValueError(
                "There is no word error rate, because the reference has no words "
                f"({self.insertions} were inserted). Score sentences that have glosses."
            )
        return 100 * self.errors / self.words

    def __str__(self):
        kinds = zip(("sub", "del", "ins"), self._counts()[1:], strict=True)
        shares = ", ".join(
            f"{kind} {100 * count / max(self.words, 1):.2f}" for kind, count in kinds
        )
        return f"WER {self.wer:.2f} % ({shares}; {self.errors} errors in {self.words} words)"


def _fold(word):
    return word.encode().lower()  # bytes: ASCII letters only


def _fill_costs(reference, hypothesis):
    """Return costs[i][j], the least cost of aligning the first i and the first j words."""
    costs = [[_INSERTION * j for j in range(len(hypothesis) + 1)]]
    for i, word in enumerate(reference, 1):
        above, row = costs[-1], [_DELETION * i]
        for j, other in enumerate(hypothesis, 1):
            change = 0 if word == other else _SUBSTITUTION
            row.append(min(above[j - 1] + change, row[-1] + _INSERTION, above[j] + _DELETION))
        costs.append(row)
    return costs


def align(reference, hypothesis):
    """Align two sequences of words.

    Traced back from the end; among equal costs a match goes before a substitution, that before an
    insertion, that before a deletion: then the counts are sclite's own.

    Args:
        reference, hypothesis: sequences of words, perhaps empty.

    Returns:
        List of (reference word, hypothesis word), one of them None for an insertion or a deletion.
    """
    left, right = [_fold(word) for word in reference], [_fold(word) for word in hypothesis]
    costs = _fill_costs(left, right)
    pairs, i, j = [], len(left), len(right)
    while i or j:
        change = _SUBSTITUTION if i and j and left[i - 1] != right[j - 1] else 0
        if i and j and costs[i][j] == costs[i - 1][j - 1] + change:
            i, j = i - 1, j - 1
            pairs.append((reference[i], hypothesis[j]))
        elif j and costs[i][j] == costs[i][j - 1] + _INSERTION:
            j -= 1
            pairs.append((None, hypothesis[j]))
        else:
            i -= 1
            pairs.append((reference[i], None))
    return pairs[::-1]


def _kind(pair):
    """Return "I", "D", "S", or "" for a match."""
    word, other = pair
    if word is None or other is None:
        return "I" if word is None else "D"
    return "" if _fold(word) == _fold(other) else "S"


def count_errors(alignment):
    """Return the `Score` of what `align` returned."""
    kinds = Counter(map(_kind, alignment))
    return Score(len(alignment) - kinds["I"], kinds["S"], kinds["D"], kinds["I"])


def align_corpus(references, hypotheses):
    """Align all sentences of a corpus.

    Args:
        references, hypotheses: dicts of sentence id: sequence of words, of the same ids.

    Returns:
        Dict of id: alignment, in the order of the references.

    Raises:
        ValueError: no sentence, or ids that only one of the two has.
    """
    lonely = sorted(references.keys() ^ hypotheses.keys())
    if lonely:
        raise ValueError(
            f"The {len(references)} references and {len(hypotheses)} hypotheses are not of "
            f"the same sentences. {len(lonely)} sentences are in only one of the two, such "
            f"as {', '.join(lonely[:3])}."
        )
    if not references:
        raise ValueError("There is no sentence to score.")
    return {name: align(words, hypotheses[name]) for name, words in references.items()}


def score_corpus(alignments, groups=None):
    """Add up the errors of all sentences, or of each group of them.

    Args:
        alignments: dict of id: alignment.
        groups: dict of id: group, such as the signer; None for all in one.

    Returns:
        A `Score`; with groups, a dict of group: `Score`, sorted by group.
    """
    scores = {name: count_errors(alignment) for name, alignment in alignments.items()}
    if groups is None:
        return sum(scores.values(), Score())
    return {
        group: sum((score for name, score in scores.items() if groups[name] == group), Score())
        for group in sorted({groups[name] for name in scores})
    }


def measure_recall(alignments):
    """Return {word: recall}, the share of its occurrences in the references that are recognized.

    Args:
        alignments: dict of id: alignment.
    """
    pairs = [pair for alignment in alignments.values() for pair in alignment if pair[0] is not None]
    counts, found = Counter(), Counter()
    for pair in pairs:
        counts[pair[0]] += 1
        found[pair[0]] += not _kind(pair)
    return {word: found[word] / count for word, count in counts.items()}


def find_constant(references):
    """Return (gloss, WER) of the gloss that, given as every sentence's answer, makes fewest errors.

    Each answer is right in the sentences that have the gloss, and one substitution elsewhere.

    Args:
        references: {id: glosses}.

    Raises:
        ValueError: no sentence has a gloss.
    """
    words = sum(map(len, references.values()))
    counts = Counter(gloss for glosses in references.values() for gloss in set(glosses))
    if not counts:
        raise ValueError("No sentence has a gloss, so no answer can be right.")
    gloss, count = counts.most_common(1)[0]
    empty = sum(not glosses for glosses in references.values())  # where an answer is an insertion
    return gloss, 100 * (words - count + empty) / words


def list_worst(alignments, count):
    """Return the ids of the `count` sentences with most errors, the most errors a word first."""
    scores = {name: count_errors(alignment) for name, alignment in alignments.items()}

    def badness(name):
        return -scores[name].errors, -scores[name].errors / max(scores[name].words, 1), name

    return sorted((name for name, score in scores.items() if score.errors), key=badness)[:count]


def format_alignment(alignment):
    """Write an alignment as three lines in columns: reference, hypothesis, kinds of errors."""
    columns = []
    for word, other in alignment:
        width = max(len(word or ""), len(other or ""))
        shown = (word or "*" * width, other or "*" * width, _kind((word, other)))
        columns.append([cell.ljust(width) for cell in shown])
    lines = zip(("REF:", "HYP:", "    "), *columns, strict=True)
    return "\n".join("  ".join(cells).rstrip() for cells in lines)


def count_confusions(alignments):
    """Count the pairs of words that were taken for each other.

    Args:
        alignments: dict of id: alignment.

    Returns:
        List of ((reference word, hypothesis word), count), the most frequent first; a None in a
        pair stands for a deletion or an insertion.
    """
    pairs = Counter(pair for alignment in alignments.values() for pair in alignment if _kind(pair))
    return sorted(pairs.items(), key=lambda item: (-item[1], str(item[0])))
