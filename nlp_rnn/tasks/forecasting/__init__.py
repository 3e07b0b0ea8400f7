"""Forecasting: the numbers that follow a window of a series."""

from nlp_rnn.tasks.forecasting.data import ForecastingData
from nlp_rnn.tasks.forecasting.long_memory import LongMemoryData
from nlp_rnn.tasks.forecasting.task import Forecasting

__all__ = ["Forecasting", "ForecastingData", "LongMemoryData"]
