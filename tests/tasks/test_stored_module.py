"""What a task is made of: a processor of its own, not the data that has one."""

import pytest

from nlp_rnn.errors import UsageError
from nlp_rnn.tasks import TASKS, LanguageModelingData, Sentiment, SentimentData

DATA = SentimentData([{"text": "good", "label": "1"}, {"text": "bad", "label": "0"}] * 5)


@pytest.mark.parametrize("name", TASKS)
def test_data_in_place_of_its_processor_is_one_line(name):
    wanted = TASKS[name].processor_class.__name__
    message = f"{TASKS[name].__name__} takes a {wanted}, not a SentimentData: of data, give data.processor$"
    with pytest.raises(UsageError, match=message):
        TASKS[name](DATA)
    with pytest.raises(UsageError, match="not a NoneType"):
        TASKS[name](processor=None)


def test_the_processor_of_another_task_is_one_line():
    other = LanguageModelingData([{"text": "good"}] * 9).processor
    with pytest.raises(UsageError, match="takes a SentimentProcessor, not a LanguageModelingProcessor"):
        Sentiment(other)
    assert Sentiment(DATA.processor, 4, 4).processor is DATA.processor
