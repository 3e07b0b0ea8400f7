"""Results of inspection show the shapes of their tensors."""

from dataclasses import dataclass, field

import torch

from nlp_rnn.inspection.representation import shapes_repr


@dataclass
class Result:
    text: str
    states: torch.Tensor
    gates: dict[str, torch.Tensor] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)

    __repr__ = shapes_repr


def test_tensors_are_shapes_and_long_values_are_short():
    result = Result("a fine film", torch.zeros(3, 1, 8), {"input": torch.zeros(3)}, ["a"])
    assert repr(result) == "Result(text='a fine film', states=[3, 1, 8], gates={input: [3]}, tokens=['a'])"
    result = Result("x" * 1000, torch.zeros(()), tokens=["word"] * 100)
    assert repr(result) == f"Result(text='{'x' * 59} …, states=[], gates={{}}, tokens=100 values)"
