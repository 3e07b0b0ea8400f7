"""Tables of results."""

from nlp_rnn.training.tables import in_columns, number_text, write_csv


def test_cells_are_numbers_of_six_digits_and_nothing_for_nan():
    cells = [number_text(value) for value in (0.123456789, 3, None, float("nan"), "gru", 1e-9)]
    assert cells == ["0.123457", "3", "", "", "gru", "1e-09"]


def test_columns_are_aligned_and_csv_is_whole(tmp_path):
    table = [["seed", "loss"], ["0", "0.5"], ["mean", "a,b"]]
    assert in_columns(table) == "seed  loss\n0     0.5\nmean  a,b"
    write_csv(tmp_path / "table.csv", table)
    assert (tmp_path / "table.csv").read_bytes() == b'seed,loss\r\n0,0.5\r\nmean,"a,b"\r\n'
