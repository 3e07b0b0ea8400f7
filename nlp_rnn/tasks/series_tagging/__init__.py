"""Series tagging: one label per step of a series."""

from nlp_rnn.tasks.series_tagging.data import SeriesTaggingData
from nlp_rnn.tasks.series_tagging.task import SeriesTagging

__all__ = ["SeriesTagging", "SeriesTaggingData"]
