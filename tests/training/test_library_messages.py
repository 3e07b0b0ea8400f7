"""Messages of libraries that nobody can act on are not shown; others are."""

import logging
import warnings

from nlp_rnn.training.library_messages import quiet_libraries


def test_only_what_a_user_can_act_on_is_shown():
    names = ("pytorch_lightning.utilities.rank_zero", "torch.multiprocessing.spawn")
    levels = {name: logging.getLogger(name).level for name in names}
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            quiet_libraries()
            warnings.warn("`isinstance(treespec, LeafSpec)` is deprecated", stacklevel=1)
            warnings.warn("the loss is infinite", stacklevel=1)
        assert [str(warning.message) for warning in caught] == ["the loss is infinite"]
        assert not logging.getLogger("pytorch_lightning.utilities.rank_zero").isEnabledFor(logging.INFO)
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
