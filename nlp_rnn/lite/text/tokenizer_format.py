"""What a `tokenizer.json` may hold: what this package's vocabularies are made of, and nothing else.

The tokenizers library runs whatever such a file names, such as regular expressions that take for ever,
replacements that double a text again and again, or padding to a billion tokens. So a file is compared before
the library sees it. Without torch there is no library: `tokenizer` computes these components and no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import UsageError

PAD, UNK, BOS, EOS = range(4)
SPECIALS = ("<pad>", "<unk>", "<bos>", "<eos>")
# In angle brackets, which no tokenizer of this package leaves in one token: so no text has a tag by chance.
TAG = r"<[A-Za-z0-9_-]{1,30}>"

# A number, a word with the apostrophes and hyphens inside it, or one other character.
WORD = r"\d+(?:[.,]\d+)*|\w+(?:['’\-]\w+)*|[^\w\s]"
CHARACTER = r"[\s\S]"
# Not `\s`, which Python and the tokenizer define differently. Of bounded length, for streams.
OPTIONAL_SPACE = r"[ \t\r\n\f]{0,16}"
LINE_BREAK = rf"<br{OPTIONAL_SPACE}/?>"  # of HTML, common in reviews

_REPLACE = {"type": "Replace", "pattern": {"Regex": LINE_BREAK}, "content": " "}
_METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
_SUBWORDS = {
    "type": "Sequence",
    "pretokenizers": [_METASPACE, {"type": "Punctuation", "behavior": "Isolated"}],
}
_NORMALIZERS = [
    {"type": "Sequence", "normalizers": [*start, {"type": "NFC"}, *end]}
    for start in ([], [_REPLACE])
    for end in ([], [{"type": "Lowercase"}])
]
_SPLITS = [
    {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Removed", "invert": True}
    for regex in (WORD, CHARACTER)
]
_FORMS: list[tuple[str, Any, Any]] = [  # of the model, the pre-tokenizer and the decoder
    *(("WordLevel", split, None) for split in (None, *_SPLITS)),
    ("BPE", _SUBWORDS, _METASPACE),
]


def check_tokenizer(state: Any) -> None:
    """Refuse a tokenizer of other components than those that `Vocabulary` makes.

    Args:
        state: the object in a `tokenizer.json`. Its added tokens do not matter, for they are never used.

    Raises:
        UsageError: names the component that is another, or what is wrong with the ids.
    """
    model = state.get("model") if isinstance(state, Mapping) else None
    if not isinstance(model, Mapping) or not isinstance(model.get("vocab"), Mapping):
        raise UsageError("not a readable tokenizer.json: it has no vocabulary")
    _check_ids(model["vocab"])
    options = {name: value for name, value in model.items() if name not in ("vocab", "merges")}
    form = model.get("type")
    chosen = {name: value for name, value in options.items() if value is not None and value is not False}
    components = {
        "model": form in [row[0] for row in _FORMS] and chosen == {"type": form, "unk_token": SPECIALS[UNK]},
        "normalizer": state.get("normalizer") in _NORMALIZERS,
        "pre_tokenizer": (form, state.get("pre_tokenizer")) in [row[:2] for row in _FORMS],
        "decoder": (form, state.get("decoder")) in [row[::2] for row in _FORMS],
        **{name: state.get(name) is None for name in ("truncation", "padding", "post_processor")},
        "version": state.get("version") in (None, "1.0"),
    }
    for name, known in components.items():
        if not known:
            raise UsageError(f"not a tokenizer of nlp_rnn: its {name} is not one that this package makes")


def _check_ids(vocab: Mapping[str, Any]) -> None:
    if [vocab.get(special) for special in SPECIALS] != [PAD, UNK, BOS, EOS]:
        raise UsageError(f"not a tokenizer of nlp_rnn: ids 0 to 3 must be {', '.join(SPECIALS)}")
    ids = list(vocab.values())
    if any(type(id) is not int for id in ids) or sorted(ids) != list(range(len(ids))):
        raise UsageError(f"not a tokenizer of nlp_rnn: its ids are not the numbers 0 to {len(ids) - 1}")
    try:
        "".join(vocab).encode()
    except UnicodeEncodeError as error:
        raise UsageError("not a readable tokenizer.json: a token has a lone surrogate") from error
