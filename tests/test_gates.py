"""Gates: which rows compute which, by what becomes of a layer without them, and what a mask keeps of each."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from lottery.levels import count_layer
from lottery.records import GateCount, LayerCount
from nas.genotypes.values import RecurrentGenotype
from nas.recurrent.cells import LSTMLayer, RecurrentCore, SearchedRecurrentCell
from nas.recurrent.gates import gate_rows
from nas.recurrent.gru import GRULayer
from nas.recurrent.on_lstm import OrderedLSTMLayer
from tests.test_normalised_weights import old_form
from tests.tiny_tasks import network

E, H, C = 3, 4, 2
CELL = RecurrentGenotype(first="tanh", nodes=((0, "relu"), (1, "identity")), output=(1, 2))
CORES: dict[str, RecurrentCore] = {
    "lstm": LSTMLayer(E, H, second_bias=True),
    "gru": GRULayer(E, H),
    "on-lstm": OrderedLSTMLayer(E, H, C),
    "searched": SearchedRecurrentCell(CELL, E, H),
}
TORCH = {"lstm": nn.LSTM(E, H), "gru": nn.GRU(E, H)}


def outputs_with(module: nn.Module, gate: str, bias: float) -> Tensor:
    """Outputs from a zero state after the rows of a gate were set: weights to 0 and biases to `bias`."""
    rows = gate_rows(module)
    of_gate = next(iter(rows.values()))[gate]
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.uniform_(0.2, 1.0)
            assert parameter.dim() == 1 or rows[name][gate] == of_gate
            parameter[of_gate] = bias if parameter.dim() == 1 else 0.0
        x = torch.rand(5, 2, E)
        state = (module.initial_state(2),) if isinstance(module, RecurrentCore) else ()
        outputs: Tensor = module(x, *state)[0]
    return outputs


@pytest.mark.parametrize("name", CORES)
def test_without_candidates_a_zero_state_stays_zero(name: str) -> None:
    assert not outputs_with(CORES[name], "candidate", 0.0).any()
    others = next(iter(gate_rows(CORES[name]).values())).keys() - {"candidate"}
    assert all(outputs_with(CORES[name], gate, 0.0).any() for gate in others)


@pytest.mark.parametrize("name", TORCH)
def test_so_does_one_of_torch(name: str) -> None:
    assert not outputs_with(TORCH[name], "candidate", 0.0).any()


@pytest.mark.parametrize("module", [CORES["lstm"], CORES["on-lstm"], TORCH["lstm"]])
def test_a_closed_output_gate_lets_nothing_out(module: nn.Module) -> None:
    assert outputs_with(module, "output", -200.0).abs().max() < 1e-30
    assert outputs_with(module, "forget", -200.0).abs().max() > 0.1


@pytest.mark.parametrize("module", [CORES["gru"], TORCH["gru"]])
def test_an_open_update_gate_keeps_the_state(module: nn.Module) -> None:
    assert not outputs_with(module, "update", 200.0).any()
    assert outputs_with(module, "reset", 200.0).any()


def test_the_master_gates_have_a_row_per_chunk() -> None:
    rows = gate_rows(CORES["on-lstm"])["weight_hidden"]
    assert rows == {
        "master input": slice(0, 2),
        "master forget": slice(2, 4),
        "input": slice(4, 8),
        "forget": slice(8, 12),
        "output": slice(12, 16),
        "candidate": slice(16, 20),
    }


def test_every_recurrent_matrix_of_a_language_model_has_gates() -> None:
    gates = ["input", "forget", "output", "candidate"]
    names = [f"cores.{core}.weight_{kind}" for core in (0, 1) for kind in ("input", "hidden")]
    found = gate_rows(network("awd-lstm", 0))
    assert {name: list(rows) for name, rows in found.items()} == dict.fromkeys(names, gates)
    searched = gate_rows(network("enas-lm", 0))
    assert {tuple(rows) for rows in searched.values()} == {("candidate", "gate")}
    nodes = [name for name in searched if name.startswith("cores.0.weight_nodes.")]
    assert len(nodes) == len(searched) - 2 == 8


def test_the_blocks_cover_the_matrix() -> None:
    deep = nn.LSTM(E, H, num_layers=2, bidirectional=True, proj_size=2)
    networks = [*CORES.values(), *TORCH.values(), deep, nn.LSTMCell(E, H), nn.GRUCell(E, H)]
    for module in networks:
        held = dict(module.named_parameters())
        for name, rows in gate_rows(module).items():
            assert torch.equal(torch.cat([held[name][rows[g]] for g in rows]), held[name])
    assert "weight_hh_l1_reverse" in gate_rows(deep)
    assert not any("weight_hr" in name for name in gate_rows(deep))


def test_a_matrix_that_is_computed_has_the_gates_of_the_one_behind_it() -> None:
    plain = gate_rows(nn.LSTM(1, H))
    found = gate_rows(parametrizations.weight_norm(nn.LSTM(1, H), "weight_ih_l0"))
    behind = "parametrizations.weight_ih_l0.original1"
    assert found == {behind: plain["weight_ih_l0"], "weight_hh_l0": plain["weight_hh_l0"]}
    old = gate_rows(old_form(nn.utils.weight_norm, nn.LSTM(1, H), "weight_ih_l0"))
    assert old == {"weight_ih_l0_v": plain["weight_ih_l0"], "weight_hh_l0": plain["weight_hh_l0"]}


def test_other_layers_have_none() -> None:
    assert gate_rows(nn.Sequential(nn.Linear(3, 12), nn.RNN(E, H), nn.Conv1d(1, 8, 2))) == {}


def test_what_a_mask_keeps_of_each_gate() -> None:
    # H = 1: one row of two inputs for each of input, forget, output and candidate.
    mask = torch.tensor([[1, 1], [0, 0], [1, 0], [0, 1]], dtype=torch.bool)
    rows = gate_rows(LSTMLayer(2, 1))["weight_input"]
    assert count_layer("w", mask, rows) == LayerCount(
        name="w",
        kept=4,
        total=8,
        gates=(
            GateCount(name="input", kept=2, total=2),
            GateCount(name="forget", kept=0, total=2),
            GateCount(name="output", kept=1, total=2),
            GateCount(name="candidate", kept=1, total=2),
        ),
    )
    assert count_layer("w", mask, {}) == LayerCount(name="w", kept=4, total=8)


@given(seed=st.integers(0, 99), name=st.sampled_from(sorted(CORES)))
def test_the_gates_sum_up_to_the_matrix(seed: int, name: str) -> None:
    draw = torch.Generator().manual_seed(seed)
    rows = gate_rows(CORES[name])
    for parameter, own in CORES[name].named_parameters():
        if own.dim() == 2:
            layer = count_layer(
                parameter, torch.rand(own.shape, generator=draw) < 0.5, rows[parameter]
            )
            assert sum(gate.kept for gate in layer.gates) == layer.kept
            assert sum(gate.total for gate in layer.gates) == layer.total
