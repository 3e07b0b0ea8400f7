"""Tagging: one tag per word."""

from nlp_rnn.tasks.tagging.data import TaggingData
from nlp_rnn.tasks.tagging.task import Tagging

__all__ = ["Tagging", "TaggingData"]
