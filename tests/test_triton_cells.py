"""The cells of Triton's kernels against the plain ones: on a card, or else interpreted on the CPU."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nas.genotypes.values import RecurrentGenotype
from nas.recurrent.highway_cell import HighwayCell
from nas.recurrent.loop import Cell, unroll, walk
from nas.recurrent.lstm_cell import LSTMCell
from nas.recurrent.ordered_cell import OrderedCell

pytest.importorskip("triton", reason="Triton is not installed here")

from nas.recurrent.triton_cells import triton_cell

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
T = 3
# Every activation, a state that is read twice, and one that the output takes beside its readers.
GENOTYPE = RecurrentGenotype(
    first="sigmoid",
    nodes=((0, "relu"), (1, "tanh"), (0, "identity"), (1, "sigmoid"), (3, "tanh")),
    output=(0, 2, 4, 5),
)
HIGHWAYS = HighwayCell(GENOTYPE)
ALONE = HighwayCell(RecurrentGenotype(first="tanh", nodes=(), output=(0,)))
Shape = tuple[int, ...]
# A cell, the leading dimensions and rows, and its width.
CASES: dict[str, tuple[Cell, Shape, int]] = {
    "lstm": (LSTMCell(), (2,), 5),
    "lstm of replicates": (LSTMCell(), (3, 2), 4),
    "lstm of one unit and row": (LSTMCell(), (1,), 1),
    "lstm of one replicate, beyond a block": (LSTMCell(), (1, 1), 259),
    "ordered": (OrderedCell(3), (2,), 15),
    "ordered, of replicates": (OrderedCell(2), (3, 2), 6),
    "ordered, of one unit and row": (OrderedCell(1), (1,), 1),
    "ordered, of one chunk": (OrderedCell(1), (1, 1), 3),
    "ordered, of chunks of one": (OrderedCell(5), (2,), 5),
    "highways": (HIGHWAYS, (2,), 5),
    "highways of replicates": (HIGHWAYS, (3, 2), 3),
    "highway of one unit and row": (ALONE, (1,), 1),
    "highways of one replicate, beyond a block": (HIGHWAYS, (1, 1), 258),
}


def draws(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def inputs_of(cell: Cell, leading: Shape, hidden: int, masked: bool) -> dict[str, list[Tensor]]:
    """The projected input, the matrices, the state and constants, in fp64."""
    torch.manual_seed(0)
    *replicates, rows = leading
    widths = {LSTMCell: [4 * hidden], OrderedCell: [4 * hidden], HighwayCell: [2 * hidden]}[
        type(cell)
    ]
    if isinstance(cell, OrderedCell):
        widths = [4 * hidden + 2 * cell.chunks]
    if isinstance(cell, HighwayCell):
        widths += [2 * hidden * len(readers) for readers in cell.readers.values()]
    states = 1 if isinstance(cell, HighwayCell) else 2
    return {
        "projected": [draws(*replicates, T, rows, widths[0])],
        "matrices": [draws(*replicates, width, hidden) / hidden**0.5 for width in widths],
        "state": [draws(*leading, hidden) for _ in range(states)],
        "constants": [(draws(*leading, hidden) > 0.0) * 2.0] if masked else [],
    }


def results(
    cell: Cell, given: dict[str, list[Tensor]], state: torch.dtype, products: torch.dtype
) -> list[Tensor]:
    """Outputs, the last state, and the gradients of all, in fp64."""
    kinds = {"projected": products, "matrices": products, "state": state, "constants": state}
    own = {
        name: [t.detach().to(DEVICE, kinds[name]).requires_grad_(name != "constants") for t in ts]
        for name, ts in given.items()
    }
    (projected,), constants = own["projected"], tuple(own["constants"])
    outputs, after = unroll(cell, projected, own["matrices"], tuple(own["state"]), constants)
    scales = torch.linspace(-1.0, 1.0, outputs.numel(), device=DEVICE).view_as(outputs)
    loss = (outputs * scales).sum() + sum((s * s).sum() for s in after)
    leaves = [projected, *own["matrices"], *own["state"]]
    found = [outputs, *after, *torch.autograd.grad(loss, leaves)]
    return [tensor.detach().cpu().double() for tensor in found]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
def test_values_and_gradients_are_those_of_the_plain_cell(name: str, masked: bool) -> None:
    cell, leading, hidden = CASES[name]
    if masked and not isinstance(cell, HighwayCell):
        pytest.skip("only highways have a mask")
    given = inputs_of(cell, leading, hidden, masked)
    ours = results(triton_cell(cell, torch.float32), given, torch.float32, torch.float32)
    plain = results(cell, given, torch.float64, torch.float64)
    torch.testing.assert_close(ours, plain, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
    "name", ["lstm of replicates", "ordered", "ordered, of replicates", "highways"]
)
def test_with_products_in_bf16_they_are_as_near_to_exact_ones(name: str) -> None:
    cell, leading, hidden = CASES[name]
    given = inputs_of(cell, leading, hidden, isinstance(cell, HighwayCell))
    for kind in ("projected", "matrices"):
        given[kind] = [tensor.bfloat16().double() for tensor in given[kind]]
    exact = results(cell, given, torch.float64, torch.float64)
    plain = results(cell, given, torch.float32, torch.bfloat16)
    fused = triton_cell(cell, torch.bfloat16)
    ours = results(fused, given, torch.float32, torch.bfloat16)
    # Triton's interpreter cuts bits off where a card rounds.
    worse = 1.5 if DEVICE.type == "cuda" else 4.0
    for mine, theirs, true in zip(ours, plain, exact, strict=True):
        error = (theirs - true).norm() / true.norm()
        assert (mine - true).norm() / true.norm() < worse * error + 1e-6
        assert error < 0.05


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "identity"])
def test_activations_hold_over_their_range(activation: str) -> None:
    cell = HighwayCell(RecurrentGenotype(first=activation, nodes=(), output=(0,)))
    x = torch.cat([torch.linspace(-20.0, 20.0, 81), torch.logspace(-6.0, 0.0, 25)]).double()
    # With an open gate and a state of 0 the output is the activation's value.
    projected = torch.cat([x, torch.full_like(x, 30.0)]).view(1, 1, -1)
    matrix = torch.zeros(2 * len(x), len(x), dtype=torch.float64)
    given = {"projected": [projected], "matrices": [matrix], "constants": []}
    given["state"] = [torch.zeros(1, len(x), dtype=torch.float64)]
    ours = results(triton_cell(cell, torch.float32), given, torch.float32, torch.float32)
    plain = results(cell, given, torch.float64, torch.float64)
    # Relative to each value: near 0 too.
    torch.testing.assert_close(ours[0], plain[0], rtol=1e-6, atol=0.0)
    torch.testing.assert_close(ours[2], plain[2], rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("name", ["lstm", "ordered", "highways"])
def test_what_is_not_a_number_stays_so(name: str) -> None:
    cell, leading, hidden = CASES[name]
    given = inputs_of(cell, leading, hidden, False)
    given["projected"][0][0, 0, 1] = float("nan")
    outputs = results(triton_cell(cell, torch.float32), given, torch.float32, torch.float32)[0]
    assert outputs[-1, 0].isnan().any()
    assert outputs[:, 1].isfinite().all()


def test_a_genotype_with_too_many_states_keeps_the_plain_cell() -> None:
    nodes = tuple((n, "tanh") for n in range(31))
    cell = HighwayCell(RecurrentGenotype(first="tanh", nodes=nodes, output=(31,)))
    assert triton_cell(cell, torch.float32) is cell
    longest = HighwayCell(RecurrentGenotype(first="tanh", nodes=nodes[:30], output=(30,)))
    given = inputs_of(longest, (1,), 2, False)
    ours = results(triton_cell(longest, torch.float32), given, torch.float32, torch.float32)
    plain = results(longest, given, torch.float64, torch.float64)
    torch.testing.assert_close(ours[:2], plain[:2], rtol=1e-4, atol=1e-5)


def test_the_master_gates_are_saved_first_as_the_plain_cell_does() -> None:
    cell, leading, hidden = CASES["ordered, of replicates"]
    given = inputs_of(cell, leading, hidden, False)
    own = {name: [t.float().to(DEVICE) for t in tensors] for name, tensors in given.items()}

    def masters(cell: Cell) -> Tensor:
        _, _, saved = walk(cell, own["projected"][0], own["matrices"], tuple(own["state"]))
        return torch.stack([first for first, *_ in saved])

    torch.testing.assert_close(masters(triton_cell(cell, torch.float32)), masters(cell))
