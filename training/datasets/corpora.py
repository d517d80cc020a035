"""Where text comes from: the Penn Treebank, WikiText-2, your own files, Python's documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from training.datasets.checks import Published
from training.datasets.raw_images import bad_file, missing_file, read_whole
from training.datasets.text import TextData, text_data
from training.datasets.vocabulary import END, Cutting
from training.errors import ExitCode, LotteryError

# Characters of a line: more are a sign of a file that holds no lines of text.
MOST_CHARACTERS = 1_000_000
# Each split's word in the names of files.
_IN_FILES = {"train": "train", "validation": "valid", "test": "test"}
_END_OF_LINE = re.compile(rf"(?<!\S){re.escape(END)}(?!\S)")
_REMEDY = "fetch the file again or save it as plain text in UTF-8"


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Text in three files.

    Attributes:
        folder: below the data root; "" where the data root is the folder.
        files: their name, `{}` in the place of train, valid and test.
        padded: whether each line has a blank on either side that is no text.
        published: how many words each split has, ends of line among them; None for other text.
    """

    folder: str
    files: str
    padded: bool = False
    published: Published | None = None


# The counts of words are those of Mikolov et al. 2010's preparation of the Penn Treebank (Marcus et al. 1993) and of
# Merity et al. 2016 (arXiv 1609.07843), table 1, with an `<eos>` per line.
CORPORA = {
    "ptb": Corpus(
        folder="ptb",
        files="ptb.{}.txt",
        padded=True,
        published=Published(counts={"train": 929_589, "validation": 73_760, "test": 82_430}),
    ),
    "wikitext-2": Corpus(
        folder="wikitext-2",
        files="wiki.{}.tokens",
        padded=True,
        published=Published(counts={"train": 2_088_628, "validation": 217_646, "test": 245_569}),
    ),
    "text": Corpus(folder="", files="{}.txt"),
}


def corpus_paths(name: str, root: Path) -> list[Path]:
    """The three files, below the data root's folder or, where that is not there, the data root itself."""
    corpus = CORPORA[name]
    names = [corpus.files.format(word) for word in _IN_FILES.values()]
    direct = not (root / corpus.folder).is_dir() and any((root / file).is_file() for file in names)
    return [(root if direct else root / corpus.folder) / file for file in names]


def load_corpus(name: str, root: Path | None, options: Mapping[str, int]) -> TextData:
    r"""Text of three files: words between white space, or characters; an `<eos>` after each line, also a blank one.

    A line ends as Python's own text files do: with `\n`, `\r\n` or `\r`, and never with a form feed or another
    separator of Unicode. A word `<eos>` that a file holds ends a line, too, once together with the break behind it.
    Tokens that stand fewer than `least_count` times in what is read of the training file are `<unk>`, as are those
    that are not there. A `<unk>` that a file holds is the same word; of characters it is five of them, as in
    Mikolov et al. 2012's character-level Penn Treebank.

    Raises:
        LotteryError: a file is missing, empty or no text in UTF-8, or an option is out of range.
    """
    corpus, cutting = CORPORA[name], _cutting(options, blank_lines=True)
    files = ", ".join(corpus.files.format(word) for word in _IN_FILES.values())
    if root is None:
        raise LotteryError(
            f"{name} needs a folder that holds {files}, and none was given; name "
            + ("it" if not corpus.folder else f"it, or the one that holds {corpus.folder},")
            + " with --data-root FOLDER or LOTTERY_DATA.",
            ExitCode.BAD_DATA,
        )
    paths = dict(zip(_IN_FILES, corpus_paths(name, root), strict=True))
    for path in paths.values():
        if not path.is_file():
            raise missing_file(path, corpus.folder or files)
    splits = {split: _lines(path, corpus.padded) for split, path in paths.items()}
    return text_data(name, splits, options["least_count"], cutting)


def load_pydoc(root: Path | None, options: Mapping[str, int]) -> TextData:
    """Python's own documentation topics, embedded: about 65,000 words, `<eos>` after each line that has any.

    Paragraphs that several topics repeat are read once, so that none is both trained and tested on. Of each ten
    paragraphs the ninth is for validation and the tenth for testing. Words seen fewer than `least_count` times in the
    training split are `<unk>`. The text differs between Python versions: the fingerprint is recorded.
    """
    from pydoc_data.topics import topics

    text = "\n\n".join(topics[name] for name in sorted(topics))
    paragraphs = list(dict.fromkeys(p.strip("\n") for p in text.split("\n\n") if p.strip()))
    tenths = {"train": range(8), "validation": (8,), "test": (9,)}
    splits = {
        split: [p for i, p in enumerate(paragraphs) if i % 10 in of_split]
        for split, of_split in tenths.items()
    }
    cutting = _cutting(options, blank_lines=False)
    return text_data("pydoc", splits, options["least_count"], cutting)


def _cutting(options: Mapping[str, int], blank_lines: bool) -> Cutting:
    characters = options["characters"]
    if characters > 1:
        raise LotteryError(
            f"data.options.characters = {characters} is out of range; it must be 0 or 1."
        )
    return Cutting(
        characters=characters > 0,
        blank_lines=blank_lines,
        limits={split: options[split] for split in _IN_FILES if options[split]},
    )


def _lines(path: Path, padded: bool) -> list[str]:
    """The lines of a file, without what ends them."""
    text = _read(path).removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise bad_file(path, "it holds no words", _REMEDY)
    lines = text.removesuffix("\n").split("\n")
    if END in text:
        lines = [part for line in lines for part in _parts(line)]
    for number, line in enumerate(lines, 1):
        if len(line) > MOST_CHARACTERS:
            fault = f"line {number:,} has {len(line):,} characters, and a line may have at most {MOST_CHARACTERS:,}"
            raise bad_file(path, fault, "break it into lines")
    return [line.strip() for line in lines] if padded else lines


def _parts(line: str) -> list[str]:
    """The lines that a line is where words `<eos>` end some, without the blanks around these."""
    first, *others = _END_OF_LINE.split(line)
    if not others:
        return [line]
    *ended, rest = [first.rstrip(), *(part.strip() for part in others)]
    return [*ended, rest] if rest else ended


def _read(path: Path) -> str:
    raw = read_whole(path)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise bad_file(
            path, f"it is not UTF-8 {_line_and_byte(raw, error.start)}", _REMEDY
        ) from None
    if "\0" in text:
        fault = f"it holds a zero byte {_line_and_byte(raw, raw.index(0))}"
        raise bad_file(path, fault, _REMEDY)
    return text


def _line_and_byte(raw: bytes, byte: int) -> str:
    line = raw.count(b"\n", 0, byte) + 1
    return f"at byte {byte + 1:,}, in line {line:,}"
