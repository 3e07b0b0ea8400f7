"""How the programs talk to people: one line for a fault, and no noise."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from nlp_rnn.errors import UsageError


class ArgumentParser(argparse.ArgumentParser):
    """The parser of a verb: its faults are one line."""

    def error(self, message: str) -> NoReturn:
        program = Path(self.prog.split(" ")[0]).stem
        _leave(program, f"{message}; {self.prog} --help lists the options", 2)


@contextmanager
def reporting(program: str) -> Iterator[None]:
    """Turn exceptions into one line on standard error and an exit code.

    2 for what the user can mend, 1 for a fault while running, 130 when interrupted. `NLP_RNN_DEBUG=1` shows
    the traceback too.
    """
    try:
        yield
    except UsageError as error:
        _leave(program, error, 2)
    except KeyboardInterrupt:
        _leave(program, "interrupted", 130)
    except SystemExit as stop:
        if not isinstance(stop.__context__, KeyboardInterrupt):  # for which Lightning exits with 1
            raise
        _leave(program, "interrupted", 130)
    except BrokenPipeError:
        # Who reads us has had enough; without this the interpreter complains on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if (usage := _cause(error)) is not None:
            _leave(program, usage, 2)
        # Known by name, so that Lightning is not imported to say that a file is missing.
        mendable = type(error).__name__ == "MisconfigurationException"
        _leave(program, f"{'' if mendable else type(error).__name__ + ': '}{error}", 2 if mendable else 1)


def _cause(error: BaseException | None) -> UsageError | None:
    """What the user can mend, where a library has wrapped it in an exception of its own."""
    while error is not None and not isinstance(error, UsageError):
        error = error.__cause__ or error.__context__
    return error


def _leave(program: str, what: object, code: int) -> NoReturn:
    if os.environ.get("NLP_RNN_DEBUG"):
        traceback.print_exc()
    print(f"{program}: error: {' '.join(str(what).split())}", file=sys.stderr)
    sys.exit(code)


@contextmanager
def importing() -> Iterator[None]:
    """Within it nothing is looked through for garbage, nor ever again what is imported in it.

    Libraries leave a million objects that live as long as the program: to go through them again and again,
    the last time on the way out, is a third of the time that a short command takes.
    """
    if "torch" in sys.modules:  # there is little left to import
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def quiet() -> None:
    """Show this package's warnings, and of the libraries' only what a user can act on."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    # By the modules' own names: Lightning sets the level of what is above them when it is imported.
    for library in ("pytorch_lightning", "lightning_fabric"):
        for module in ("utilities.rank_zero", "utilities.seed", "utilities.distributed"):
            logging.getLogger(f"{library}.{module}").setLevel(logging.WARNING)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("POSSIBLE_USER_WARNINGS", "off")
    for message in (
        ".*does not have many workers.*",
        ".*isinstance.treespec, LeafSpec.*",
        ".*is not supported by the model summary.*",
        ".*number of training batches.*",
        ".*recommended to use .*sync_dist=True.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*Experiment logs directory .* exists and is not empty.*",
        ".*The dirpath has changed from.*",
        ".*Couldn't infer the batch indices.*",
        ".*lr_scheduler.step.*before.*optimizer.step.*",
    ):
        warnings.filterwarnings("ignore", message)
