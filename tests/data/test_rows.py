import pickle

import datasets
import numpy as np
import pyarrow as pa
import pytest

from nlp_rnn.data.rows import Rows


def dataset():
    features = datasets.Features(
        {
            "ids": datasets.List(datasets.Value("int32")),
            "text": datasets.Value("string"),
            "words": datasets.List(datasets.Value("string")),
            "label": datasets.Value("int32"),
        }
    )
    columns = {
        "ids": [[1, 2, 3], [], [4], [5, 6]],
        "text": ["a", "", "ü", "NA"],
        "words": [["a", "b"], [], ["\0"], ["", "c"]],
        "label": [0, 1, -100, 2],
    }
    return datasets.Dataset.from_dict(columns, features)


def several_chunks():
    return datasets.concatenate_datasets([dataset().select(range(2)), dataset().select(range(2, 4))])


@pytest.mark.parametrize(
    "data",
    [dataset, several_chunks, lambda: dataset().select([3, 1, 0]), lambda: dataset().select(range(1, 3))],
    ids=["whole", "chunks", "chosen", "slice"],
)
def test_rows_are_those_of_the_dataset(data, tmp_path):
    data = data()
    data.save_to_disk(str(tmp_path))
    for stored in (data, datasets.load_from_disk(str(tmp_path))):
        rows = Rows(stored.with_format("arrow")[:])
        assert len(rows) == len(data)
        assert rows.lengths("ids").tolist() == [len(ids) for ids in data["ids"]]
        for indices in ([0], [1, 0], list(range(len(data))), [1, 1]):
            taken = rows[indices]
            assert taken.pop("row") == indices
            taken["ids"] = [ids.tolist() for ids in taken["ids"]]
            assert taken == data[indices]


def test_no_rows():
    rows = Rows(dataset().select([]).with_format("arrow")[:])
    assert len(rows) == 0
    assert rows.lengths("ids").tolist() == []


def test_rows_of_a_file_are_opened_again_not_copied(tmp_path):
    table = dataset().with_format("arrow")[:]
    path = tmp_path / "rows.arrow"
    with pa.ipc.new_file(path, table.schema) as file:
        for start in range(0, len(table), 3):
            file.write_table(table.slice(start, 3))
    held = pa.total_allocated_bytes()
    rows = Rows.open(path)
    assert pa.total_allocated_bytes() - held < 1000  # mapped, not read
    for original in (rows, rows.repeated(np.array([2, 0, 1, 1]))):
        copied = pickle.dumps(original)
        path.touch()
        again = pickle.loads(copied)
        assert pa.total_allocated_bytes() - held < 1000
        assert len(again) == len(original) == 4
        assert str(again[[0, 1, 3]]) == str(original[[0, 1, 3]])
    assert np.concatenate(list(rows.values("ids"))).tolist() == [id for ids in dataset()["ids"] for id in ids]
    assert np.concatenate(list(rows.select(np.array([3, 0])).values("ids"))).tolist() == [5, 6, 1, 2, 3]
