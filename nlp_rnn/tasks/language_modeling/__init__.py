"""Language modeling: predicting the next token, and continuing texts."""

from nlp_rnn.tasks.language_modeling.data import LanguageModelingData
from nlp_rnn.tasks.language_modeling.task import LanguageModeling

__all__ = ["LanguageModeling", "LanguageModelingData"]
