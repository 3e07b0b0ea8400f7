"""What the verb `predict` with a configuration writes."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import BasePredictionWriter
from typing_extensions import override


class PredictionWriter(BasePredictionWriter):
    """Writes one JSON line per row of the test split, in the rows' order, whichever process answered it.

    Each process writes a hidden file of its own beside the output; the first one merges them at the end.

    Args:
        output: the file; it appears when it is complete.
    """

    def __init__(self, output: str | Path) -> None:
        super().__init__("batch")
        self.output = Path(output)

    def _part(self, rank: int) -> Path:
        return self.output.with_name(f".{self.output.name}.{rank}")

    @override
    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.output.parent.mkdir(parents=True, exist_ok=True)
        self._part(trainer.global_rank).write_text("")

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
        with self._part(trainer.global_rank).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(answer, ensure_ascii=False) + "\n" for answer in prediction)

    @override
    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._part(trainer.global_rank).unlink(missing_ok=True)

    @override
    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.strategy.barrier()
        if not trainer.is_global_zero:
            return
        lines: dict[int, str] = {}
        for rank in range(trainer.world_size):
            with self._part(rank).open(encoding="utf-8") as file:
                lines.update((json.loads(line)["row"], line) for line in file)
            self._part(rank).unlink()
        merged = self._part(0)
        merged.write_text("".join(lines[row] for row in sorted(lines)), encoding="utf-8")
        os.replace(merged, self.output)
