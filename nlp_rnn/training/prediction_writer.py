"""What the verb `predict` with a configuration writes."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import BasePredictionWriter
from typing_extensions import override

from nlp_rnn.files import atomic_write, temporary_beside, write_errors


class PredictionWriter(BasePredictionWriter):
    """Writes one JSON line per row of the test split, in the rows' order, whichever process answered it.

    Each process writes a file of its own in a hidden folder beside the output; the first one merges them at
    the end.

    Args:
        output: the file; it appears when it is complete.
    """

    def __init__(self, output: str | Path) -> None:
        super().__init__("batch")
        self.output = Path(output)
        self._folder = Path()
        self._open = ExitStack()

    def _part(self, rank: int) -> Path:
        return self._folder / str(rank)

    @override
    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        target = Path(os.path.realpath(self.output))
        with write_errors(self.output, target):
            target.parent.mkdir(parents=True, exist_ok=True)
            if trainer.is_global_zero:
                self._folder = self._open.enter_context(temporary_beside(target, folder=True))
        self._folder = trainer.strategy.broadcast(self._folder)

    @override
    def write_on_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        prediction: Any,
        batch_indices: Sequence[int] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        part = self._part(trainer.global_rank)
        with write_errors(self.output, part), part.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(answer, ensure_ascii=False) + "\n" for answer in prediction)

    @override
    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._open.close()

    @override
    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.strategy.barrier()
        if not trainer.is_global_zero:
            return
        lines: dict[int, str] = {}
        for path in self._folder.iterdir():
            with path.open(encoding="utf-8") as file:
                lines.update((json.loads(line)["row"], line) for line in file)
        with atomic_write(self.output) as temporary:
            temporary.write_text("".join(lines[row] for row in sorted(lines)), encoding="utf-8")
        self._open.close()
