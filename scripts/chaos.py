"""Interrupt training at random moments, resume it, and check that the model ends as if nothing had happened.

    python scripts/chaos.py --kills 100

Small models of two tasks are trained, each once undisturbed. Then the same runs are killed by SIGKILL,
SIGTERM and SIGINT while they start, train, validate and save, or their disk is filled; and they are resumed
until they finish. After each interruption the newest good checkpoint and the model folder must load. In the
end the weights must equal those of the undisturbed run bit for bit. Disks are filled on a small tmpfs, if
mounting is allowed.
"""

from __future__ import annotations

import argparse
import json
import math
import mmap
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.backends.backend_agg
import tokenizers
import torch
import torch.utils.tensorboard
from pytorch_lightning.loops.evaluation_loop import _EvaluationLoop
from pytorch_lightning.loops.fit_loop import _FitLoop

from nlp_rnn.cli.main import main
from nlp_rnn.storage.checkpoint import read_checkpoint
from nlp_rnn.storage.reading import read_model
from nlp_rnn.training import cli
from nlp_rnn.training.checkpoint_io import SafeCheckpointIO
from nlp_rnn.training.checkpoints import newest_good

# Imported here, so that the forked processes need not.
_ = matplotlib.backends.backend_agg, tokenizers, torch.utils.tensorboard

TINY = shlex.split(
    "--data.corpus.max_examples 80 --data.batching.size 16 --model.embedding_dim 8 --model.hidden_dim 8 "
    "--trainer.max_epochs 3 --save_minutes 0.002"
)
TASKS = {
    "sentiment": "--config conf/sentiment_builtin.yaml --model.dropout 0.3",
    "translation": "--config conf/translation_builtin.yaml --model.decoding.max_output 8",
}
STAGES = ("start", "train", "validate", "save")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
LONGEST = 1800.0  # seconds that one process may take, on a busy machine

stage = mmap.mmap(-1, 1)  # of the training process, an index of STAGES; shared with it


def mark(owner: Any, name: str, number: int) -> None:
    """Let a function write into `stage` while it runs."""
    original: Callable[..., Any] = getattr(owner, name)

    def marked(*arguments: Any, **options: Any) -> Any:
        before, stage[0] = stage[0], number
        try:
            return original(*arguments, **options)
        finally:
            stage[0] = before

    setattr(owner, name, marked)


def start(arguments: list[str], log: Path, temporary: Path) -> int:
    """Run `nlp-rnn fit` in a forked process, which need not import everything again; give its number."""
    stage[0] = 0
    if process := os.fork():
        return process
    code: Any = 99
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
        main(["fit", *arguments])
        code = 0
    except SystemExit as stopped:
        code = stopped.code
    finally:
        os._exit(code)


def wait(process: int, until: Callable[[], bool] = lambda: False) -> int | None:
    """The exit code of a process, negative for a signal; None if `until` was true before it ended."""
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if until():
            return None
        time.sleep(0.0002)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    raise AssertionError(f"a process did not end within {LONGEST:.0f} seconds")


def moment(chance: random.Random) -> Callable[[], bool]:
    """True from a random moment after a random stage was entered for the first, second, ... time."""
    target, visits, seen = chance.randrange(len(STAGES)), chance.randint(1, 6), -1
    delay, at = chance.expovariate(1 / (0.003 if STAGES[target] == "save" else 0.1)), math.inf

    def reached() -> bool:
        nonlocal visits, seen, at
        if stage[0] != seen:
            seen = stage[0]
            visits -= seen == target
            if at == math.inf and (visits == 0 or target == 0):
                at = time.monotonic() + delay
        return time.monotonic() >= at

    return reached


def fill(folder: Path) -> None:
    """Fill the disk to the last byte."""
    with (folder / "ballast").open("ab", buffering=0) as file:
        for size in (1 << 16, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue


def check(run: Path, saved: bool) -> bool:
    """Assert that what was good before still loads; give whether there is a checkpoint."""
    if (run / "model").exists():
        read_model(run / "model")
    if not saved and not list((run / "checkpoints").glob("[!.]*.ckpt")):
        return False
    newest_good(run / "checkpoints")
    return True


def weights(run: Path) -> tuple[bytes, dict[str, torch.Tensor]]:
    """The final model, and the last state of training."""
    last = read_checkpoint(run / "checkpoints" / "last.ckpt")
    return (run / "model" / "model.safetensors").read_bytes(), last["state_dict"]


def arguments_of(task: str, run: Path) -> list[str]:
    """The command line that begins or goes on with a run."""
    if (run / "config.yaml").exists():
        return ["--resume", str(run)]
    return [*shlex.split(TASKS[task]), *TINY, "--runs", str(run.parents[1]), "--name", run.parent.name]


def disturb(task: str, folder: Path, temporary: Path, fills: bool, chance: random.Random) -> Counter[str]:
    """Interrupt one run, folder/run/1, again and again until it finishes; give the counts."""
    run, log, saved, counts = (
        folder / "run" / "1",
        folder.parent / f"{folder.name}.log",
        False,
        Counter[str](),
    )
    code: int | None = 1
    for number in range(chance.randint(3, 9)):
        process = start(arguments_of(task, run), log, temporary)
        counts["resumes"] += number > 0
        code = wait(process, moment(chance))
        if code is None and fills:
            fill(folder)
            code = wait(process)
            (folder / "ballast").unlink()
            said = log.read_text().splitlines()[-1:]
            assert code == 0 or "No space left" in "".join(said), f"{log}: exit code {code}, {said}"
            counts["full disks"] += code != 0
        elif code is None:
            chosen, at = chance.choice(SIGNALS), STAGES[stage[0]]
            os.kill(process, chosen)
            code = wait(process)
            expected = -chosen if chosen == signal.SIGKILL else 128 + chosen
            # Until the command handles signals, and after it has ended, the system ends the process.
            unhandled = (-chosen,) if at == "start" else ()
            assert code in (0, expected, *unhandled), (
                f"{log}: {chosen.name} while it was to {at}: exit code {code}"
            )
            counts.update({"kills": 1, chosen.name: 1, at: 1})
        saved = check(run, saved)
        if code == 0:
            return counts
        if not (run / "config.yaml").exists():  # killed too early to leave anything but an empty directory
            shutil.rmtree(run, ignore_errors=True)
    assert wait(start(arguments_of(task, run), log, temporary)) == 0, f"{log}: it could not be resumed"
    return counts + Counter(resumes=1)


def mount(folder: Path) -> bool:
    """Mount a disk of a few megabytes, if that is allowed."""
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def chaos(kills: int, seed: int, folder: Path, other: Path) -> dict[str, Any]:
    """Interrupt runs until there were so many kills; give the counts. `other` is on another file system."""
    chance, counts = random.Random(seed), Counter[str]()
    expected = {}
    for task in TASKS:
        run = folder / task / "run" / "1"
        assert wait(start(arguments_of(task, run), folder / f"{task}.log", folder)) == 0, f"{task} fails"
        expected[task] = weights(run)
    while counts["kills"] < kills:
        number = counts["runs"]
        counts["runs"] += 1
        task, temporary = list(TASKS)[number % 2], (folder, other)[number // 2 % 2]
        place = folder / f"disturbed{number}"
        place.mkdir()
        fills = number % 3 == 2 and mount(place)
        try:
            counts.update(disturb(task, place, temporary, fills, chance))
            model, last = weights(place / "run" / "1")
        finally:
            if fills:
                subprocess.run(["umount", "-l", place], check=True)
        undisturbed, state = expected[task]
        same = model == undisturbed and all(torch.equal(last[name], state[name]) for name in state)
        assert same, f"{place}: weights differ from those of the undisturbed run of {task}"
        counts[f"equal, {task}"] += 1
        print(json.dumps(counts), file=sys.stderr, flush=True)
    return dict(counts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100, help="number of kills; default: 100")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments; default: 0")
    parser.add_argument("--other", default="/dev/shm", help="another file system; default: /dev/shm")
    options = parser.parse_args()
    mark(_FitLoop, "run", 1)
    mark(_EvaluationLoop, "run", 2)
    mark(SafeCheckpointIO, "save_checkpoint", 3)
    mark(cli, "save_pretrained", 3)
    with tempfile.TemporaryDirectory() as runs, tempfile.TemporaryDirectory(dir=options.other) as elsewhere:
        print(json.dumps(chaos(options.kills, options.seed, Path(runs), Path(elsewhere)), indent=2))
