"""Files on which scripts/fuzz.py, or a test of hostile files, once found another error than UsageError."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nlp_rnn.data.corpus.columns import Words
from nlp_rnn.data.corpus.tables import read_table
from nlp_rnn.errors import UsageError


def parquet(column: str) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({column: ["a"]}), file, store_schema=False)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param(
            "a.parquet",
            parquet("tokens").replace(b"tokens", b"tok\x9fns"),
            "damaged or not Parquet",
            id="name of a column that is not UTF-8",
        ),
        pytest.param(
            "a.conllu",
            b"9" * 5000 + b"-1" + b"\t_" * 9 + b"\n",
            "line 1: '9{30}…' is not a word ID",
            id="range of more digits than Python converts",
        ),
        pytest.param(
            "a.conllu",
            b"9" * 5000 + b"\t_" * 9 + b"\n",
            "line 1: '9{30}…' is not a word ID",
            id="ID likewise",
        ),
    ],
)
def test_what_fuzzing_found_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_table(tmp_path / name, {"tokens": Words(("tokens",))})
