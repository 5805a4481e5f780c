"""Vocabularies of glosses: which there are, which class each is, and what they can never score."""

from collections import Counter
from typing import NamedTuple

from utils.signing.cleaning import CLEANINGS

BLANK = 0  # the class of no gloss, as in models/ctc.py


def list_vocabulary(sentences, raw=False, splits=("train",)):
    """List the glosses of a corpus, each once, sorted.

    Args:
        sentences: list of `utils.signing.releases.Sentence`.
        raw: whether as they are written, not cleaned.
        splits: whose glosses; a recognizer knows those of training only.

    Raises:
        ValueError: no gloss there.
    """
    chosen = [sentence for sentence in sentences if sentence.split in splits]
    glosses = {gloss for s in chosen for gloss in (s.raw if raw else s.glosses)}
    if not glosses:
        raise ValueError(f"No gloss in {len(chosen)} sentences of {', '.join(splits)}.")
    return sorted(glosses)


def encode_glosses(glosses, vocabulary):
    """Return the class of each gloss: 1 for the first of the vocabulary, since 0 is the blank.

    A gloss that is not in the vocabulary is left out.
    """
    classes = {gloss: place for place, gloss in enumerate(vocabulary, BLANK + 1)}
    return [classes[gloss] for gloss in glosses if gloss in classes]


def decode_glosses(classes, vocabulary):
    """Return the glosses of classes, as `encode_glosses` numbers them."""
    return [vocabulary[place - BLANK - 1] for place in classes]


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


def find_unseen(sentences, vocabulary, cleaning):
    """Find the glosses of dev and test that a vocabulary cannot spell, once cleaned.

    Args:
        sentences: list of `utils.signing.releases.Sentence`.
        vocabulary: list of glosses, raw or cleaned.
        cleaning: a key of `utils.signing.cleaning.CLEANINGS`, that hypotheses are cleaned by.

    Returns:
        Dict of split: `Unseen`.
    """
    clean, known = CLEANINGS[cleaning].hypothesis, set(vocabulary)
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


def summarize_corpus(sentences, problems, vocabulary, cleaning):
    """Describe a corpus in a few lines, with the floor that its vocabulary sets to the WER.

    Args:
        sentences, problems: as `utils.signing.corpora.list_sentences` returns them.
        vocabulary, cleaning: as in `find_unseen`.

    Returns:
        Text of several lines.
    """
    lines = []
    unseen = find_unseen(sentences, vocabulary, cleaning)
    for split, count in Counter(sentence.split for sentence in sentences).items():
        chosen = [sentence for sentence in sentences if sentence.split == split]
        tokens = sum(len(sentence.glosses) for sentence in chosen)
        signers = len({sentence.signer for sentence in chosen})
        line = f"{split}: {count} sentences, {tokens} glosses, {signers} signers"
        if split in unseen:
            lost = ", ".join(f"{gloss} x{n}" for gloss, n in unseen[split].counts.most_common(5))
            line += f"; {unseen[split].share:.2f} % never in training, the floor of the WER"
            line += f" ({lost})" if lost else ""
        lines.append(line)
    lines.append(f"vocabulary: {len(vocabulary)} glosses")
    lines += [f"left out: {name}: {reason}" for name, reason in problems[:10]]
    if len(problems) > 10:
        lines.append(f"left out: {len(problems) - 10} more")
    return "\n".join(lines)
