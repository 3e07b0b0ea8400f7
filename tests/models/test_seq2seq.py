import pytest
import torch

from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.models.seq2seq import Decoder, Encoder, Seq2Seq

PRINTOUT = """\
Seq2Seq(
  (encoder): Encoder(
    (embedding): Embedding(7855, 256)
    (rnn): LSTM(256, 512, num_layers=2, dropout=0.5)
    (dropout): Dropout(p=0.5, inplace=False)
  )
  (decoder): Decoder(
    (embedding): Embedding(5893, 256)
    (rnn): LSTM(256, 512, num_layers=2, dropout=0.5)
    (fc_out): Linear(in_features=512, out_features=5893, bias=True)
    (dropout): Dropout(p=0.5, inplace=False)
  )
)"""

LAYER_KEYS = [
    f"rnn.{kind}_{part}_l{k}" for k in (0, 1) for kind in ("weight", "bias") for part in ("ih", "hh")
]


def make(cell="lstm", layers=2, dropout=0.0):
    torch.manual_seed(0)
    return Seq2Seq(Encoder(11, 6, 8, layers, dropout, cell), Decoder(13, 6, 8, layers, dropout, cell)).eval()


def make_decisive():
    """A model whose predictions depend on all it has read."""
    model = make()
    for name, parameter in model.named_parameters():
        parameter.data.mul_(16 if "weight" in name else 1)
    return model


def test_printout_parameters_and_keys():
    model = Seq2Seq(Encoder(7855, 256, 512, 2, 0.5), Decoder(5893, 256, 512, 2, 0.5))
    assert repr(model) == PRINTOUT
    assert sum(p.numel() for p in model.parameters()) == 13_899_013
    expected = {f"encoder.{key}" for key in ("embedding.weight", *LAYER_KEYS)}
    expected |= {
        f"decoder.{key}" for key in ("embedding.weight", *LAYER_KEYS, "fc_out.weight", "fc_out.bias")
    }
    assert set(model.state_dict()) == expected


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_stepwise_equals_teacher_forced(cell, layers):
    model = make(cell, layers)
    source, target = torch.randint(11, (5, 3)), torch.randint(13, (7, 3))
    fused = model(source, target)
    assert fused.shape == (7, 3, 13)
    state = model.encoder(source)
    for step in range(7):
        logits, state = model.decoder.step(target[step], state)
        torch.testing.assert_close(logits, fused[step], atol=1e-5, rtol=0)


@pytest.mark.parametrize("cell", CELLS)
def test_a_sentence_alone_equals_itself_among_longer_ones(cell):
    model = make(cell)
    source, target = torch.randint(11, (6, 4)), torch.randint(13, (5, 4))
    lengths = torch.tensor([2, 6, 0, 4])
    together = model(source, target, lengths)
    for row, length in enumerate(lengths.tolist()):
        by_itself = model(source[:length, row : row + 1], target[:, row : row + 1])
        torch.testing.assert_close(together[:, row], by_itself[:, 0], atol=1e-5, rtol=0)


def test_teacher_forcing_0_feeds_the_greedy_token():
    model = make_decisive()
    source, target = torch.randint(11, (4, 2)), torch.randint(13, (9, 2))
    outputs = model(source, target, teacher_forcing=0.0)
    guesses = torch.cat([target[:1], outputs.argmax(-1)[:-1]])
    assert len(guesses.unique()) > 4
    torch.testing.assert_close(outputs, model(source, guesses), atol=1e-4, rtol=0)


def test_teacher_forcing_between_0_and_1_samples_each_step():
    model = make_decisive()
    source, target = torch.randint(11, (4, 2)), torch.randint(13, (40, 2))
    before = target.clone()
    torch.manual_seed(3)
    outputs = model(source, target, teacher_forcing=0.5)
    assert target.equal(before)
    torch.manual_seed(3)
    shown = torch.rand(39) < 0.5
    assert 5 < int(shown.sum()) < 34
    inputs = torch.where(shown[:, None], target[1:], outputs.argmax(-1)[:-1])
    expected = model(source, torch.cat([target[:1], inputs]))
    torch.testing.assert_close(outputs, expected, atol=1e-4, rtol=0)


def test_features_read_the_tokens_that_teacher_forcing_samples():
    model = make_decisive()
    source, target = torch.randint(11, (5, 3)), torch.randint(13, (12, 3))
    lengths = torch.tensor([5, 2, 4])
    torch.manual_seed(3)
    features = model.features(source, target, lengths, torch.full((3,), 12), teacher_forcing=0.5)
    torch.manual_seed(3)
    is_true = [True, *(torch.rand(11) < 0.5).tolist()]
    state, token = model.encoder(source, lengths), None
    for step, (true, shown) in enumerate(zip(target, is_true, strict=True)):
        logits, state = model.decoder.step(true if shown else token, state)
        torch.testing.assert_close(model.decoder.fc_out(features[step]), logits, atol=1e-4, rtol=0)
        token = logits.argmax(-1)
    assert 3 < sum(is_true) < 10


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        (Decoder(9, 4, 16, 2, 0.0), "hidden_dim is 8 in the encoder and 16 in the decoder"),
        (Decoder(9, 4, 8, 1, 0.0), "num_layers is 2 in the encoder and 1 in the decoder"),
        (Decoder(9, 4, 8, 2, 0.0, "gru"), "cell is lstm in the encoder and gru in the decoder"),
    ],
)
def test_an_encoder_and_decoder_that_do_not_fit_are_refused(decoder, message):
    with pytest.raises(ValueError, match=message):
        Seq2Seq(Encoder(9, 4, 8, 2, 0.0), decoder)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_teacher_forcing_outside_0_to_1_is_refused(value):
    with pytest.raises(ValueError, match="between 0 and 1"):
        make()(
            torch.zeros(2, 1, dtype=torch.long), torch.zeros(2, 1, dtype=torch.long), teacher_forcing=value
        )


def test_features_are_the_input_of_the_output_layer():
    model = make()
    source, target = torch.randint(11, (5, 3)), torch.randint(13, (6, 3))
    lengths, ends = torch.tensor([5, 2, 4]), torch.tensor([3, 6, 1])
    logits = model(source, target, lengths)
    features = model.features(source, target, lengths, ends)
    for row, end in enumerate(ends.tolist()):
        ours = model.decoder.fc_out(features[:end, row])
        torch.testing.assert_close(ours, logits[:end, row], atol=1e-6, rtol=0)
        assert not features[end:, row].any()


@pytest.mark.parametrize("length", [0, 1])
def test_without_a_token_after_the_first_nothing_is_sampled(length):
    model = make_decisive()
    source, target = torch.randint(4, 9, (5, 2)), torch.full((length, 2), 2)
    assert torch.equal(model(source, target, teacher_forcing=0.0), model(source, target))
