"""The trained weights of a model in groups, from the output down to the embedding."""

from __future__ import annotations

import re

from torch import nn

from nlp_rnn.models.layers.base import RecurrentLayer

_LAYER = re.compile(r"_l(\d+)")  # in the names of the parameters of recurrent layers


def layer_groups(model: nn.Module) -> list[list[nn.Parameter]]:
    """Group the trained parameters of a model by how far they are from its output.

    The first group is all that is neither embedding nor recurrent, such as output layers. Then comes a group
    per recurrent layer, the last layer first, with both directions; where a model has several stacks, such as
    encoder and decoder, the layers of one number are one group. The last group is the embeddings, with an
    output layer that shares their weight.

    Args:
        model: any model.

    Returns:
        The parameters that require a gradient, each in one group; no group is empty.
    """
    heights: dict[nn.Parameter, int] = {}
    for module in model.modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            heights |= dict.fromkeys(module.parameters(), 0)
        elif isinstance(module, RecurrentLayer):
            for name, parameter in module.named_parameters():
                layer = _LAYER.search(name)
                heights[parameter] = 1 + int(layer[1]) if layer else 1
    top = 1 + max(heights.values(), default=0)
    groups: list[list[nn.Parameter]] = [[] for _ in range(top + 1)]
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups[top - heights.get(parameter, top)].append(parameter)
    return [group for group in groups if group]
