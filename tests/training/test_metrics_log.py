"""What a run logs."""

from pathlib import Path

import pytest

from nlp_rnn.errors import RunError, UsageError
from nlp_rnn.training.metrics_log import EventsLog, MetricsLog

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")


@pytest.mark.parametrize(
    "content", [b"step,loss\n1,\xff\n", b"step,loss\n1,2,3\n", b'step,loss\n1,"' + b"a" * 200_000]
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "metrics.csv").write_bytes(content)
    with pytest.raises(UsageError, match=r"metrics\.csv: damaged \(.*\); rename it"):
        MetricsLog(str(tmp_path)).log_metrics({"loss": 1.0}, step=0)
    assert (tmp_path / "metrics.csv").read_bytes() == content


LOGGED = [
    ({"lr": 0.5}, 3),
    ({"epoch": 0, "train/loss_step": 2.0}, 3),
    ({"epoch": 0, "val/loss": 1.0}, 7),
    ({"epoch": 0, "train/loss_epoch": 3.0}, 7),
    ({"epoch": 1, "val/loss": 4.0}, 7),
    ({"epoch": 1, "val/loss": 5.0}, 9),
]
ROWS = """\
epoch,lr,step,train/loss_epoch,train/loss_step,val/loss
0,0.5,3,,2.0,
0,,7,3.0,,1.0
1,,7,,,4.0
1,,9,,,5.0
"""


@pytest.mark.parametrize("every", [1, 2, 3, 9])
def test_each_step_of_an_epoch_is_one_row_however_often_the_file_is_written(
    tmp_path: Path, every: int
) -> None:
    logger = MetricsLog(str(tmp_path))
    for number, (metrics, step) in enumerate(LOGGED, 1):
        logger.log_metrics(metrics, step)
        if number % every == 0:
            logger.save()
    logger.save()
    assert logger.rows == 4
    assert (tmp_path / "metrics.csv").read_bytes().decode() == ROWS.replace("\n", "\r\n")


@pytest.mark.parametrize("saved", range(1, 6))
def test_a_resumed_log_ends_as_an_undisturbed_one(tmp_path: Path, saved: int) -> None:
    logger = MetricsLog(str(tmp_path))
    for metrics, step in LOGGED[:saved]:
        logger.log_metrics(metrics, step)
    rows = logger.rows
    for metrics, step in LOGGED[saved : saved + 2]:  # which the checkpoint does not have
        logger.log_metrics(metrics, step)
    logger.save()
    resumed = MetricsLog(str(tmp_path))
    resumed.cut(rows)
    for metrics, step in LOGGED[saved:]:
        resumed.log_metrics(metrics, step)
    resumed.save()
    assert (tmp_path / "metrics.csv").read_bytes().decode() == ROWS.replace("\n", "\r\n")


@needs_full
def test_a_full_disk_is_named_with_the_metrics_file(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").symlink_to(FULL)
    logger = MetricsLog(str(tmp_path))
    logger.log_metrics({"loss": 1.0}, step=0)
    with pytest.raises(RunError, match=r"metrics\.csv: cannot be written \(No space left on device\)$"):
        logger.save()


@needs_full
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("ending", ["log_metrics", "save", "finalize"])
def test_a_full_disk_is_named_with_the_folder_of_the_events(tmp_path: Path, ending: str) -> None:
    logger = EventsLog(str(tmp_path))
    logger.log_metrics({"loss": 1.0}, step=0)
    writer = logger.experiment._get_file_writer().event_writer._async_writer
    writer._writer._writer = FULL.open("wb", buffering=0)
    logger.experiment.add_scalar("loss", 0.5, 1)
    writer._worker.join(timeout=60)  # it writes at once, or when it is woken by more
    calls = {
        "log_metrics": lambda: logger.log_metrics({"loss": 0.25}, step=2),
        "save": logger.save,
        "finalize": lambda: logger.finalize("failed"),
    }
    with pytest.raises(RunError, match=rf"^{tmp_path}: cannot be written \(No space left on device\)$"):
        calls[ending]()
