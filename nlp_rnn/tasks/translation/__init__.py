"""Translation: sentence to sentence."""

from nlp_rnn.tasks.translation.data import TranslationData
from nlp_rnn.tasks.translation.task import Translation

__all__ = ["Translation", "TranslationData"]
