"""The emulated device itself: what it refuses and counts, as CUDA would.

`tests/test_emulated_device.py` runs this in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import vmap

from tests.emulated_device import DEVICE, Emulation, begin, emulated
from tests.tiny_tasks import gradients_by_name
from training.batching import Batching
from training.batching_rules import BatchingRules
from training.device import backward_precision, matrix_precision
from training.network_tensors import copied
from training.noise import bernoulli, generator, keys, random_bits
from training.replicates import Replicates


@pytest.fixture(autouse=True, scope="module")
def _named() -> None:
    begin()


@pytest.fixture
def machine() -> Iterator[Emulation]:
    """A machine with an emulated device."""
    with emulated() as emulation:
        yield emulation


def there(*shape: int) -> Tensor:
    return torch.ones(shape, device=DEVICE)


def test_it_computes(machine: Emulation) -> None:
    x = torch.tensor([[1.0, 2.0]], device=DEVICE)
    assert x.device.type == "emulated"
    assert ((2 * x) @ x.t()).tolist() == [[10.0]]
    assert machine.operations[torch.ops.aten.mm.default] == 1


@pytest.mark.parametrize(
    "mixture", [lambda x, y: x + y, lambda x, y: x @ y, lambda x, y: torch.cat([x, y]), torch.where]
)
def test_devices_do_not_mix(mixture: Callable[..., Tensor], machine: Emulation) -> None:
    given = (there(2, 2).bool(), there(2, 2)) if mixture is torch.where else (there(2, 2),)
    with pytest.raises(RuntimeError, match="of the device emulated and of the CPU"):
        mixture(*given, torch.ones(2, 2))


def test_a_number_of_the_cpu_is_no_mixture(machine: Emulation) -> None:
    assert (there(2) * torch.tensor(3.0)).tolist() == [3.0, 3.0]


WAITING: dict[str, Callable[[Tensor], object]] = {
    "a number": lambda x: float(x.sum()),
    "a truth": lambda x: bool(x.any()),
    "whether two are equal": lambda x: torch.equal(x, x),
    "where it is not 0": torch.nonzero,
    "what a mask keeps": lambda x: x[x > 0],
    "what a mask selects": lambda x: x.masked_select(x > 0),
    "a copy to the CPU": lambda x: x.cpu(),
    "a list": lambda x: x.tolist(),
    "a copy from the CPU": lambda x: torch.ones(2).to(DEVICE),
    "numbers": lambda x: torch.tensor([1.0], device=DEVICE),
    "a copy into it": lambda x: x.copy_(torch.ones(2)),
}


@pytest.mark.parametrize("name", WAITING)
def test_what_waits_is_counted(name: str, machine: Emulation) -> None:
    x = there(2)
    assert not machine.waits
    WAITING[name](x)
    assert machine.waits == {"a test": 1}


def test_what_does_not_wait_is_not_counted(machine: Emulation) -> None:
    x = there(2)
    x[torch.zeros(1, dtype=torch.int64, device=DEVICE)] += x.sum() * 2
    x.masked_fill(x > 0, 1.0).clone().to(torch.bfloat16).copy_(x)
    assert not machine.waits


def test_memory_is_shared_as_on_any_device(machine: Emulation) -> None:
    whole = there(2, 3)
    parameter = nn.Parameter(there(3))
    parameter.data = whole[1]
    with torch.no_grad():
        parameter.add_(1.0)
    assert whole.tolist() == [[1.0] * 3, [2.0] * 3]
    assert parameter.untyped_storage().data_ptr() == whole.untyped_storage().data_ptr()


def test_gradients_go_through_it(machine: Emulation) -> None:
    layer = nn.Linear(2, 1).to(DEVICE)
    layer(there(3, 2)).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.tolist() == [[3.0, 3.0]]


def test_products_are_in_bf16_and_sums_in_fp32_as_on_cuda(machine: Emulation) -> None:
    x, bias = there(2, 3, 3), there(2, 3)
    with matrix_precision("bf16", DEVICE):
        product = x @ x
        assert product.dtype == F.linear(x[0], x[1], bias[0]).dtype == torch.bfloat16
        assert product.softmax(-1).dtype == product.sum(-1).dtype == torch.float32
        with BatchingRules():
            stacked = vmap(F.linear)(x, x, bias)
        # Torch's own rule gives another precision than a layer alone, see `training.batching_rules`.
        assert (stacked.dtype, vmap(F.linear)(x, x, bias).dtype) == (torch.bfloat16, torch.float32)
    assert (x @ x).dtype == torch.float32


def batch_norm(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    running = torch.zeros(2, device=DEVICE), torch.ones(2, device=DEVICE)
    return F.batch_norm(images, *running, weight, bias, training=True)


def test_a_batch_norm_with_parameters_of_two_types_is_refused(machine: Emulation) -> None:
    images, weight = there(3, 2, 4, 4).bfloat16(), there(2).requires_grad_()
    assert batch_norm(images, weight, there(2)).dtype == torch.bfloat16
    with pytest.raises(RuntimeError, match="native_batch_norm.default takes torch.bfloat16 with"):
        batch_norm(images, weight, there(2).bfloat16())


def test_what_would_not_repeat_is_noted(machine: Emulation) -> None:
    weight, words = there(3, 2).requires_grad_(), torch.zeros(4, dtype=torch.int64, device=DEVICE)
    with backward_precision("fp32", DEVICE):
        F.embedding(words, weight).sum().backward()
    assert not machine.unrepeatable
    F.embedding(words, weight).sum().backward()
    assert [*machine.unrepeatable] == ["embedding_dense_backward in a test"]
    images = there(1, 1, 5, 5).requires_grad_()
    with backward_precision("fp32", DEVICE):
        F.adaptive_avg_pool2d(images, 2).sum().backward()
    assert "_adaptive_avg_pool2d_backward in a test" in machine.unrepeatable


@pytest.mark.parametrize("batching", ["stacked", "looped"])
def test_an_adaptive_pool_repeats(batching: Batching, machine: Emulation) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten())
    images = torch.randn(2, 3, 1, 7, 7, generator=generator(0, "images"))
    gradients = []
    for device in (torch.device("cpu"), DEVICE):
        replicates = Replicates([copied(network).to(device) for _ in range(2)], [0, 1], batching)
        with backward_precision("fp32", device):
            out = replicates(lambda own, x: own(x), images.to(device))
            out.square().sum().backward()
        gradients.append(gradients_by_name(replicates)["0.weight"].cpu())
    torch.testing.assert_close(*gradients)
    assert not machine.unrepeatable


def test_draws_are_those_of_the_cpu(machine: Emulation) -> None:
    given = [torch.tensor(n, dtype=torch.int32) for n in ([0, 7], [5, -5], 11)]
    here, far = keys(*given), keys(*(tensor.to(DEVICE) for tensor in given))
    assert torch.equal(here, far.cpu())
    assert torch.equal(random_bits(here, (50,)), random_bits(far, (50,)).cpu())
    assert torch.equal(bernoulli(here, (50,), 0.3), bernoulli(far, (50,), 0.3).cpu())
