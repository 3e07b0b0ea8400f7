"""Tagging: one tag per word, such as parts of speech."""

from nlp_rnn.tasks.tagging.data import TaggingData
from nlp_rnn.tasks.tagging.task import Tagging

__all__ = ["Tagging", "TaggingData"]
