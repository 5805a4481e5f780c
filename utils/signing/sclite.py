"""Files that NIST's sclite scores, and its own figures where it is installed (Debian: sctk)."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

from utils.signing.wer import Score
from utils.system.files import write_atomically

SECONDS = 0.5  # of a word: only their order counts, since a sentence is a file of its own
# What sclite takes for a control word, or drops.
_CONTROL = re.compile(
    r"|@|.*[\s{].*|.*IGNORE_TIME_SEGMENT_IN_SCORING.*|<ALT(_BEGIN|_END)?>",
    re.IGNORECASE | re.DOTALL,
)


def _check_words(name, words):
    for word in words:
        if _CONTROL.fullmatch(word):
            raise ValueError(
                f"Sentence {name}: sclite cannot read the gloss {word!r}; a gloss must not "
                "be empty, @ or one of sclite's own words, and must not contain a blank or {. "
                "Rename the gloss."
            )


def _write_lines(path, sentences, to_lines):
    lines = []
    for name, words in sorted(sentences.items(), key=lambda item: quote(item[0])):
        _check_words(name, words)
        lines += to_lines(quote(name), name, words)
    write_atomically(path, "".join(f"{line}\n" for line in lines))


def write_stm(path, references, signers=None):
    """Write references as segments: one file each, of which one line with the signer and all words.

    Args:
        path: of the `.stm`.
        references: dict of sentence id: sequence of glosses.
        signers: dict of id: signer; None for one unknown signer.

    Raises:
        ValueError: a gloss that sclite would read as something else.
    """

    def to_lines(quoted, name, words):
        signer = quote(signers[name] if signers else "") or "unknown"
        # A first gloss such as <x> would be taken for the label that may stand there.
        words = ["<o>", *words] if words and words[0].startswith("<") else words
        return [f"{quoted} 1 {signer} 0.00 1000000.00 {' '.join(words)}"]

    _write_lines(path, references, to_lines)


def write_ctm(path, hypotheses):
    """Write hypotheses word by word, with made-up times: of `references`' sentences in `write_stm`.

    A sentence without a word has no line; sclite counts its reference as deleted.

    Args:
        path: of the `.ctm`.
        hypotheses: dict of sentence id: sequence of glosses.

    Raises:
        ValueError: a gloss that sclite would read as something else.
    """

    def to_lines(quoted, name, words):
        return [
            f"{quoted} 1 {place * SECONDS:.2f} {SECONDS:.2f} {word}"
            for place, word in enumerate(words)
        ]

    _write_lines(path, hypotheses, to_lines)


def find_sclite():
    """Return the command that starts sclite, as a list of words; None where it is not installed."""
    if program := shutil.which("sclite"):
        return [program]
    wrapper = shutil.which("sctk")  # Debian's
    return [wrapper, "sclite"] if wrapper else None


def run_sclite(stm, ctm):
    """Let sclite score two files.

    Args:
        stm, ctm: paths of the references and the hypotheses.

    Returns:
        The corpus' `utils.signing.wer.Score` by sclite, or None where it is not installed.

    Raises:
        ValueError: it failed; what it said is shown.
    """
    command = find_sclite()
    if command is None:
        return None
    with tempfile.TemporaryDirectory() as folder:  # plain names, without blanks
        for path, name in ((stm, "reference.stm"), (ctm, "hypothesis.ctm")):
            shutil.copy(path, Path(folder, name))
        options = "-r reference.stm stm -h hypothesis.ctm ctm -o rsum stdout".split()
        said = subprocess.run(
            [*command, *options], cwd=folder, capture_output=True, text=True, check=False
        )
    # | Sum  | sentences words | correct substitutions deletions insertions errors wrong |
    found = re.search(r"^\s*\| *Sum *\|((?: *\d+){2}) *\|((?: *\d+){6}) *\|", said.stdout, re.M)
    if said.returncode or not found:
        raise ValueError(
            f"sclite did not score {stm} and {ctm} (status {said.returncode}): "
            f"{(said.stderr or said.stdout).strip()[-300:]}"
        )
    words = int(found[1].split()[1])
    return Score(words, *(int(count) for count in found[2].split()[1:4]))
