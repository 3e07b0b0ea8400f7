"""Which messages of libraries are shown."""

from __future__ import annotations

import logging
import os
import warnings

_CONNECTOR = "trainer.connectors.checkpoint_connector"  # of Lightning


def quiet_libraries() -> None:
    """Show of what libraries say only that which a user can act on, from now on and in this process."""
    # By the modules' own names: Lightning sets the levels of their parents when it is imported.
    for library in ("pytorch_lightning", "lightning_fabric"):
        for module in ("utilities.rank_zero", "utilities.seed", "utilities.distributed", _CONNECTOR):
            logging.getLogger(f"{library}.{module}").setLevel(logging.WARNING)
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)  # which process is ended
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
        ".*was called before the ``update`` method.*",
        ".*overrides the configure_model callback.*",
        ".*lr_scheduler.step.*before.*optimizer.step.*",
    ):
        warnings.filterwarnings("ignore", message)
