// Raw text to words, as nlp_rnn/lite/text/splitting.py and word_rules.py do it.

const JOINER = "z"; // the class of a zero-width joiner, which makes one emoji of two
const MAX_RUN = 12; // characters of a run of letters that are compared
const MAX_PARTS = 4; // of a known word, as the general rules cut it

// Python's \w in these patterns is LETTER; case is ignored as Python does, where i and s have two forms more.
const LETTER = "[\\p{L}\\p{N}_]";
const HAS_LITERAL = /:\/\/|[wW]{3}\.|@|<3/u;
const LITERAL = new RegExp(
  [
    "(?:[a-zA-Zİıſ\u212a][a-zA-Z0-9+.\\-İıſ\u212a]{1,15}:\\/\\/|[wW]{3}\\.)" +
      `[^${SPACE}<>"]*[^${SPACE}<>".,;:!?'’)\\]}*…]`,
    `(?:${LETTER}|[.+\\-]){1,64}@(?:${LETTER}|-){1,63}(?:\\.(?:${LETTER}|-){1,63})+`,
    `@${LETTER}+`,
    `<3+(?!${LETTER})`,
  ].join("|"),
  "uy",
);
const WORD_OF_CLASSES = new RegExp(
  [
    "(?<![\\s\\S])['’][aA]m*[aA]?m*(?![\\s\\S])", // a clitic by itself: 's
    "0[0mz]*(?:[.,:\\/'’\\-]0[0mz]*)*[aAmz]*", // number: 1,000.50 10:30 2024-01-05 1st
    "(?:[aA]m*\\.){2,}(?![aA0])", // abbreviation: U.S. e.g.
    "[:;=]['\\-]?(?:\\)+|\\(+|[\\]\\[DPpO\\/\\\\|*])(?![aA0])", // emoticon
    "#[aA0_][aA0_mz]*", // hashtag
    "[aA0_][aA0_mz]*(?:(?:['’‑\\-]|\\.(?=a))[aA0_][aA0_mz]*)*",
    "R{1,2}|''", // flag; quotation mark of treebanks
    "([\\]\\[(){}\"«»„“”‚‘’'])m*", // one by one
    "([^aA0_R])(?:\\2|m)*(?:z[^aA0_R]m*)*", // ... !!! --
  ].join("|"),
  "uy",
);

/** The characters of a text, and where each of them starts in JavaScript's string, which counts halves. */
function placesOf(text) {
  const characters = Array.from(text);
  const starts = [0];
  for (const character of characters) starts.push(starts.at(-1) + character.length);
  return { characters, starts, index: new Map(starts.map((start, i) => [start, i])) };
}

/** The end of a match at a place, both in characters; null if there is none. */
function matchAt(pattern, text, { starts, index }, place) {
  pattern.lastIndex = starts[place];
  const match = pattern.exec(text);
  return match ? index.get(pattern.lastIndex) : null;
}

/** Accumulated lengths: [2, 3] -> [2, 5]. */
function accumulate(sizes) {
  let total = 0;
  return sizes.map((size) => (total += size));
}

const lengthOf = (text) => Array.from(text).length;

/**
 * Splits raw text into words; learned from the corpus that the model was trained on.
 *
 * `description`: `weights`, `chunks`, `contractions` and `dense` as in Python's WordSplitter, and `classes`,
 * the sets of characters of each class; null where white space alone separates words.
 */
class WordSplitter {
  constructor(description) {
    this.description = description;
    if (!description) return;
    this.sets = Object.entries(description.classes).map(([name, set]) => [name, new CharacterSet(set)]);
    this.learned = Object.keys(description.weights).length > 0;
    this.weights = new Map(Object.entries(description.weights));
    this.known = new Map();
    for (const words of description.chunks) {
      this.known.set(words.replaceAll(" ", ""), accumulate(words.split(" ").map(lengthOf)));
    }
    this.longest = Math.max(0, ...[...this.known.keys()].map(lengthOf));
    this.contracted = new Map();
    for (const entry of description.contractions) {
      const [contraction, ...words] = entry.split(" ");
      if (words.length && words.every(Boolean)) this.contracted.set(contraction, words);
    }
  }

  /** The words of a text in their order: objects with `word`, and `start` and `end` in characters. */
  split(text) {
    const found = [];
    let [place, unit] = [0, 0];
    for (const match of text.matchAll(CHUNKS)) {
      place += lengthOf(text.slice(unit, match.index));
      unit = match.index;
      const characters = Array.from(match[0]);
      let before = 0;
      for (const end of this.description ? this.ends(match[0]) : [characters.length]) {
        const written = characters.slice(before, end).join("");
        for (const word of this.words(written)) found.push({ word, start: place + before, end: place + end });
        before = end;
      }
    }
    return found;
  }

  words(written) {
    const words = this.contracted?.get(written.toLowerCase());
    if (!words) return [written];
    const isUpper = /\p{Uppercase}/u.test(written) && !/\p{Lowercase}|\p{Lt}/u.test(written);
    if (lengthOf(written) > 1 && isUpper) return words.map((word) => word.toUpperCase());
    const [first] = written;
    return /\p{Uppercase}/u.test(first) ? [capitalize(words[0]), ...words.slice(1)] : words;
  }

  /** Where the words of a chunk end; the last end is its length. */
  ends(chunk) {
    if (chunk.normalize("NFC") === chunk) return this.findEnds(chunk);
    const characters = Array.from(chunk);
    const starts = characters.map((_, i) => i).filter((i) => i === 0 || startsNewCharacter(characters[i]));
    const stops = [...starts.slice(1), characters.length];
    const composed = starts.map((start, i) => characters.slice(start, stops[i]).join("").normalize("NFC"));
    const joined = composed.join("");
    const ends = new Set(this.findEnds(joined));
    const sizes = accumulate(composed.map(lengthOf));
    const places = stops.filter((_, i) => ends.has(sizes[i]));
    return places.at(-1) === characters.length ? places : [...places, characters.length];
  }

  findEnds(chunk) {
    const known = this.known.get(chunk);
    if (known) return known;
    const characters = Array.from(chunk);
    const kinds = characters.map((character) => this.classOf(character));
    if (!this.learned) return this.generalEnds(chunk, characters, kinds).filter((end) => kinds[end] !== "m");
    if (!this.description.dense && isLetters(kinds)) return [characters.length];
    const ends = [];
    for (const [place, names] of this.features(chunk, characters, kinds)) {
      let score = 0;
      for (const name of names) score += this.weights.get(name) ?? 0;
      if (score > 0) ends.push(place);
    }
    return [...ends, characters.length];
  }

  /** What the general rules find, but known words are whole, and so are those around an apostrophe. */
  generalEnds(chunk, characters, kinds) {
    const ends = [];
    const starts = [0, ...this.ruleEnds(chunk, kinds)];
    const isKnown = (from, to) => {
      if (to - from > this.longest) return false;
      return this.known.get(characters.slice(from, to).join(""))?.length === 1;
    };
    let number = 0;
    while (number < starts.length - 1) {
      let start = starts[number];
      number += 1;
      for (let n = Math.min(number + MAX_PARTS, starts.length) - 1; n >= number; n--) {
        if (isKnown(start, starts[n])) {
          number = n;
          break;
        }
      }
      const end = starts[number];
      for (let place = start; place < end; place++) {
        if (characters[place] !== "'" && characters[place] !== "’") continue;
        if (isKnown(start, end)) break;
        let cut = [place - 1, place].find((i) => i > start && isKnown(i, end)) ?? null;
        if (cut === null && place + 1 < end && isKnown(start, place + 1)) cut = place + 1;
        if (cut !== null) {
          ends.push(cut);
          start = cut;
        }
      }
      ends.push(end);
    }
    return ends;
  }

  /** Where words end by the rules for any language that writes spaces. */
  ruleEnds(chunk, kinds) {
    const ends = [];
    const classes = kinds.join("");
    const [inChunk, inClasses] = [placesOf(chunk), placesOf(classes)];
    const hasLiteral = HAS_LITERAL.test(chunk);
    let place = 0;
    while (place < kinds.length) {
      const literal = hasLiteral ? matchAt(LITERAL, chunk, inChunk, place) : null;
      place = literal ?? matchAt(WORD_OF_CLASSES, classes, inClasses, place) ?? place + 1;
      while (kinds[place] === "m") place += 1;
      ends.push(place);
    }
    return ends;
  }

  /** The class of a character: A, a, 0, m, R and z stand for many; all others are their own. */
  classOf(character) {
    if (character === "\u200d") return JOINER;
    if (character === "_") return character;
    const point = character.codePointAt(0);
    for (const [name, set] of this.sets) if (set.has(point)) return name;
    return point >= 0x1f1e6 && point <= 0x1f1ff ? "R" : character;
  }

  /** The places where a word may end, each with the names of its features, as in splitting.py. */
  *features(chunk, characters, kinds) {
    let lower = Array.from(chunk.toLowerCase());
    if (lower.length !== characters.length) lower = characters;
    const size = characters.length;
    const text = ["\x02", "\x02", "\x02", ...lower, "\x03", "\x03", "\x03"];
    const kind = ["\x02", "\x02", "\x02", ...kinds, "\x03", "\x03", "\x03"];
    const inside = insideLiterals(chunk);
    const isLetter = kinds.map((k) => k === "a" || k === "A" || k === "0" || k === "m");
    const cuts = new Set(this.ruleEnds(chunk, kinds));
    const part = (list, from, to) => list.slice(from, to).join("");
    let begin = 0; // of the run on the left
    for (let place = 1; place < size; place++) {
      if (place > 1 && isLetter[place - 1] !== isLetter[place - 2]) begin = place - 1;
      if (kinds[place] === "m" || inside.has(place)) continue;
      if (kinds[place] === JOINER || kinds[place - 1] === JOINER) continue;
      let end = place + 1;
      while (end < Math.min(size, place + MAX_RUN) && isLetter[end] === isLetter[place]) end += 1;
      const left = part(lower, Math.max(begin, place - MAX_RUN), place);
      const right = part(lower, place, end);
      const i = place + 3;
      const cut = cuts.has(place) ? "+" : "-";
      const around = part(kind, i - 1, i + 1);
      yield [
        place,
        [
          `A${cut}`, `B${cut}${around}`, `C${around}`, `D${part(kind, i - 2, i + 1)}`, `E${part(kind, i - 1, i + 2)}`,
          `F${part(kind, i - 2, i + 2)}`, `G${part(kind, i - 3, i + 3)}`, `H${text[i - 1]}`, `I${text[i]}`,
          `J${part(text, i - 2, i)}`, `K${part(text, i, i + 2)}`, `L${part(text, i - 1, i + 1)}`,
          `M${part(text, i - 2, i + 2)}`, `N${part(text, i - 3, i + 3)}`, `O${part(text, i - 3, i)}`,
          `P${part(text, i, i + 3)}`, `Q${left}|${kind[i]}`, `R${kind[i - 1]}|${right}`, `S${left}|${right}`,
          `T${Math.min(place, 4)}${around}`, `U${Math.min(size - place, 4)}${around}`,
        ],
      ];
    }
  }
}

const isLetters = (kinds) => kinds.every((kind) => kind === "a" || kind === "A" || kind === "m");

/** Whether NFC never joins a character to the one before it: no accent, no Hangul vowel or final. */
function startsNewCharacter(character) {
  const point = character.codePointAt(0);
  return !/\p{M}/u.test(character) && !(point >= 0x1160 && point <= 0x11ff);
}

/** The places inside of URLs, e-mail addresses and the like, where no word ends. */
function insideLiterals(chunk) {
  const inside = new Set();
  if (!HAS_LITERAL.test(chunk)) return inside;
  const places = placesOf(chunk);
  for (let place = 0; place < places.characters.length; ) {
    const end = matchAt(LITERAL, chunk, places, place);
    for (let i = place + 1; end !== null && i < end; i++) inside.add(i);
    place = end ?? place + 1;
  }
  return inside;
}

function capitalize(word) {
  const [first, ...rest] = Array.from(word);
  return titleCharacter(first) + rest.join("").toLowerCase();
}
