"""Text pairs: one label per pair of texts."""

from nlp_rnn.tasks.text_pairs.data import TextPairsData
from nlp_rnn.tasks.text_pairs.task import TextPairs

__all__ = ["TextPairs", "TextPairsData"]
