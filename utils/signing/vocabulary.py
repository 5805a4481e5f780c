"""Vocabularies of glosses: which there are, and what they can never score."""

from collections import Counter
from functools import partial
from typing import NamedTuple

from utils.signing.cleaning import clean_hypothesis


def list_vocabulary(sentences):
    """List the glosses of the training sentences, each once, sorted: a recognizer knows no others.

    Args:
        sentences: list of `utils.signing.releases.Sentence`.

    Raises:
        ValueError: no gloss there.
    """
    training = [sentence for sentence in sentences if sentence.split == "train"]
    glosses = {gloss for sentence in training for gloss in sentence.glosses}
    if not glosses:
        raise ValueError(f"The {len(training)} training sentences contain no gloss.")
    return sorted(glosses)


class Unseen(NamedTuple):
    """The glosses of a split that no output can match.

    Attributes:
        tokens: how many glosses its references have.
        counts: `Counter` of those that cannot be recognized.
    """

    tokens: int
    counts: Counter

    @property
    def share(self):
        """Percent of the tokens; no WER of this vocabulary can be lower."""
        return 100 * self.counts.total() / self.tokens


def find_unseen(sentences, vocabulary, corpus):
    """Find the glosses of dev and test that a vocabulary cannot spell, once cleaned.

    Args:
        sentences: list of `utils.signing.releases.Sentence`.
        vocabulary: list of glosses, raw or cleaned.
        corpus: a key of `utils.signing.cleaning.CLEANINGS`, by whose rules hypotheses are cleaned.

    Returns:
        Dict of split: `Unseen`.
    """
    clean, known = partial(clean_hypothesis, corpus=corpus), set(vocabulary)
    reached = {gloss for word in known for gloss in clean([word])}

    def can_be_spelled(gloss):
        letters = gloss.split("+")
        return gloss in reached or (known.issuperset(letters) and clean(letters) == [gloss])

    found = {}
    for split in ("dev", "test"):
        tokens = [gloss for s in sentences if s.split == split for gloss in s.glosses]
        if tokens:
            unseen = Counter(gloss for gloss in tokens if not can_be_spelled(gloss))
            found[split] = Unseen(len(tokens), unseen)
    return found


def summarize_corpus(sentences, problems, vocabulary, corpus):
    """Describe a corpus in a few lines, with the floor that its vocabulary sets to the WER.

    Args:
        sentences, problems: as `utils.signing.corpora.list_sentences` returns them.
        vocabulary, corpus: as in `find_unseen`.

    Returns:
        Text of several lines.
    """
    lines = []
    unseen = find_unseen(sentences, vocabulary, corpus)
    for split, count in Counter(sentence.split for sentence in sentences).items():
        chosen = [sentence for sentence in sentences if sentence.split == split]
        tokens = sum(len(sentence.glosses) for sentence in chosen)
        signers = len({sentence.signer for sentence in chosen})
        line = f"{split}: {count} sentences, {tokens} glosses, {signers} signers"
        if split in unseen:
            lost = ", ".join(f"{gloss} x{n}" for gloss, n in unseen[split].counts.most_common(5))
            line += (
                f"; {unseen[split].share:.2f} % never occur in training, which is the "
                "lowest possible WER"
            )
            line += f" ({lost})" if lost else ""
        lines.append(line)
    lines.append(f"vocabulary: {len(vocabulary)} glosses")
    lines += [f"left out: {name}: {reason}" for name, reason in problems[:10]]
    if len(problems) > 10:
        lines.append(f"left out: {len(problems) - 10} more sentences")
    return "\n".join(lines)
