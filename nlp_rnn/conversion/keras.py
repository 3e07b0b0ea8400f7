"""Sequential Keras models: an embedding, recurrent layers, perhaps a pooling layer, and a Dense layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nlp_rnn.conversion.classifier import classifier as convert_classifier
from nlp_rnn.conversion.imported import Imported, Request
from nlp_rnn.conversion.keras_equations import EQUATIONS
from nlp_rnn.conversion.keras_file import KerasLayer, read_keras
from nlp_rnn.conversion.recurrent import Recurrent, recurrent
from nlp_rnn.conversion.tagger import tagger as convert_tagger
from nlp_rnn.errors import UsageError, join_names

_POOLINGS = {"GlobalMaxPooling1D": "max", "GlobalAveragePooling1D": "mean"}
_SKIPPED = ("InputLayer", "Dropout", "SpatialDropout1D", "Masking", "TextVectorization")
_ACTIVATIONS = ("linear", "softmax", "sigmoid", None)  # of the last layer: what follows the scores


@dataclass(frozen=True)
class _Network:
    """A Keras model, divided into its parts."""

    embedding: Tensor
    stack: Sequence[KerasLayer]
    pooling: str
    weight: Tensor
    bias: Tensor
    layers: Recurrent
    notes: list[str]

    def outputs(self, vectors: Tensor) -> Tensor:
        """The outputs of the recurrent layers by Keras's equations, [T, E] -> [T, D * H]."""
        for layer in self.stack:
            compute = EQUATIONS[layer.kind]
            directions = [compute(vectors, _tensors(layer, ""))]
            if layer.bidirectional:
                directions.append(compute(vectors.flip(0), _tensors(layer, "backward")).flip(0))
            vectors = torch.cat(directions, -1)
        return vectors


def classifier(request: Request) -> Imported:
    """A classifier of texts."""
    network = _read(request, per_step=False)
    hidden = network.layers.hidden_size

    def original(vectors: Tensor) -> Tensor:
        outputs = network.outputs(vectors)
        if network.pooling == "last":  # where each direction ends
            summary = torch.cat((outputs[-1, :hidden], outputs[0, hidden:]))
        else:
            summary = outputs.amax(0) if network.pooling == "max" else outputs.mean(0)
        return summary @ network.weight.T + network.bias

    imported = convert_classifier(
        request, network.embedding, network.layers, network.weight, network.bias, original, network.pooling
    )
    imported.notes[:0] = network.notes
    return imported


def tagger(request: Request) -> Imported:
    """A tagger of words."""
    network = _read(request, per_step=True)
    weight, bias = network.weight, network.bias
    imported = convert_tagger(
        request,
        network.embedding,
        network.layers,
        weight,
        bias,
        lambda vectors: network.outputs(vectors) @ weight.T + bias,
    )
    imported.notes[:0] = network.notes
    return imported


def _read(request: Request, per_step: bool) -> _Network:
    layers, configured = read_keras(request.weights)
    layers = [layer for layer in layers if layer.kind not in _SKIPPED]
    activation = None  # behind the last layer, where it is a layer of its own
    if layers and layers[-1].kind == "Activation":
        activation = layers.pop().config.get("activation")
    kinds = [layer.kind for layer in layers]
    pooling = "last"
    if len(kinds) > 2 and not per_step and kinds[-2] in _POOLINGS:
        pooling = _POOLINGS[kinds[-2]]
        del layers[-2]
    stack, last = layers[1:-1], layers[-1]
    if (
        kinds[0] != "Embedding"
        or kinds[-1] != "Dense"
        or not stack
        or not {x.kind for x in stack} <= {*EQUATIONS}
    ):
        raise UsageError(
            f"{request.weights}: its layers are {join_names(kinds)}; those of an Embedding, then "
            f"{join_names(EQUATIONS)}, then one Dense can be imported"
        )
    for number, layer in enumerate(stack):
        _check(layer, sequences=per_step or pooling != "last" or number < len(stack) - 1)
    _check_output(last, per_step, activation)
    notes = []
    if not configured:
        notes.append(
            "the file has no settings of the layers: their order is that of their names, there is no "
            "pooling, and all else is taken to be Keras's default; a .keras file would tell"
        )
    if not layers[0].config.get("mask_zero"):
        notes.append("Keras reads padding with this model, which is never read here: padded texts differ")
    dense = _tensors(last, "")
    weight = dense["kernel"].T.contiguous()
    return _Network(
        embedding=_tensors(layers[0], "")["embeddings"],
        stack=stack,
        pooling=pooling,
        weight=weight,
        bias=dense.get("bias", torch.zeros(len(weight))),
        layers=_as_torch(stack),
        notes=notes,
    )


def _check(layer: KerasLayer, sequences: bool) -> None:
    """Refuse a recurrent layer that computes otherwise than ours.

    Raises:
        UsageError: names the setting.
    """
    expected: dict[str, Any] = {
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "return_sequences": sequences,
        "go_backwards": False,
        "reset_after": True,
    }
    settings = [(layer.config, expected), (layer.backward_config, {**expected, "go_backwards": True})]
    for config, name, value in ((config, *pair) for config, wanted in settings for pair in wanted.items()):
        if (actual := config.get(name, value)) != value:
            raise UsageError(f"{layer.kind} has {name} {actual!r}; only {value!r} can be imported here")
    if layer.bidirectional and layer.merge_mode != "concat":
        raise UsageError(f"Bidirectional has merge_mode {layer.merge_mode!r}; only 'concat' can be imported")
    bias = layer.arrays.get("", {}).get("bias")
    if layer.kind == "GRU" and bias is not None and bias.ndim == 1:
        raise UsageError("GRU has reset_after False; only True, the default, can be imported")


def _check_output(layer: KerasLayer, per_step: bool, behind: Any) -> None:
    activation = layer.config.get("activation")
    if behind is not None and activation in ("linear", None):
        activation, behind = behind, None
    units = layer.arrays[""]["kernel"].shape[-1] if layer.arrays.get("") else 0
    is_several = activation == "sigmoid" and (units != 1 or per_step)
    if behind is not None or is_several or activation not in _ACTIVATIONS:
        raise UsageError(
            f"Dense of {units} units has activation {activation!r}: not one label per text or word"
        )


def _tensors(layer: KerasLayer, direction: str) -> dict[str, Tensor]:
    """The arrays of one direction of a layer; a missing bias is zero.

    Raises:
        UsageError: the file lacks them.
    """
    tensors = {name: torch.from_numpy(array) for name, array in layer.arrays.get(direction, {}).items()}
    if not tensors:
        raise UsageError(f"the weights of a layer of kind {layer.kind} are missing")
    if layer.kind in EQUATIONS and "bias" not in tensors:
        width = tensors["kernel"].shape[-1]
        tensors["bias"] = torch.zeros((2, width) if layer.kind == "GRU" else width)
    return tensors


def _as_torch(stack: Sequence[KerasLayer]) -> Recurrent:
    """The layers as torch stores them."""
    tensors: dict[str, Tensor] = {}
    for number, layer in enumerate(stack):
        for direction, ending in (("", ""), ("backward", "_reverse"))[: 1 + layer.bidirectional]:
            values = _REORDERED[layer.kind](_tensors(layer, direction))
            tensors |= {f"{name}_l{number}{ending}": value for name, value in values.items()}
    if len({(layer.kind, layer.bidirectional) for layer in stack}) > 1:
        raise UsageError("its recurrent layers are of several kinds; only layers of one kind can be imported")
    return recurrent(tensors, "the recurrent layers")


def _plain(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """SimpleRNN and LSTM, whose gates stand in torch's order: transposed, with one bias for two."""
    return {
        "weight_ih": arrays["kernel"].T.contiguous(),
        "weight_hh": arrays["recurrent_kernel"].T.contiguous(),
        "bias_ih": arrays["bias"],
        "bias_hh": torch.zeros_like(arrays["bias"]),
    }


def _gru(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """GRU, whose gates are z, r and the candidate, while torch has r, z and the candidate."""

    def reorder(values: Tensor) -> Tensor:
        z, r, candidate = values.chunk(3)
        return torch.cat((r, z, candidate))

    return {
        "weight_ih": reorder(arrays["kernel"].T),
        "weight_hh": reorder(arrays["recurrent_kernel"].T),
        "bias_ih": reorder(arrays["bias"][0]),
        "bias_hh": reorder(arrays["bias"][1]),
    }


_REORDERED: dict[str, Callable[[Mapping[str, Tensor]], dict[str, Tensor]]] = {
    "SimpleRNN": _plain,
    "LSTM": _plain,
    "GRU": _gru,
}

RECIPES: dict[str, Callable[[Request], Imported]] = {
    "keras-classifier": classifier,
    "keras-tagger": tagger,
}
