"""What a layer is called with is checked on every path, before a kernel reads out of bounds."""

import pytest
import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers import recurrent
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.models.layers.checks import validate_lengths
from nlp_rnn.models.layers.quantization import quantize_layer
from nlp_rnn.models.layers.unrolled import Unrolled

LENGTHS = torch.tensor([5, 2, 3])


def no_grad(call):
    return torch.no_grad()(call)


def bfloat16(call):
    return torch.autocast("cpu", torch.bfloat16)(call)


# Each makes of a layer a call (input [5, 3, 4], state).
PATHS = {
    "whole": lambda layer: layer,
    "without gradients": no_grad,
    "outputs": lambda layer: lambda input, hx: (layer.outputs(input, hx), hx),
    "ragged": lambda layer: lambda input, hx: layer(input, hx, LENGTHS),
    "bfloat16 kernel": bfloat16,
    "one step": lambda layer: lambda input, hx: layer(input[:1], hx),
    "one step without gradients": lambda layer: no_grad(lambda input, hx: layer(input[:1], hx)),
    "stepwise": lambda layer: lambda input, hx: layer.stepwise()(input[0], hx),
    "unrolled": Unrolled,
    "int8": quantize_layer,
    "int8 stepwise": lambda layer: lambda input, hx: quantize_layer(layer).stepwise()(input[0], hx),
}
CASES = [
    (cell, path)
    for cell in CELLS
    for path in PATHS
    if "int8" not in path or CELLS[cell].int8_step is not None
]


@pytest.fixture(params=CASES, ids="-".join)
def call(request, monkeypatch):
    """A path of a layer of two layers, and the number of its state tensors."""
    cell, path = request.param
    monkeypatch.setattr(recurrent, "_MIN_HIDDEN", 1)
    layer = CELLS[cell](4, 6, num_layers=2).eval()
    return PATHS[path](layer), layer.state_tensors


def state(tensors, *shape):
    return tuple(torch.zeros(shape) for _ in range(tensors))


def test_inputs_of_another_width_or_rank_are_refused(call):
    run, tensors = call
    for shape in ((5, 3, 5), (5, 3), (5, 3, 1, 4)):
        with pytest.raises(ValueError, match=r"input must be of shape \[.*4\], not \["):
            run(torch.randn(shape), state(tensors, 2, 3, 6))


def test_states_of_another_shape_are_refused(call):
    run, tensors = call
    input = torch.randn(5, 3, 4)
    run(input, state(tensors, 2, 3, 6))
    for shape in ((2, 2, 6), (2, 1, 6), (2, 3, 7), (1, 3, 6), (4, 3, 6), (3, 6)):
        with pytest.raises(ValueError, match=r"must be of shape \[2, 3, 6\] .* not \["):
            run(input, state(tensors, *shape))


def test_states_of_another_number_of_tensors_are_refused_and_one_tensor_is_understood(call):
    run, tensors = call
    input, zeros = torch.randn(5, 3, 4), torch.zeros(2, 3, 6)
    for number in {0, 1, 2, 3} - {tensors}:
        with pytest.raises(ValueError, match=f"must be {tensors} tensors of shape .* not {number}"):
            run(input, (zeros,) * number)
    if tensors == 1:
        assert torch.equal(run(input, zeros)[0], run(input, (zeros,))[0])
    else:
        with pytest.raises(ValueError, match=f"must be {tensors} tensors"):
            run(input, zeros)


def test_a_state_of_something_else_than_tensors_is_refused(call):
    run, tensors = call
    for part in (None, [1.0], "h"):
        with pytest.raises(ValueError, match=r"^the state must be tensors of shape \[2, 3, 6\], not "):
            run(torch.randn(5, 3, 4), (part,) * tensors)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("size", [0, -1, 2.0, "2", None, True])
@pytest.mark.parametrize("name", ["input_size", "hidden_size", "num_layers"])
def test_sizes_that_are_no_whole_numbers_are_refused(cell, name, size):
    with pytest.raises(ValueError, match=f"^{name} must be a whole number, 1 or more, not {size!r}$"):
        CELLS[cell](**{"input_size": 4, "hidden_size": 6, name: size})


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64])
@pytest.mark.parametrize("cell", CELLS)
def test_other_dtypes_than_the_weights_are_refused_outside_of_autocast(cell, dtype):
    layer = CELLS[cell](4, 6)
    input, start = torch.randn(5, 3, 4), state(layer.state_tensors, 1, 3, 6)
    other = tuple(part.to(dtype) for part in start)
    with pytest.raises(ValueError, match=f"input is {dtype}, but the weights are torch.float32"):
        layer(input.to(dtype), other)
    with pytest.raises(ValueError, match=f"state is {dtype}, but the weights are torch.float32"):
        layer(input, other)
    if dtype != torch.int64:
        layer.to(dtype)(input.to(dtype), other)


@pytest.mark.parametrize("path", ["whole", "outputs", "unrolled", "int8"])
@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([1, 2], r"lengths has shape \[2\], the batch has 3"),
        ([[1, 2, 3]], "lengths has shape"),
        (3, "lengths has shape"),
        ([6, 1, 1], "between 0 and 5"),
        ([-1, 1, 1], "between 0 and 5"),
        ([2.0, 1, 1], "must be integers, not torch.float32"),
        (torch.tensor([True, False, True]), "must be integers, not torch.bool"),
    ],
)
def test_wrong_lengths_are_refused(path, lengths, message):
    layer = {"unrolled": Unrolled, "int8": quantize_layer}.get(path, lambda layer: layer)(CELLS["gru"](4, 6))
    with pytest.raises(ValueError, match=message):
        (layer.outputs if path == "outputs" else layer)(torch.zeros(5, 3, 4), lengths=lengths)


@pytest.mark.parametrize("lengths", [[2, 0, 3], torch.tensor([2, 0, 3], dtype=torch.uint8)])
def test_lengths_become_int64(lengths):
    validated = validate_lengths(lengths, steps=3, batch=3)
    assert validated.tolist() == [2, 0, 3]
    assert validated.dtype == torch.int64


def test_full_lengths_are_none():
    assert validate_lengths([3, 3], steps=3, batch=2) is None
    assert validate_lengths([], steps=3, batch=0) is None


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.filterwarnings("ignore")
def test_what_would_record_the_lengths_of_one_batch_is_refused(cell):
    layer, lengths = CELLS[cell].layer(3, 4), torch.tensor([3, 1])
    inputs = (torch.randn(3, 2, 3), None, lengths)
    run = torch.nn.Module()
    run.forward = lambda input, lengths: layer.outputs(input, lengths=lengths)
    for record in (
        lambda: torch.jit.trace(layer, inputs[:1]),
        lambda: torch.jit.trace(run, (inputs[0], lengths)),
        lambda: torch.jit.script(layer),
        lambda: torch.jit.script(torch.nn.Sequential(layer)),
    ):
        with pytest.raises(UsageError, match="would make constants of one batch's lengths"):
            record()
    with pytest.raises(Exception, match="data-dependent"):  # torch's own refusal
        torch.export.export(layer, inputs)


def test_a_list_of_tensors_is_a_state_too(call):
    run, tensors = call
    input, state = torch.randn(5, 3, 4), [torch.randn(2, 3, 6) for _ in range(tensors)]
    assert torch.equal(run(input, state)[0], run(input, tuple(state))[0])
