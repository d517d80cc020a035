"""Multiply-adds of all of torchvision's classification networks, as torchvision publishes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torchvision import models

from lottery.forward_pass import trace

MODELS = models.list_models(module=models)
# These come with auxiliary classifiers, which no published count has, and draw their weights slowly.
PLAIN = {
    name: {"aux_logits": False, "init_weights": False} for name in ("googlenet", "inception_v3")
}
# The layer that gives the logits; of SqueezeNet it is a convolution.
OUTPUTS = r"fc|head|heads\.head|classifier|classifier\.[12356]"
# What is added, looked up or multiplied element by element takes part in no matrix product.
ADDED = (
    r"class_token|encoder\.pos_embedding|.*\.(layer_scale|logit_scale|relative_position_bias_table)"
)


class WithoutMemory(TorchFunctionMode):
    """Parameters are made on the meta device; the schedules of RegNet are computed from real numbers."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Make what has no values yet without memory, and draw none."""
        if func in (Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_):
            return args[0]
        where = {"device": "meta"} if func is torch.empty else {}
        return func(*args, **{**(kwargs or {}), **where})


@pytest.mark.parametrize("name", MODELS)
def test_a_network_of_torchvision(name: str) -> None:
    # Of the published sizes of images the first that the network is made for.
    weights = next(
        w
        for w in models.get_model_weights(name)
        if not name.startswith("vit") or w.transforms().crop_size == [224]
    )
    (side,) = weights.transforms().crop_size
    with WithoutMemory():
        network = models.get_model(name, weights=None, **PLAIN.get(name, {})).to("meta")

    def run(module: nn.Module) -> int:
        module(torch.empty(1, 3, side, side, device="meta"))
        return 1

    passed = trace(network, run)
    # Published in G, to three digits behind the point.
    total = sum(passed.multiply_adds.values()) / 1e9
    assert total == pytest.approx(weights.meta["_ops"], abs=6e-4)
    (output,) = passed.kinds.output
    assert re.fullmatch(rf"({OUTPUTS})\.weight", output)
    assert network.get_parameter(output).shape[0] == 1000
    parameters = {n: p for n, p in network.named_parameters() if p.dim() >= 2}
    for parameter in parameters.keys() - passed.multiply_adds.keys():
        assert re.fullmatch(ADDED, parameter)
    kernels = {n for n, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    assert passed.kinds.convolutions == {f"{n}.weight" for n in kernels}


def test_none_is_left_out_and_a_vision_transformer_counts_its_attention() -> None:
    assert len(MODELS) >= 80
    weights = models.ViT_B_16_Weights.IMAGENET1K_V1
    # 12 layers of 196 patches and a class token, 768 wide: 17.56 G with attention, as published, of which 0.7 G are it.
    tokens, width = 196 + 1, 768
    layer = 4 * tokens * width**2 + 2 * tokens**2 * width + 2 * tokens * width * 4 * width
    total = 12 * layer + 196 * width * 3 * 16**2 + width * 1000
    assert total / 1e9 == pytest.approx(weights.meta["_ops"], abs=6e-4)
