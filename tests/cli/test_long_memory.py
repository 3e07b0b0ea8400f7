"""`nlp-rnn long-memory` trains each cell once."""


def test_a_cell_that_is_given_twice_is_refused(run, tmp_path):
    output = tmp_path / "out"
    code, _, error = run("long-memory", "--cells", "gru", "lstm", "gru", "--output", str(output))
    assert code == 2
    assert "--cells: gru is given twice" in error
    assert not output.exists()
