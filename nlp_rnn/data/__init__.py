"""Text to id tensors."""

from nlp_rnn.data.batching import Batching
from nlp_rnn.data.captioning import CaptioningData
from nlp_rnn.data.corpora import Corpus
from nlp_rnn.data.forecasting import ForecastingData
from nlp_rnn.data.language_modeling import LanguageModelingData
from nlp_rnn.data.long_memory import LongMemoryData
from nlp_rnn.data.module import CorpusData, DataModule
from nlp_rnn.data.sentiment import SentimentData
from nlp_rnn.data.series_tagging import SeriesTaggingData
from nlp_rnn.data.tagging import TaggingData
from nlp_rnn.data.translation import TranslationData
from nlp_rnn.data.vocabulary import Vocabulary, VocabularySettings

DATA: dict[str, type[CorpusData]] = {
    "sentiment": SentimentData,
    "tagging": TaggingData,
    "translation": TranslationData,
    "language_modeling": LanguageModelingData,
    "captioning": CaptioningData,
    "forecasting": ForecastingData,
    "series_tagging": SeriesTaggingData,
}

__all__ = [
    "DATA",
    "Batching",
    "CaptioningData",
    "Corpus",
    "CorpusData",
    "DataModule",
    "ForecastingData",
    "LanguageModelingData",
    "LongMemoryData",
    "SentimentData",
    "SeriesTaggingData",
    "TaggingData",
    "TranslationData",
    "Vocabulary",
    "VocabularySettings",
]
