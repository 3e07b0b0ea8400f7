"""Models: tensors in, scores out. Pure torch: no Lightning, no files."""

from nlp_rnn.cpu import use_one_thread_after_fork
from nlp_rnn.models.captioner import Captioner
from nlp_rnn.models.classifier import Classifier
from nlp_rnn.models.language_model import LanguageModel
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.models.pair_classifier import PairClassifier
from nlp_rnn.models.regressor import Regressor
from nlp_rnn.models.seq2seq import Decoder, Encoder, Seq2Seq
from nlp_rnn.models.tagger import SeriesTagger, Tagger
from nlp_rnn.models.translator import make_seq2seq

__all__ = [
    "CELLS",
    "Captioner",
    "Classifier",
    "Decoder",
    "Encoder",
    "LanguageModel",
    "PairClassifier",
    "Regressor",
    "Seq2Seq",
    "SeriesTagger",
    "Tagger",
    "make_seq2seq",
]

use_one_thread_after_fork()
