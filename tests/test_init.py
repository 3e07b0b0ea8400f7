"""The public names of the package: imported on first use, and visible to editors before."""

import inspect

import pytest

import nlp_rnn


def test_every_public_name_is_listed_and_can_be_imported():
    assert set(nlp_rnn.__all__) == {"__version__", *nlp_rnn._PUBLIC}
    assert set(nlp_rnn.__all__) <= set(dir(nlp_rnn))
    for name in nlp_rnn.__all__:
        assert getattr(nlp_rnn, name)


@pytest.mark.parametrize("name", sorted(nlp_rnn._PUBLIC))
def test_every_public_name_is_documented(name):
    assert inspect.getdoc(getattr(nlp_rnn, name))


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="module 'nlp_rnn' has no attribute 'Nothing'"):
        _ = nlp_rnn.Nothing
