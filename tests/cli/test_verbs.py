"""The table of verbs."""

from importlib import import_module

import pytest

from nlp_rnn.cli.verbs import VERBS
from nlp_rnn.training import VERBS as TRAINING_VERBS


def test_the_verbs_without_a_module_take_a_configuration():
    assert {name for name, verb in VERBS.items() if verb.module is None} | {"predict"} == set(TRAINING_VERBS)


@pytest.mark.parametrize("name", [name for name, verb in VERBS.items() if verb.module])
def test_each_module_has_what_a_verb_needs(name):
    module = import_module(VERBS[name].module)
    assert callable(module.add_arguments)
    assert callable(module.run)


@pytest.mark.parametrize("name", VERBS)
def test_summaries_fit_on_one_line(name):
    assert len(VERBS[name].summary) <= 96
    assert "\n" not in VERBS[name].example
