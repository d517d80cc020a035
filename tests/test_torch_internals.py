"""What this project uses of torch that torch doesn't promise to keep: a torch that changed it fails here.

Each entry says what is relied on and which file relies on it: look there first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten
from torch.utils.weak import TensorWeakRef

from training.batching_rules import RULES
from training.capturable import READING

CAPTURABLE, CAPTURE = "training/capturable.py", "training/capture.py"
FUSED, PACKED = "nas/recurrent/fused_lstm.py", "nas/recurrent/packed_products.py"
POINTWISE, PRODUCTS = "nas/recurrent/pointwise.py", "lottery/products.py"
_LSTM = "hidden_size num_layers has_biases"
# Operation -> its arguments in order, how many tensors it gives, and who calls it or reads its arguments.
SCHEMAS: dict[str, tuple[str, int, str]] = {
    "aten::mkldnn_rnn_layer": (
        "input weight0 weight1 weight2 weight3 hx_ cx_ reverse batch_sizes mode "
        f"{_LSTM} bidirectional batch_first train",
        4,
        FUSED,
    ),
    "aten::mkldnn_rnn_layer_backward": (
        "input weight1 weight2 weight3 weight4 hx_ cx_tmp output hy_ cy_ grad_output grad_hy grad_cy reverse mode "
        f"{_LSTM} train bidirectional batch_sizes batch_first workspace",
        7,
        FUSED,
    ),
    "mkldnn::_reorder_linear_weight": ("self batch_size", 1, PACKED),
    "mkldnn::_linear_pointwise": ("X W B attr scalars algorithm", 1, PACKED),
    "mkldnn::_linear_pointwise.binary": ("X other W B attr", 1, PACKED),
    "aten::tanh_backward": ("grad_output output", 1, "nas/recurrent/lstm_cell.py"),
    "aten::tanh_backward.grad_input": ("grad_output output grad_input", 1, POINTWISE),
    "aten::sigmoid_backward.grad_input": ("grad_output output grad_input", 1, POINTWISE),
    "aten::threshold_backward.grad_input": ("grad_output self threshold grad_input", 1, POINTWISE),
    "aten::_softmax_backward_data": (
        "grad_output output dim input_dtype",
        1,
        "nas/recurrent/ordered_cell.py",
    ),
    "aten::index.Tensor": ("self indices", 1, CAPTURABLE),
    "aten::alias": ("self", 1, CAPTURE),
    "aten::detach": ("self", 1, CAPTURE),
    "aten::expand": ("self size implicit", 1, CAPTURE),
    "aten::permute": ("self dims", 1, CAPTURE),
    "aten::view": ("self size", 1, CAPTURE),
    "aten::mm": ("self mat2", 1, PRODUCTS),
    "aten::addmm": ("self mat1 mat2 beta alpha", 1, PRODUCTS),
    "aten::convolution": (
        "input weight bias stride padding dilation transposed output_padding groups",
        1,
        PRODUCTS,
    ),
    "aten::_scaled_dot_product_flash_attention_for_cpu": (
        "query key value dropout_p is_causal attn_mask scale",
        2,
        PRODUCTS,
    ),
}


def operation(name: str) -> OpOverload:
    """An operation by its name in a schema."""
    library, _, full = name.partition("::")
    packet, _, overload = full.partition(".")
    found: OpOverload = getattr(getattr(getattr(torch.ops, library), packet), overload or "default")
    return found


@pytest.mark.parametrize("name", SCHEMAS)
def test_an_operation_takes_and_gives_what_it_did(name: str) -> None:
    arguments, results, file = SCHEMAS[name]
    said = f"{name} of torch {torch.__version__} has other arguments or results; look at {file}"
    schema = operation(name)._schema
    assert " ".join(argument.name for argument in schema.arguments) == arguments, said
    assert len(schema.returns) == results, said


def drawing() -> Iterator[OpOverload]:
    """Every operation of torch that takes a generator, and those that draw from the global one alone."""
    for name in torch._C._dispatch_get_all_op_names():
        if name.startswith("aten::"):
            found = operation(name)
            if any("Generator" in str(argument.type) for argument in found._schema.arguments):
                yield found
    yield from map(operation, ("aten::rand", "aten::randn", "aten::randint", "aten::randperm"))
    yield from map(operation, ("aten::native_dropout", "aten::rand_like", "aten::randn_like"))


def tagged(tag: torch.Tag, *names: str) -> bool:
    """Whether operations say so of themselves."""
    return all(tag in operation(name).tags for name in names)


class Seen(TorchDispatchMode):
    """Notes every operation and its arguments."""

    def __init__(self) -> None:
        TorchDispatchMode.__init__(self)
        self.calls: list[tuple[Any, Any]] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        """Carry an operation out."""
        self.calls.append((func, args))
        return func(*args, **(kwargs or {}))


class Called(TorchFunctionMode):
    """Notes every function of torch that is called."""

    def __init__(self) -> None:
        super().__init__()
        self.functions: list[Any] = []

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call it."""
        self.functions.append(func)
        return func(*args, **(kwargs or {}))


def a_mode_sees_forward_and_backward() -> bool:
    weight, x = nn.Parameter(torch.ones(2)), torch.ones(2)
    with Seen() as seen:
        (weight * x).sum().backward()
    names = [func.overloadpacket for func, _ in seen.calls]
    _, (first, second) = seen.calls[0]
    backward = names.count(torch.ops.aten.mul) == 2
    return backward and first is weight and second is x


def a_mode_sees_no_batched_tensor() -> bool:
    with Seen() as seen:
        torch.func.vmap(torch.mul)(torch.ones(3, 2), torch.ones(3, 2))
    (args,) = [args for func, args in seen.calls if func.overloadpacket is torch.ops.aten.mul]
    return [tuple(x.shape) for x in args] == [(3, 2), (3, 2)] and type(args[0]) is Tensor


def reading_is_seen() -> bool:
    with Called() as seen:
        x = torch.ones(1)
        x.tolist()
        x.numpy()
        x.__array__()
        x.__dlpack__()
    return {*seen.functions} >= READING


def layers_are_seen() -> bool:
    with Called() as seen:
        images = torch.ones(2, 1, 4, 4)
        layers = [nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.AvgPool2d(2), nn.MaxPool2d(2)]
        for layer in (*layers, nn.Linear(4, 1)):
            layer(images)
    return {*seen.functions} >= RULES.keys()


class Squared(torch.autograd.Function):
    """Gives, under `vmap`, what the rule is told."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        """The square."""
        return x * x

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """For the way back."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Its derivative."""
        (x,) = ctx.saved_tensors
        return 2 * x * grads[0]

    @staticmethod
    def vmap(info: Any, dims: Any, x: Tensor) -> Any:
        """How many there are, added to each."""
        return x.movedim(dims[0], 0) + info.batch_size, 0


def a_rule_replaces_forward() -> bool:
    found: Tensor = torch.func.vmap(Squared.apply, in_dims=1)(torch.zeros(2, 3))
    return found.tolist() == [[3.0, 3.0]] * 3


def weak_references_to_tensors() -> bool:
    x = torch.ones(1)
    reference = TensorWeakRef(x)
    alive = reference() is x
    del x
    return alive and reference() is None


def weak_references_to_memory() -> bool:
    x, y = torch.ones(2), torch.ones(2)
    one, view, other = (StorageWeakRef(t.untyped_storage()) for t in (x, x[1:], y))
    return one == view and one != other and hash(one) == hash(view)


def trees() -> bool:
    value = (1, [None, 2], ())
    leaves, structure = tree_flatten(value)
    same = structure == tree_flatten((3, [4, 5], ()))[1] != tree_flatten((3, (4, 5), ()))[1]
    back = tree_unflatten(leaves, structure) == value
    return same and back and leaves == tree_leaves(value) == [1, None, 2]


def operations_of_lists() -> bool:
    a, b = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
    torch._foreach_add_([a, b], 1.0)  # 2 3, 4 5
    torch._foreach_add_([a], [b])  # 6 8
    torch._foreach_mul_([b], [torch.tensor([0.0, 2.0])])  # 0 10
    torch._foreach_mul_([b], torch.tensor(0.5))  # 0 5
    torch._foreach_lerp_([a], [b], [0.5])  # 3 6.5
    norms = torch._foreach_norm([b])
    ended = [a.tolist(), b.tolist(), norms[0].item()] == [[3.0, 6.5], [0.0, 5.0], 5.0]
    torch._foreach_copy_([a], [b])
    torch._foreach_zero_([b])
    return ended and [a.tolist(), b.tolist()] == [[0.0, 5.0], [0.0, 0.0]]


def packing() -> bool:
    packed = torch.ops.mkldnn._reorder_linear_weight(torch.eye(2), 1)
    return packed.is_mkldnn and not torch.eye(2).is_mkldnn and type(packed) is Tensor


def ends_allocation() -> bool:
    """Where torch is built with CUDA."""
    found = {"_cuda_endAllocateToPool", "_cuda_releasePool"} & {*dir(torch._C)}
    return torch.version.cuda is None or len(found) == 2


def flat_weights() -> bool:
    core = nn.GRU(2, 2)
    core._update_flat_weights()
    found = [*map(id, core._flat_weights)] == [*map(id, core.parameters())]
    return found and "_flat_weights" in vars(core)


def modules() -> bool:
    module = nn.BatchNorm1d(2)
    names = {"_parameters", "_buffers", "_modules", "training", "_forward_pre_hooks"}
    return vars(module).keys() >= names and "weight" in module._parameters


def parts_of_an_operation() -> bool:
    with Seen() as seen:
        torch.ones(2).add_(1)
    func = seen.calls[-1][0]
    is_known = func.overloadpacket is torch.ops.aten.add_ and func._schema.is_mutable
    x = torch.ones(1, 2)
    made = torch.ops.aten.linear.default.decompose(x, torch.ones(3, 2))
    whole = torch.ops.aten.mm.default.decompose(x, torch.ones(2, 3))
    return is_known and made.tolist() == [[2.0] * 3] and whole is NotImplemented


def attention_in_parts() -> bool:
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    after = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(before)
    return before and not after


def switch_of_products() -> bool:
    """Which library multiplies in fp32 is read and set by a word."""
    library: Any = torch.backends.mkldnn
    return isinstance(library.matmul.fp32_precision, str)


VIEWS = ("aten::alias", "aten::detach", "aten::expand", "aten::permute", "aten::view", "aten::t")
Tag = torch.Tag
# What is relied on -> who relies on it, and whether it holds.
BEHAVIOURS: Mapping[str, tuple[str, Callable[[], bool]]] = {
    "operations that draw are tagged nondeterministic_seeded": (
        CAPTURABLE,
        lambda: all(Tag.nondeterministic_seeded in found.tags for found in drawing()),
    ),
    "operations that give numbers are tagged data_dependent_output": (
        CAPTURABLE,
        lambda: tagged(
            Tag.data_dependent_output, "aten::_local_scalar_dense", "aten::equal", "aten::item"
        ),
    ),
    "operations sized by values are tagged dynamic_output_shape": (
        CAPTURABLE,
        lambda: tagged(
            Tag.dynamic_output_shape, "aten::nonzero", "aten::masked_select", "aten::_unique2"
        ),
    ),
    "operations that reshape in place are tagged inplace_view": (
        CAPTURABLE,
        lambda: tagged(
            Tag.inplace_view, "aten::unsqueeze_", "aten::t_", "aten::set_.source_Storage"
        ),
    ),
    "an operation says its namespace": (
        CAPTURABLE,
        lambda: all(operation(name).namespace == name.split("::")[0] for name in SCHEMAS),
    ),
    "oneDNN's packed matrices are plain tensors with is_mkldnn": (CAPTURABLE, packing),
    "tolist, numpy, __array__ and __dlpack__ pass a TorchFunctionMode": (CAPTURE, reading_is_seen),
    "a TorchDispatchMode sees forward and backward pass, on the very tensors": (
        CAPTURE,
        a_mode_sees_forward_and_backward,
    ),
    "a TorchDispatchMode stands below vmap": (CAPTURE, a_mode_sees_no_batched_tensor),
    "a TorchDispatchMode asks _should_skip_dynamo and supports_higher_order_operators": (
        CAPTURE,
        lambda: (
            TorchDispatchMode._should_skip_dynamo()
            and TorchDispatchMode.supports_higher_order_operators is False
        ),
    ),
    "TensorWeakRef gives the tensor while it lives": (CAPTURE, weak_references_to_tensors),
    "the pytree functions take None as a leaf": ("training/replay.py", trees),
    "an operation says whether it is a view": (
        "training/replay.py",
        lambda: (
            all(operation(name).is_view for name in VIEWS)
            and not operation("aten::add_.Tensor").is_view
            and not operation("aten::clone").is_view
        ),
    ),
    "torch.nn's layers call the functions that have batching rules": (
        "training/batching_rules.py",
        layers_are_seen,
    ),
    "under vmap an autograd function's rule replaces its forward": (
        "training/batching_rules.py",
        a_rule_replaces_forward,
    ),
    "torch._foreach_ functions": ("training/optimizers.py", operations_of_lists),
    "torch ends the allocation of a capture that failed": (
        "training/graphs.py",
        lambda: callable(torch._C._cuda_endAllocateToPool) and callable(torch._C._cuda_releasePool),
    ),
    "recurrent layers repeat their weights in _flat_weights": (
        "training/attributes.py",
        flat_weights,
    ),
    "modules have _parameters, _buffers, _modules, _forward_pre_hooks": (
        "training/attributes.py",
        modules,
    ),
    "an operation says what it is and is made of": (
        "lottery/forward_pass.py",
        parts_of_an_operation,
    ),
    "StorageWeakRef tells memories apart": ("lottery/forward_pass.py", weak_references_to_memory),
    "attention's fast path can be switched off": ("lottery/forward_pass.py", attention_in_parts),
    "the library of fp32 products is a switch": (
        "training/matrix_libraries.py",
        switch_of_products,
    ),
}


@pytest.mark.parametrize("what", BEHAVIOURS)
def test_what_is_not_promised_still_holds(what: str) -> None:
    file, holds = BEHAVIOURS[what]
    said = f"torch {torch.__version__} has changed: it no longer holds that {what}; look at {file}"
    try:
        found = holds()
    except (AttributeError, TypeError, RuntimeError, NotImplementedError) as error:
        raise AssertionError(said) from error
    assert found, said
