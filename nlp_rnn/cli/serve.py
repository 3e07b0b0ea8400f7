"""`nlp-rnn serve FOLDER...`: answer over HTTP."""

from __future__ import annotations

import argparse
import os
from functools import partial
from typing import TYPE_CHECKING

from nlp_rnn.cli.console import add_trust_argument, importing
from nlp_rnn.lite.serving import options as serving

if TYPE_CHECKING:
    from nlp_rnn.lite.serving.served import Pipeline


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    serving.add_arguments(parser)
    add_trust_argument(parser)
    parser.add_argument(
        "--backend",
        choices=["torch", "numpy", "onnx"],
        default="torch",
        help="what computes; onnx needs a folder that nlp-rnn export wrote; default: torch",
    )


def run(options: argparse.Namespace) -> None:
    """Serve until a signal comes."""
    # The steps of recurrent layers are too small for threads of NumPy.
    is_torch = options.backend == "torch"
    # oneDNN keeps what it has compiled for each shape of a batch, 1,024 of them by default: hundreds of MiB,
    # and hardly any shape comes twice.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
    load = partial(
        load_pipeline, backend=options.backend, batch_size=options.max_batch, trust=tuple(options.trust)
    )
    serving.serve_with(options, load, lambda cores: cores if is_torch else 1)


def load_pipeline(folder: str, backend: str, batch_size: int, trust: tuple[str, ...] = ()) -> Pipeline:
    """Load a model, in the process that answers with it.

    Args:
        folder: of the model.
        backend: torch, numpy or onnx.
        batch_size: maximum number of inputs per batch.
        trust: installed packages to import, which register tasks and cells.

    Raises:
        UsageError: it cannot be loaded.
    """
    if backend != "torch":
        from nlp_rnn.lite.loading import load
        from nlp_rnn.lite.pipelines import Pipeline as LitePipeline

        return LitePipeline(load(folder, backend), batch_size)
    with importing():
        import torch

        from nlp_rnn.cpu import retain_freed_memory
        from nlp_rnn.inference.pipelines import Pipeline as TorchPipeline
        from nlp_rnn.tasks.pretrained import from_pretrained
        from nlp_rnn.training.checks import import_trusted

        import_trusted(trust)
    retain_freed_memory()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))  # also where it was imported before
    return TorchPipeline(from_pretrained(folder), batch_size)
