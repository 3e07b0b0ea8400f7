// Texts to ids and back: the components of the tokenizers library that nlp_rnn's vocabularies are made of.

const PAD = 0;
const UNK = 1;
const BOS = 2;
const EOS = 3;

const LINE_BREAK = /<br[ \t\r\n\f]{0,16}\/?>/g;
const JOINERS = new Set(["'", "’", "-"]);
const SEPARATORS = new Set([".", ","]);
const SUBWORD_SPACE = "▁";
const MAX_WORD = 10000; // characters that are read of a word

/**
 * A vocabulary. Its ids 0 to 3 are padding, unknown, BOS and EOS, which no text ever gets.
 *
 * `description`: `tokens` in the order of their ids; `level` word, char or bpe; `lowercase`; `line_breaks`,
 * whether line breaks of HTML become spaces; `merges` of subwords as pairs of tokens, most frequent first.
 * `tables`: the sets of characters, see unicode_tables.py.
 */
class Vocabulary {
  constructor(description, tables) {
    this.tokens = description.tokens;
    this.level = description.level;
    this.lineBreaks = description.line_breaks;
    this.ids = new Map();
    this.tokens.forEach((token, id) => id > EOS && this.ids.set(token, id));
    this.lower = description.lowercase ? tables.lower : null;
    this.composing = tables.composing;
    this.classes = tables;
    this.ranks = new Map((description.merges ?? []).map(([a, b], rank) => [a + " " + b, rank]));
  }

  get size() {
    return this.tokens.length;
  }

  normalize(text) {
    if (this.lineBreaks) text = text.replace(LINE_BREAK, " ");
    text = compose(text, this.composing);
    return this.lower ? this.lower.apply(text) : text;
  }

  /** The tokens of a text: objects with `id`, and `text` as it is after normalization. */
  encode(text) {
    checkText(text);
    const normal = this.normalize(text);
    if (this.level === "char") return Array.from(normal, (character) => this.token(character));
    if (this.level === "bpe") return this.encodeSubwords(normal);
    return this.splitWords(normal).map((word) => this.token(word));
  }

  /** The ids of words, one per word. */
  encodeWords(words) {
    return words.map((word) => {
      checkText(word);
      return this.token(this.normalizeWord(word)).id;
    });
  }

  normalizeWord(word) {
    return this.normalize(Array.from(word).slice(0, MAX_WORD).join(""));
  }

  /** The ids of a word's affixes, `sizes` letters long; below 0 at its end. See affixes.py. */
  affixIds(word, sizes, buckets) {
    const letters = Array.from(this.normalizeWord(word));
    return sizes.map((size, place) => {
      const affix = size > 0 ? letters.slice(0, size) : letters.slice(size);
      return place * buckets + (fnv1a(affix.join("")) % buckets);
    });
  }

  token(text) {
    return { id: this.ids.get(text) ?? UNK, text };
  }

  /** Numbers, words with the apostrophes and hyphens inside them, and all other characters one by one. */
  splitWords(text) {
    const { word, digit, space } = this.classes;
    const characters = Array.from(text);
    const points = characters.map((character) => character.codePointAt(0));
    const words = [];
    const run = (set, place) => {
      while (place < points.length && set.has(points[place])) place += 1;
      return place;
    };
    const parts = (set, joiners, place) => {
      let end = run(set, place);
      while (end + 1 < points.length && joiners.has(characters[end]) && set.has(points[end + 1])) {
        end = run(set, end + 1);
      }
      return end;
    };
    let place = 0;
    while (place < points.length) {
      let end = place + 1;
      if (digit.has(points[place])) end = parts(digit, SEPARATORS, place);
      else if (word.has(points[place])) end = parts(word, JOINERS, place);
      if (end > place + 1 || !space.has(points[place])) words.push(characters.slice(place, end).join(""));
      place = end;
    }
    return words;
  }

  /** Byte pair encoding (Sennrich et al. 2016) of pieces that begin at a space or are punctuation. */
  encodeSubwords(text) {
    if (!text) return [];
    let marked = text.replaceAll(" ", SUBWORD_SPACE);
    if (!marked.startsWith(SUBWORD_SPACE)) marked = SUBWORD_SPACE + marked;
    const pieces = [];
    let piece = "";
    for (const character of marked) {
      const isolated = this.classes.punctuation.has(character.codePointAt(0));
      if (piece && (isolated || character === SUBWORD_SPACE)) {
        pieces.push(piece);
        piece = "";
      }
      piece += character;
      if (isolated) {
        pieces.push(piece);
        piece = "";
      }
    }
    if (piece) pieces.push(piece);
    return pieces.flatMap((part) => this.merge(part));
  }

  /** Join the pair of neighbors that was most frequent in training, again and again. */
  merge(piece) {
    // A character that the vocabulary lacks is never part of a pair.
    let parts = Array.from(piece);
    while (parts.length > 1) {
      let best = null;
      let lowest = Infinity;
      for (let i = 0; i + 1 < parts.length; i++) {
        const pair = parts[i] + " " + parts[i + 1];
        const rank = this.ranks.get(pair) ?? Infinity;
        if (rank < lowest) [best, lowest] = [pair, rank];
      }
      if (best === null) break;
      const joined = [];
      for (let i = 0; i < parts.length; i++) {
        if (i + 1 < parts.length && parts[i] + " " + parts[i + 1] === best) {
          joined.push(parts[i] + parts[i + 1]);
          i += 1;
        } else {
          joined.push(parts[i]);
        }
      }
      parts = joined;
    }
    return parts.map((part) => this.token(part));
  }

  /** Ids to text. Special tokens are left out but the unknown one; spaces beside punctuation are removed. */
  decode(ids) {
    const tokens = ids.filter((id) => id === UNK || id > EOS).map((id) => this.tokens[id]);
    if (this.level === "char") return tokens.join("");
    if (this.level === "bpe") {
      return tokens.map((token, i) => token.replaceAll(SUBWORD_SPACE, i === 0 ? "" : " ")).join("");
    }
    return tokens
      .join(" ")
      .replace(/ ([.,!?;:)\]])/g, "$1")
      .replace(/([([]) /g, "$1");
  }

  /** The text that token `id` adds after token `before`. */
  piece(before, id) {
    return this.decode([before, id]).slice(this.decode([before]).length);
  }
}

/** The hash FNV-1a of a text's UTF-8. */
function fnv1a(text) {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

/** The tables of `unicode_tables.py`, of those that a model needs. */
function readTables(written) {
  const tables = {};
  for (const [name, table] of Object.entries(written)) {
    tables[name] = name === "lower" ? new LowerCase(table) : new CharacterSet(table);
  }
  return tables;
}
