"""Translation: sentence to sentence, without attention."""

from nlp_rnn.tasks.translation.data import TranslationData
from nlp_rnn.tasks.translation.task import Translation

__all__ = ["Translation", "TranslationData"]
