"""A batch in equal parts."""

from __future__ import annotations

import torch

from training.tasks.parts import cut, join


def test_images_are_cut_along_their_examples() -> None:
    images, labels = torch.arange(24.0).view(2, 6, 2), torch.arange(12).view(2, 6)
    parts = cut((), (images, labels), 0, 3)
    assert [carry for carry, _ in parts] == [(), (), ()]
    assert [part[1].tolist() for _, part in parts] == [
        [[0, 1], [6, 7]],
        [[2, 3], [8, 9]],
        [[4, 5], [10, 11]],
    ]
    assert torch.equal(torch.cat([part[0] for _, part in parts], 1), images)


def test_text_is_cut_along_its_columns_with_the_state_of_each() -> None:
    tokens = torch.arange(12).view(1, 3, 4)
    state = ((torch.arange(4).view(1, 4, 1), torch.arange(4, 8).view(1, 4, 1)),)
    (first, left), (second, right) = cut(state, (tokens,), 1, 2)
    assert left[0].tolist() == [[[0, 1], [4, 5], [8, 9]]]
    assert right[0].tolist() == [[[2, 3], [6, 7], [10, 11]]]
    assert [t.flatten().tolist() for t in first[0]] == [[0, 1], [4, 5]]
    assert [t.flatten().tolist() for t in second[0]] == [[2, 3], [6, 7]]
    joined = join([first, second])
    assert all(torch.equal(a, b) for a, b in zip(joined[0], state[0], strict=True))


def test_one_part_is_the_batch_itself() -> None:
    carry, batch = (torch.zeros(1, 2),), (torch.zeros(1, 2),)
    ((same_carry, same_batch),) = cut(carry, batch, 0, 1)
    assert same_carry is carry
    assert same_batch is batch
    assert join([carry]) is carry
