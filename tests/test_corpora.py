"""Text from files: how they are read, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bad_data import check_bad_data
from training.configs import DataConfig
from training.datasets import corpora
from training.datasets.catalog import DATASETS, load_data
from training.datasets.checks import Published
from training.datasets.corpora import CORPORA, corpus_paths
from training.datasets.text import TextData, text_data
from training.datasets.vocabulary import Cutting
from training.errors import LotteryError


def write(folder: Path, files: str = "{}.txt", **texts: bytes) -> Path:
    """A folder of text; files that are not given hold one word."""
    folder.mkdir(parents=True, exist_ok=True)
    for word in ("train", "valid", "test"):
        (folder / files.format(word)).write_bytes(texts.get(word, b"a\n"))
    return folder


def load(name: str, root: Path | None, **options: int) -> TextData:
    data = load_data(DataConfig(name=name, options=options), root)
    assert isinstance(data, TextData)
    return data


def spelled(data: TextData, split: str) -> list[str]:
    return [data.words[token] for token in data.splits()[split].tolist()]


def test_your_own_text(tmp_path: Path) -> None:
    write(tmp_path, train=b"b a\n\n a <unk> b\n", valid=b"a c\n", test="é b".encode())
    data = load("text", tmp_path)
    assert data.words == ("<unk>", "<eos>", "a", "b")
    assert spelled(data, "train") == ["b", "a", "<eos>", "<eos>", "a", "<unk>", "b", "<eos>"]
    assert spelled(data, "validation") == ["a", "<unk>", "<eos>"]
    # What ends no line with a break ends one all the same.
    assert spelled(data, "test") == ["<unk>", "b", "<eos>"]
    assert load("text", tmp_path, least_count=3).words == ("<unk>", "<eos>")
    limited = load("text", tmp_path, train=3, validation=2, test=1)
    assert [len(tokens) for tokens in limited.splits().values()] == [3, 2, 1]


@pytest.mark.parametrize("characters", [0, 1])
def test_windows_line_ends_and_byte_order_marks_are_no_text(
    tmp_path: Path, characters: int
) -> None:
    plain = load("text", write(tmp_path / "a", train=b"a b\n\nb"), characters=characters)
    marked = write(tmp_path / "b", train=b"\xef\xbb\xbfa b\r\n\r\nb\r\n")
    assert load("text", marked, characters=characters).fingerprint == plain.fingerprint


@pytest.mark.parametrize("characters", [0, 1])
@pytest.mark.parametrize(
    "marked",
    [
        "a b\r\rb\r",  # the line ends of old Macintoshes
        "a b\r\n\nb\r",
        "a b <eos>\n<eos>\nb <eos>\n",
        "a b <eos> \n <eos>\nb <eos>",
        "a b <eos> <eos> b <eos>",
        "a b\t<eos>\r\n<eos>\r\nb",
    ],
)
def test_every_end_of_a_line_is_one_end(tmp_path: Path, characters: int, marked: str) -> None:
    plain = load("text", write(tmp_path / "a", train=b"a b\n\nb"), characters=characters)
    assert spelled(plain, "train").count("<eos>") == 3
    other = load("text", write(tmp_path / "b", train=marked.encode()), characters=characters)
    assert spelled(other, "train") == spelled(plain, "train")
    assert other.fingerprint == plain.fingerprint
    assert other.word_counts == plain.word_counts


def test_what_only_looks_like_an_end_is_a_word(tmp_path: Path) -> None:
    write(tmp_path, train=b"a<eos> <eos>b <EOS>\n  c <eos>\n  d\n")
    tokens = ["a<eos>", "<eos>b", "<EOS>", "<eos>", "c", "<eos>", "d", "<eos>"]
    assert spelled(load("text", tmp_path), "train") == tokens
    letters = spelled(load("text", tmp_path, characters=1), "train")
    # Blanks at the beginning of the line behind it are its own.
    assert letters[-8:] == [*"  c", "<eos>", *"  d", "<eos>"]


def test_other_separators_end_no_line(tmp_path: Path) -> None:
    write(tmp_path, train="a\u2028b\x0cc\x85d\n".encode())
    assert spelled(load("text", tmp_path), "train") == ["a", "b", "c", "d", "<eos>"]


def test_indentation_is_text_but_padding_is_not(tmp_path: Path) -> None:
    write(tmp_path, train=b"  a b \n")
    assert spelled(load("text", tmp_path, characters=1), "train") == [*"  a b ", "<eos>"]
    root = write(tmp_path / "ptb", "ptb.{}.txt", train=b" a <unk> \n \n").parent
    tokens = spelled(load("ptb", root, characters=1), "train")
    assert tokens == [*"a <unk>", "<eos>", "<eos>"]


@pytest.mark.parametrize(
    ("name", "files"), [("ptb", "ptb.{}.txt"), ("wikitext-2", "wiki.{}.tokens")]
)
def test_files_lie_in_a_folder_or_directly_under_the_root(
    tmp_path: Path, name: str, files: str
) -> None:
    assert corpus_paths(name, tmp_path)[0] == tmp_path / name / files.format("train")
    write(tmp_path, files)
    assert corpus_paths(name, tmp_path)[2] == tmp_path / files.format("test")
    assert load(name, tmp_path).words == ("<unk>", "<eos>", "a")
    write(tmp_path / name, files, train=b"b\n")
    assert load(name, tmp_path).words == ("<unk>", "<eos>", "b")


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOTTERY_DATA", raising=False)
    for name, file in (("ptb", "ptb.valid.txt"), ("text", "train.txt, valid.txt, test.txt")):
        with pytest.raises(LotteryError, match="with --data-root FOLDER or LOTTERY") as caught:
            load(name, None)
        check_bad_data(caught.value, file)
    write(tmp_path)
    (tmp_path / "valid.txt").unlink()
    with pytest.raises(LotteryError, match="was not found") as caught:
        load("text", tmp_path)
    check_bad_data(caught.value, f"{tmp_path / 'valid.txt'} was not found")
    with pytest.raises(LotteryError, match="the folder that holds ptb with") as caught:
        load("ptb", tmp_path)
    check_bad_data(caught.value, str(tmp_path / "ptb" / "ptb.train.txt"))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "it holds no words"),
        (b" \n\t\r\n", "it holds no words"),
        (b"a\nb\n\xff\xfec", "it is not UTF-8 at byte 5, in line 3"),
        (b"caf\xe9", "it is not UTF-8 at byte 4, in line 1"),
        ("é".encode()[:1], "it is not UTF-8 at byte 1, in line 1"),
        (b"\xef\xbb\xbfa\n\0b", "it holds a zero byte at byte 6, in line 2"),
        (
            b"a\n" + b"b" * 1_000_001,
            "line 2 has 1,000,001 characters, and a line may have at most 1,000,000",
        ),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, fault: str) -> None:
    with pytest.raises(LotteryError, match=fault) as caught:
        load("text", write(tmp_path, test=content))
    check_bad_data(caught.value, str(tmp_path / "test.txt"))


@given(st.binary(max_size=30), st.integers(0, 1))
def test_no_bytes_are_worse_than_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, characters: int
) -> None:
    root = write(tmp_path_factory.mktemp("text"), train=content)
    try:
        data = load("text", root, characters=characters)
    except LotteryError as error:
        check_bad_data(error, "train.txt")
    else:
        assert spelled(data, "train")[-1] == "<eos>"


def test_splits_of_pydoc_share_no_paragraph(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Sequence[str]] = {}

    def note(
        name: str, splits: Mapping[str, Sequence[str]], least_count: int, cutting: Cutting
    ) -> TextData:
        seen.update(splits)
        return text_data(name, splits, least_count, cutting)

    monkeypatch.setattr(corpora, "text_data", note)
    data = load("pydoc", None)
    train, validation, test = (set(seen[split]) for split in ("train", "validation", "test"))
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert sum(map(len, (train, validation, test))) == sum(map(len, seen.values()))
    assert len(test) == pytest.approx(len(train) / 8, rel=0.02)
    # It is text of some size, in which most words are known.
    assert len(data.train) > 30_000
    assert 500 < data.spec.vocabulary < 5_000
    assert float((data.test == 0).double().mean()) < 0.4
    # Its runs are known by their fingerprint, which options by default leave as it is.
    assert data.fingerprint == text_data("pydoc", seen, 5).fingerprint
    letters = load("pydoc", None, characters=1, train=1000)
    assert letters.characters
    assert len(letters.train) == 1000


def test_what_is_checked_of_text(tmp_path: Path) -> None:
    root = write(tmp_path, "ptb.{}.txt", train=b"b a b\n", valid=b"a z\n", test=b"b\n")
    data = load("ptb", root)
    assert data.details() == {
        "unknown (%)": {"train": 0.0, "validation": 33.33, "test": 0.0},
        "predictions": {"validation": 3, "test": 2},
        "most frequent": {"b": 2, "<eos>": 1, "a": 1, "<unk>": 0},
    }
    published = DATASETS["ptb"].published
    assert published is not None
    wanted = "no (4, 3, 2 words, not 929,589, 73,760, 82,430)"
    assert data.as_published(published, []) == wanted
    right = Published(counts={"train": 4, "validation": 3, "test": 2})
    assert data.as_published(right, []) == "yes (4, 3, 2 words)"
    assert DATASETS["pydoc"].published is None


# --- the real ones


def real(name: str) -> Path:
    """The data root that holds a data set; the test is skipped where there is none."""
    root = Path(os.environ.get("LOTTERY_DATA", "nowhere"))
    if not all(path.is_file() for path in corpus_paths(name, root)):
        pytest.skip(f"LOTTERY_DATA names no folder that holds {name}")
    return root


def published_counts(name: str) -> Mapping[str, int]:
    published = CORPORA[name].published
    assert published is not None
    return published.counts


@pytest.mark.parametrize(("name", "size"), [("ptb", 10_000), ("wikitext-2", 33_278)])
def test_the_real_files_have_the_published_counts(name: str, size: int) -> None:
    data = load(name, real(name))
    counts = {split: len(tokens) for split, tokens in data.splits().items()}
    published = {
        "ptb": {"train": 929_589, "validation": 73_760, "test": 82_430},
        "wikitext-2": {"train": 2_088_628, "validation": 217_646, "test": 245_569},
    }
    assert counts == published[name] == data.word_counts == published_counts(name)
    assert data.spec.vocabulary == size
    # Every word of the other files stands in the training file: what is unknown is so in the files.
    assert 0.02 < float((data.test == 0).double().mean()) < 0.07


def test_characters_of_the_real_penn_treebank() -> None:
    data = load("ptb", real("ptb"), characters=1)
    # 50 characters with the end of line, which Mikolov et al. 2012 count too; <unk> has a place of its own.
    assert data.spec.vocabulary == 51
    counts = {split: len(tokens) for split, tokens in data.splits().items()}
    assert counts == {"train": 5_017_482, "validation": 393_042, "test": 442_423}
    assert data.word_counts == published_counts("ptb")
