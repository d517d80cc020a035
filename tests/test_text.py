"""Text: words that are numbered, splits that share nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest
import torch

from training.configs import DataConfig
from training.datasets import text as text_module
from training.datasets.catalog import load_data
from training.datasets.text import TextData, text_data, unigram_perplexity


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


def test_the_end_of_line_is_always_a_word() -> None:
    data = text_data("x", {"train": ["a a a"], "validation": ["a"], "test": ["a"]}, least_count=3)
    assert data.words == ("<unk>", "a", "<eos>")


def test_the_fingerprint_follows_text_and_count() -> None:
    splits = {"train": ["a b"], "validation": ["a"], "test": ["b"]}
    same = text_data("x", dict(splits), 1).fingerprint
    assert text_data("x", splits, 1).fingerprint == same
    assert text_data("x", splits, 2).fingerprint != same
    assert text_data("x", splits | {"test": ["a"]}, 1).fingerprint != same
    assert text_data("x", {**splits, "validation": ["b"], "test": ["a"]}, 1).fingerprint != same


def test_unigram_perplexity_of_a_small_text() -> None:
    # Counts 3, 1 and 0 with one added to each: probabilities 4/7, 2/7 and 1/7.
    train = torch.tensor([0, 0, 0, 1])
    value = unigram_perplexity(train, torch.tensor([0, 1, 2, 2]), 3)
    assert value == pytest.approx((4 / 7 * 2 / 7 * 1 / 7 * 1 / 7) ** (-1 / 4))
    # A uniform text of 8 words.
    assert unigram_perplexity(torch.arange(8), torch.arange(8), 8) == pytest.approx(8)


def test_facts_of_text() -> None:
    splits = {"train": ["a b a b"], "validation": ["a z"], "test": ["b"]}
    facts = text_data("x", splits, 2).facts()
    assert facts["vocabulary"] == 4
    assert facts["tokens"] == {"train": 5, "validation": 3, "test": 2}
    assert facts["unknown"] == {"validation": 1, "test": 0}
    # Counts <unk> 0, <eos> 1, a 2, b 2 with one each: 1, 2, 3, 3 of 9.
    baselines = facts["baselines"]
    assert isinstance(baselines, list)
    assert [(b["split"], b["metric"]) for b in baselines] == [
        ("validation", "perplexity"),
        ("test", "perplexity"),
    ]
    assert baselines[1]["value"] == pytest.approx(math.sqrt(9 / 3 * 9 / 2))


def test_splits_of_pydoc_share_no_paragraph(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Sequence[str]] = {}

    def note(name: str, splits: Mapping[str, Sequence[str]], least_count: int) -> TextData:
        seen.update(splits)
        return text_data(name, splits, least_count)

    monkeypatch.setattr(text_module, "text_data", note)
    data = load_data(DataConfig(name="pydoc"), None)
    assert isinstance(data, TextData)
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
    assert data.fingerprint == load_data(DataConfig(name="pydoc"), None).fingerprint


def test_text_keeps_its_content_on_its_way_to_a_device() -> None:
    text = text_data("x", {"train": ["a"], "validation": ["a"], "test": ["a"]}, 1)
    assert text.to(torch.device("cpu")).facts() == text.facts()
