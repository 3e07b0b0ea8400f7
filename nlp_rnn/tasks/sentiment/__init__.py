"""Sentiment: one label per text."""

from nlp_rnn.tasks.sentiment.data import SentimentData
from nlp_rnn.tasks.sentiment.task import Sentiment

__all__ = ["Sentiment", "SentimentData"]
