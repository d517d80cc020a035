"""Text: tokens that are numbered, and what is recorded of them."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.bad_data import check_bad_data
from training.datasets.text import TextData, text_data, unigram_loss
from training.datasets.vocabulary import Cutting
from training.errors import LotteryError

CHARACTERS = Cutting(characters=True)


def test_words_are_numbered_by_frequency_in_the_training_split() -> None:
    splits = {
        "train": ["b a b\nc a b", "  \n<unk> a"],
        "validation": ["a z"],
        "test": ["c\n\nb"],
    }
    data = text_data("x", splits, least_count=2)
    # a, b and the end of line stand three times, c and <unk> once; ties go by the alphabet.
    assert data.words == ("<unk>", "<eos>", "a", "b")
    assert data.train.tolist() == [3, 2, 3, 1, 0, 2, 3, 1, 0, 2, 1]
    assert data.validation.tolist() == [2, 0, 1]
    assert data.test.tolist() == [0, 1, 3, 1]
    assert data.spec.vocabulary == 4
    assert data.word_counts == {"train": 11, "validation": 3, "test": 4}


def test_the_end_of_line_is_always_a_word() -> None:
    data = text_data("x", {"train": ["a a a"], "validation": ["a"], "test": ["a"]}, least_count=3)
    assert data.words == ("<unk>", "a", "<eos>")
    cut = Cutting(limits={"train": 2})
    data = text_data("x", {"train": ["a a a"], "validation": ["a"], "test": ["a"]}, 1, cut)
    assert data.words == ("<unk>", "a", "<eos>")
    assert data.train.tolist() == [1, 1]


def test_blank_lines_may_count() -> None:
    splits = {"train": ["a", "", " ", "a"], "validation": [""], "test": ["a\n\na"]}
    data = text_data("x", splits, 1, Cutting(blank_lines=True))
    assert data.words == ("<unk>", "<eos>", "a")
    assert data.train.tolist() == [2, 1, 1, 1, 2, 1]
    assert data.validation.tolist() == [1]
    assert data.test.tolist() == [2, 1, 1, 2, 1]


def test_characters_are_tokens_with_blanks_among_them() -> None:
    splits = {"train": ["ab a", "b  <"], "validation": ["a c"], "test": ["<unk>"]}
    data = text_data("x", splits, 1, CHARACTERS)
    # The blank stands three times; the end of line, a and b twice.
    assert data.words == ("<unk>", " ", "<eos>", "a", "b", "<")
    assert data.train.tolist() == [3, 4, 1, 3, 2, 4, 1, 1, 5, 2]
    assert data.validation.tolist() == [3, 1, 0, 2]
    assert data.test.tolist() == [5, 0, 0, 0, 0, 2]
    assert data.word_counts == {"train": 6, "validation": 3, "test": 2}
    assert data.tokens_per_word("validation") == pytest.approx(4 / 3)


def test_limits_are_kept_to_the_token() -> None:
    splits = {"train": ["a b c", "d e"], "validation": ["a b"], "test": ["ab d e"]}
    words = text_data("x", splits, 1, Cutting(limits={"train": 5, "validation": 1, "test": 9}))
    # What lies beyond the limit is not known either.
    assert words.words == ("<unk>", "<eos>", "a", "b", "c", "d")
    assert words.train.tolist() == [2, 3, 4, 1, 5]
    assert words.validation.tolist() == [2]
    assert words.test.tolist() == [0, 5, 0, 1]
    limits = {"validation": 3, "test": 4}
    letters = text_data("x", splits, 1, Cutting(characters=True, limits=limits))
    assert [len(tokens) for tokens in letters.splits().values()] == [10, 3, 4]
    # "a b" without its end are two words, as are "ab d".
    assert letters.word_counts == {"train": 7, "validation": 2, "test": 2}


@given(
    st.lists(st.text("ab \t", max_size=6), min_size=1, max_size=5),
    st.integers(1, 40),
    st.booleans(),
)
def test_words_of_characters_are_counted_as_words(
    lines: list[str], limit: int, blank_lines: bool
) -> None:
    text = "".join(line + "\n" for line in lines if blank_lines or line.strip())[:limit]
    cut = Cutting(characters=True, blank_lines=blank_lines, limits={"test": limit})
    assert cut.words("test", lines) == len(text.split()) + text.count("\n")
    read = "".join(c for piece in cut.pieces("test", lines) for c in piece)
    assert read == text.replace("\n", "<eos>")


def test_the_fingerprint_follows_text_and_how_it_is_cut() -> None:
    splits = {"train": ["a b"], "validation": ["a"], "test": ["b"]}
    same = text_data("x", dict(splits), 1).fingerprint
    others = [
        text_data("x", splits, 2),
        text_data("x", splits | {"test": ["a"]}, 1),
        text_data("x", {**splits, "validation": ["b"], "test": ["a"]}, 1),
        text_data("x", splits, 1, CHARACTERS),
        text_data("x", splits, 1, Cutting(blank_lines=True)),
        text_data("x", splits, 1, Cutting(limits={"train": 2})),
        text_data("x", splits, 1, Cutting(limits={"test": 2})),
    ]
    assert text_data("x", splits, 1).fingerprint == same
    assert text_data("x", splits, 1, Cutting()).fingerprint == same
    assert len({same, *(data.fingerprint for data in others)}) == 8


def test_the_unigram_loss_of_a_small_text() -> None:
    # Counts 3, 1 and 0 with one added to each: probabilities 4/7, 2/7 and 1/7.
    train = torch.tensor([0, 0, 0, 1])
    loss = unigram_loss(train, torch.tensor([0, 1, 2, 2]), 3)
    assert math.exp(loss) == pytest.approx((4 / 7 * 2 / 7 * 1 / 7 * 1 / 7) ** (-1 / 4))
    # A uniform text of 8 words.
    assert unigram_loss(torch.arange(8), torch.arange(8), 8) == pytest.approx(math.log(8))


def baselines(data: TextData) -> dict[tuple[str, str], float]:
    found = cast("list[dict[str, Any]]", data.description()["baselines"])
    assert {one["name"] for one in found} == {"unigram"}
    return {(one["split"], one["metric"]): one["value"] for one in found}


def test_characters_have_bits_beside_their_perplexity_per_word() -> None:
    """Eight tokens that stand equally often have 3 bits each; words of 300 characters an absurd perplexity."""
    line = "abcdefg"
    splits = {"train": [line] * 5, "validation": [line], "test": [line]}
    letters = baselines(text_data("x", splits, 1, CHARACTERS))
    # <unk>, which never stands there, has 1 of the 6 * 8 + 1 counts.
    bits = -math.log2(6 / 49)
    assert letters["test", "bits per character"] == pytest.approx(bits)
    # A line is a word of 7 characters and its end: two words of 8 tokens.
    assert letters["test", "perplexity"] == pytest.approx(2 ** (bits * 8 / 2))
    assert {metric for _, metric in baselines(text_data("x", splits, 1))} == {"perplexity"}
    long = {split: ["a b " * 5 + "c" * 3000] for split in splits}
    with pytest.raises(LotteryError, match="perplexity per word needs"):
        text_data("x", long, 1, CHARACTERS)


@pytest.mark.parametrize("characters", [False, True])
def test_a_split_that_another_holds_is_noticed(characters: bool) -> None:
    one, other = ([" ".join(f"{w}{i}" for i in range(120))] for w in "ab")
    cut = Cutting(characters=characters, limits={"test": 110})
    data = text_data("x", {"train": one, "validation": other, "test": one}, 1, cut)
    told = data.description()["notices"]
    assert told == [
        "The test text of x is the training text, so its perplexity says nothing of new text."
    ]
    fine = text_data("x", {"train": one, "validation": other, "test": other[:0] or ["a b"]}, 1, cut)
    assert fine.description()["notices"] == []


def test_the_description_of_text() -> None:
    splits = {"train": ["a b a b c"], "validation": ["a z"], "test": ["b"]}
    described = text_data("x", splits, 2).description()
    assert described["cut into"] == "words"
    assert described["vocabulary"] == 4
    assert described["tokens"] == described["words"] == {"train": 6, "validation": 3, "test": 2}
    assert described["unknown"] == {"train": 1, "validation": 1, "test": 0}
    # Counts <unk> 1, <eos> 1, a 2, b 2 with one each: 2, 2, 3, 3 of 10.
    baselines = described["baselines"]
    assert isinstance(baselines, list)
    assert [(b["split"], b["metric"]) for b in baselines] == [
        ("validation", "perplexity"),
        ("test", "perplexity"),
    ]
    assert baselines[1]["value"] == pytest.approx(math.sqrt(10 / 3 * 10 / 2))


def test_baselines_of_characters_are_per_word() -> None:
    splits = {"train": ["aa"], "validation": ["a"], "test": ["aaa"]}
    described = text_data("x", splits, 1, CHARACTERS).description()
    assert described["cut into"] == "characters"
    assert described["words"] == {"train": 2, "validation": 2, "test": 2}
    # Counts <unk> 0, <eos> 1, a 2 with one each: a is 3 of 6, the end 2 of 6; "aaa" and its end are 2 words.
    baselines = described["baselines"]
    assert isinstance(baselines, list)
    assert baselines[0]["value"] == pytest.approx(math.sqrt(2 * 3))
    assert baselines[1]["value"] == pytest.approx(math.sqrt(2**3 * 3))


def test_text_without_blanks_has_no_perplexity_per_word() -> None:
    splits = {"train": ["a b"], "validation": ["a"], "test": ["a" * 200]}
    assert text_data("x", splits, 1).word_counts["test"] == 2
    with pytest.raises(LotteryError, match="a word per 100 characters") as caught:
        text_data("x", splits, 1, CHARACTERS)
    check_bad_data(caught.value, "The test text of x")


@pytest.mark.parametrize("cutting", [None, CHARACTERS])
def test_text_keeps_its_content_on_its_way_to_a_device(cutting: Cutting | None) -> None:
    splits = {"train": ["a"], "validation": ["a"], "test": ["a b"]}
    text = text_data("x", splits, 1, cutting)
    assert text.to(torch.device("cpu")).description() == text.description()
