"""Pooling over time: the outputs of all steps of a sequence become one summary of it, at once or by steps."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from nlp_rnn.models.layers.base import State
from nlp_rnn.models.layers.devices import has_float64

PoolingName = Literal["last", "mean", "max", "concat", "attention"]
POOLINGS = get_args(PoolingName)


class Pooling:
    """Summarizes outputs [T, B, D * H] of recurrent layers, of size H in D directions, as [B, `output_size`].

    Args:
        name: `last` takes the final state of each direction; `mean` and `max` are over the outputs of the
            sequence's steps; `concat` joins last, max and mean (Howard & Ruder 2018); `attention` is a mean
            whose weights are the softmax of the outputs' products with a learned query (Lin et al. 2017, of
            one head and without a hidden layer).
        size: D * H.

    Raises:
        ValueError: unknown name.
    """

    def __init__(self, name: str, size: int) -> None:
        if name not in POOLINGS:
            raise ValueError(f"unknown pooling {name!r}: use one of {', '.join(POOLINGS)}")
        self.name = name
        self.size = size
        self.output_size = 3 * size if name == "concat" else size

    def query(self) -> nn.Parameter | None:
        """A new query [D * H], as a linear layer would begin with; None where the pooling has no weights."""
        if self.name != "attention":
            return None
        return nn.Parameter(torch.empty(self.size).uniform_(-1, 1) / self.size**0.5)

    def summarize(self, output: Tensor, last: Tensor, lengths: Tensor, query: Tensor | None) -> Tensor:
        """Summarize whole sequences.

        Args:
            output: [T, B, D * H], zero behind each sequence's end.
            last: [B, D * H] the final states, zero where a sequence is empty.
            lengths: [B] int64 on the same device.
            query: [D * H] of `attention`.

        Returns:
            [B, output_size]; zeros if empty.
        """
        if self.name == "last":
            return last
        if self.name == "mean":
            return _mean(output, lengths)
        if self.name == "max":
            return _max(output, lengths)
        if self.name == "concat":
            return torch.cat([last, _max(output, lengths), _mean(output, lengths)], -1)
        assert query is not None
        scores = (output @ query).float()  # [T, B]
        scores = scores.masked_fill(_padding(output, lengths), torch.finfo(scores.dtype).min)
        return (scores.softmax(0).to(output.dtype)[..., None] * output).sum(0)

    def initial_state(self, batch: int, like: Tensor) -> State:
        """The state before the first `step` of `batch` sequences, on the device of `like`, in its dtype."""
        exact = torch.float64 if has_float64(like.device) else torch.float32
        sums = like.new_zeros(batch, self.size, dtype=exact)
        count = sums[:, :1].clone()
        lowest = like.new_full((batch, self.size), -torch.inf)
        states: dict[str, State] = {
            "last": (),
            "mean": (sums, count),  # the sum of the outputs, and their number
            "max": (lowest,),
            "concat": (sums, count, lowest),
            "attention": (sums, count, count - torch.inf),  # of weights relative to that of the largest score
        }
        return states[self.name]

    def step(self, output: Tensor, state: State, query: Tensor | None) -> tuple[Tensor, State]:
        """Summarize what has been read after one more output, in memory that does not grow.

        Args:
            output: [B, D * H].
            state: of `initial_state`, or of the step before.
            query: [D * H] of `attention`.

        Returns:
            [B, output_size], and the new state.
        """
        if self.name == "last":
            return output, state
        if self.name == "max":
            highest = torch.maximum(state[0], output)
            return highest, (highest,)
        sums, count, *rest = state
        if self.name == "attention":
            assert query is not None
            score = (output @ query)[:, None].to(sums.dtype)
            largest = torch.maximum(rest[0], score)
            kept, weight = (rest[0] - largest).exp(), (score - largest).exp()
            sums, count, rest = sums * kept + output * weight, count * kept + weight, [largest]
        else:
            sums, count = sums + output, count + 1
        mean = (sums / count).to(output.dtype)
        if self.name == "concat":
            rest = [torch.maximum(rest[0], output)]
            return torch.cat([output, rest[0], mean], -1), (sums, count, *rest)
        return mean, (sums, count, *rest)


def _padding(output: Tensor, lengths: Tensor) -> Tensor:
    """[T, B] bool: what is behind the end of its sequence."""
    return torch.arange(output.size(0), device=output.device)[:, None] >= lengths


def _mean(output: Tensor, lengths: Tensor) -> Tensor:
    return output.sum(0) / lengths.clamp(min=1)[:, None]


def _max(output: Tensor, lengths: Tensor) -> Tensor:
    if output.size(0) == 0:
        return output.sum(0)
    highest = output.masked_fill(_padding(output, lengths).unsqueeze(-1), float("-inf")).amax(0)
    return torch.where(lengths[:, None] > 0, highest, torch.zeros_like(highest))
