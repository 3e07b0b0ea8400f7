"""Recurrent layers over whole batches: several layers, one or both directions, unequal lengths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .cells import Cell, State

# The inputs of this many rows are multiplied at once: more would take much memory and save no time.
_MAX_ROWS = 4096


class Recurrent:
    """A stack of recurrent layers.

    Padding behind a sequence's end is never read, and so a sequence is answered as if it were alone.

    Args:
        cells: the cells of each layer, one or two: forward, and backward.
        hidden_size: H.
        state_arrays: the number of arrays of the state.
        bounded: whether the hidden values of an initial state are limited to -1 to 1, as int8 weights demand.
    """

    def __init__(
        self, cells: Sequence[Sequence[Cell]], hidden_size: int, state_arrays: int, bounded: bool = False
    ) -> None:
        self._cells = cells
        self.hidden_size = hidden_size
        self.state_arrays = state_arrays
        self.num_layers = len(cells)
        self.directions = len(cells[0])
        self._bounded = bounded

    def initial_state(self, batch: int) -> State:
        """A zero state for `batch` sequences."""
        shape = (self.num_layers * self.directions, batch, self.hidden_size)
        return (np.zeros(shape, np.float32),) * self.state_arrays

    def run(
        self, inputs: np.ndarray, state: State | None = None, lengths: np.ndarray | None = None
    ) -> tuple[np.ndarray, State]:
        """Run over whole sequences.

        Args:
            inputs: [T, B, I] float32.
            state: the initial state; zeros if left out.
            lengths: [B] int64 from 0 to T; all T if left out.

        Returns:
            The outputs [T, B, directions * H], zero behind each sequence's end; and the state at each
            sequence's own end, which is the initial state of an empty one.
        """
        steps, batch, _ = inputs.shape
        state = self.initial_state(batch) if state is None else state
        if lengths is None or batch == 0 or int(lengths.min()) == steps:
            return self._run_sorted(inputs, state, [batch] * steps)
        # Longest first, so that the sequences still running are always the first rows.
        order = np.argsort(-lengths, kind="stable")
        alive = (np.arange(steps)[:, None] < lengths).sum(1).tolist()
        outputs, final = self._run_sorted(inputs[:, order], tuple(part[:, order] for part in state), alive)
        inverse = np.argsort(order)
        return outputs[:, inverse], tuple(part[:, inverse] for part in final)

    def step(self, inputs: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """Run one time step of layers in one direction: [B, I] -> [B, H], and the new state."""
        finals = []
        if self._bounded:
            state = (np.clip(state[0], -1, 1), *state[1:])
        for number, (cell,) in enumerate(self._cells):
            new = cell.step(cell.project(inputs), tuple(part[number] for part in state))
            inputs = new[0]
            finals.append(new)
        if len(finals) == 1:
            return inputs, tuple(part[None] for part in finals[0])
        return inputs, tuple(np.stack(parts) for parts in zip(*finals, strict=True))

    def _run_sorted(self, inputs: np.ndarray, state: State, alive: list[int]) -> tuple[np.ndarray, State]:
        """Run over sequences sorted by descending length; `alive` [T] is the number of rows of each step."""
        steps, batch, _ = inputs.shape
        chunk = max(1, _MAX_ROWS // max(1, batch))  # steps whose inputs are multiplied at once
        if self._bounded:
            state = (np.clip(state[0], -1, 1), *state[1:])
        finals: list[list[np.ndarray]] = []
        for cells in self._cells:
            outputs = np.zeros((steps, batch, self.directions * self.hidden_size), np.float32)
            for direction, cell in enumerate(cells):
                index = len(finals)
                current = [part[index].copy() for part in state]
                columns = slice(direction * self.hidden_size, (direction + 1) * self.hidden_size)
                start = -1
                for time in reversed(range(steps)) if direction else range(steps):
                    rows = alive[time]
                    if not rows:
                        continue
                    if start != time // chunk * chunk:
                        start = time // chunk * chunk
                        part = inputs[start : start + chunk, : alive[start]]
                        gates = cell.project(part.reshape(-1, part.shape[-1])).reshape(*part.shape[:2], -1)
                    new = cell.step(gates[time - start, :rows], tuple(array[:rows] for array in current))
                    outputs[time, :rows, columns] = new[0]
                    if rows == batch:
                        current = list(new)
                    else:
                        for array, value in zip(current, new, strict=True):
                            array[:rows] = value
                finals.append(current)
            inputs = outputs
        return inputs, tuple(np.stack(parts) for parts in zip(*finals, strict=True))
