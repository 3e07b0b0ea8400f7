"""The directory that each fit leaves behind: `runs/NAME/1`, `runs/NAME/2`, ..."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from nlp_rnn.errors import UsageError
from nlp_rnn.files import atomic_write, cannot_write

SEED_PREFIX = "seed-"
"""What begins the name of each run directory of a group, which ends with its seed."""
_LOCK = ".lock"
_LOCK_SECONDS = 10.0  # so long after a process was killed may its data workers hold its lock

_MAX_NAME = 200  # bytes; systems allow 255


def check_name(name: str) -> None:
    """Check that a run's name is the name of one folder.

    Raises:
        UsageError: it is not.
    """
    if (
        name in (".", "..")
        or not name.strip()
        or any(sign in name for sign in "/\\")
        or not name.isprintable()
        or len(name.encode()) > _MAX_NAME
    ):
        raise UsageError(
            f"--name {name!r:.60}: give a plain folder name, without / or .., of at most {_MAX_NAME} bytes"
        )


def new_run_dir(runs: Path, name: str) -> Path:
    """Make a new directory, numbered one higher than the highest so far.

    Args:
        runs: folder of all runs.
        name: name of the run.

    Returns:
        The path of the new directory, `runs/name/NUMBER`.

    Raises:
        UsageError: it cannot be written.
        RunError: the disk is full.
    """
    folder = runs / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = 1 + max((int(path.name) for path in folder.iterdir() if path.name.isdecimal()), default=0)
        while True:
            try:
                (folder / str(number)).mkdir()
                break
            except FileExistsError:  # another run was faster
                number += 1
    except OSError as error:
        raise cannot_write(f"run directory {folder}", error, "; set --runs") from error
    return folder / str(number)


@contextmanager
def locked(run_dir: Path, patient: bool = False) -> Iterator[None]:
    """Keep other processes from training in a run directory; the system ends this with the process.

    Args:
        run_dir: the run directory.
        patient: wait for another process that trains in it, however long it takes.

    Raises:
        UsageError: another process is training in it.
    """
    lock = FileLock(run_dir / _LOCK, timeout=-1 if patient else _LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(
            f"{run_dir}: another process is training in this run directory; wait until it ends, or stop it"
        ) from None
    try:
        yield
    finally:
        lock.release()


def find_run(path: str) -> Path:
    """The run directory that `--resume` names.

    Args:
        path: a run directory; or `runs/NAME` or `runs/NAME/latest`, which stand for the newest run of that
            name, finished or not.

    Raises:
        UsageError: there is none.
    """
    folder = Path(path)
    if folder.name != "latest" and _is_run(folder):
        return folder
    newest = newest_run(folder.parent if folder.name == "latest" else folder)
    if newest is None:
        problem = "no run directory, which has a config.yaml" if folder.exists() else "no such folder"
        raise UsageError(f"--resume {path}: {problem}; give runs/NAME/NUMBER")
    return newest


def newest_run(folder: Path, with_checkpoint: bool = False, of_this_job: bool = False) -> Path | None:
    """The newest run in the folder of a name, `runs/NAME`.

    Args:
        folder: holds the run directories of one name.
        with_checkpoint: leave out runs that have not been saved yet.
        of_this_job: leave out runs that this SLURM job did not begin before it was requeued.
    """
    return next(
        (
            run
            for run in numbered(folder)
            if _is_run(run)
            and (not with_checkpoint or has_checkpoint(run))
            and (not of_this_job or _is_of_this_job(run))
        ),
        None,
    )


def numbered(folder: Path) -> list[Path]:
    """The numbered folders of the runs of one name, `runs/NAME`, the newest first."""
    numbers = [int(path.name) for path in folder.glob("*") if path.name.isdecimal()]
    return [folder / str(number) for number in sorted(numbers, reverse=True)]


def find_group(path: str) -> Path | None:
    """The group of runs with several seeds that `--resume` names, as `find_run` finds a run.

    Args:
        path: a group; or `runs/NAME` or `runs/NAME/latest`, if the newest of that name is a group.

    Returns:
        The group, or None if it names none.
    """
    folder = Path(path)
    if not is_group(folder):
        known = numbered(folder.parent if folder.name == "latest" else folder)
        folder = next((run for run in known if _is_run(run) or is_group(run)), folder)
    return folder if is_group(folder) else None


def is_group(folder: Path) -> bool:
    """Whether a folder has runs with several seeds."""
    runs = folder.glob(f"{SEED_PREFIX}*/config.yaml")
    return any(run.parent.name.removeprefix(SEED_PREFIX).isdecimal() for run in runs)


def has_checkpoint(run_dir: Path) -> bool:
    """Whether a run has been saved."""
    return any((run_dir / "checkpoints").glob("[!.]*.ckpt"))


def has_begun(run_dir: Path) -> bool:
    """Whether a process has been training in a run directory, rather than only preparing it."""
    return (run_dir / _LOCK).exists()


def save_config(run_dir: Path, command: str, settings: str) -> None:
    """Write config.yaml: the settings, after the commands that began the run and went on with it.

    Args:
        run_dir: the run directory.
        command: the command.
        settings: YAML.
    """
    path = run_dir / "config.yaml"
    old = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    header = [line for line in old if line.startswith("# ")]
    header += [line for line in (f"# {command}", *_job()) if line not in header]
    with atomic_write(path) as temporary:
        temporary.write_text("\n".join([*header, settings]), encoding="utf-8")


def _is_of_this_job(run_dir: Path) -> bool:
    """Whether a run was begun by this SLURM job before the job was requeued."""
    requeued = int(os.environ.get("SLURM_RESTART_COUNT") or 0) > 0
    lines = (run_dir / "config.yaml").read_text(encoding="utf-8").splitlines() if requeued else []
    return any(line in lines for line in _job())


def _job() -> list[str]:
    """A line about the SLURM job, if this is one."""
    return [f"# SLURM job {os.environ['SLURM_JOB_ID']}"] if "SLURM_JOB_ID" in os.environ else []


def _is_run(folder: Path) -> bool:
    return (folder / "config.yaml").is_file()


def point_latest(run_dir: Path) -> None:
    """Make the link `latest` beside a run directory point to it, if that has a number and is of no group."""
    if run_dir.name.isdecimal():
        point_link(run_dir.with_name("latest"), run_dir.name)


def point_link(path: Path, target: str) -> None:
    """Make a link, or let it point elsewhere, in one step.

    Args:
        path: the link.
        target: where it leads, from its own folder.
    """
    link = path.with_name(f".{path.name}.{target.replace('/', '.')}")
    link.unlink(missing_ok=True)  # of a process that was killed
    link.symlink_to(target)
    os.replace(link, path)
