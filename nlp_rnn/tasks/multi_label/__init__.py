"""Multi-label classification: any number of labels per text."""

from nlp_rnn.tasks.multi_label.data import MultiLabelData
from nlp_rnn.tasks.multi_label.task import MultiLabel

__all__ = ["MultiLabel", "MultiLabelData"]
