"""Captioning: a vector of numbers described in words."""

from nlp_rnn.tasks.captioning.data import CaptioningData
from nlp_rnn.tasks.captioning.task import Captioning

__all__ = ["Captioning", "CaptioningData"]
