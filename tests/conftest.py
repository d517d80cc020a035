"""What holds for every test: one thread, repeatable examples, and CUDA tests only where there is CUDA."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

from tests.tiny_tasks import image_task as tiny_image_task
from tests.tiny_tasks import text_task as tiny_text_task
from training.tasks.image_classification import ImageClassification
from training.tasks.language_modelling import LanguageModelling


def pytest_configure() -> None:
    """Fix threads and the examples of hypothesis, and how Triton runs, for the whole session."""
    if not torch.cuda.is_available():
        # Triton reads this when it is imported.
        os.environ["TRITON_INTERPRET"] = "1"
    torch.set_num_threads(1)
    settings.register_profile("suite", deadline=None, max_examples=25, derandomize=True)
    settings.load_profile("suite")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs CUDA where there is none, saying so."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("cuda") is not None:
            item.add_marker(pytest.mark.skip(reason="there is no CUDA device here"))


@pytest.fixture(autouse=True)
def _no_choice_by_the_clock(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let `--products auto` be MKL: on a busy machine two commands would time their way to two libraries."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.name != "test_matrix_libraries.py":
            patch.setattr("training.matrix_libraries._FASTER", math.inf)
        yield


@pytest.fixture
def image_task() -> ImageClassification:
    """A classification of tiny images, 4 steps per epoch."""
    return tiny_image_task()


@pytest.fixture
def text_task() -> LanguageModelling:
    """A language model of a tiny text, 5 steps per epoch."""
    return tiny_text_task()
