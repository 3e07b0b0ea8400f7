// Columns of tags: the best legal sequence, probabilities, spans and lemmas.

const FORBIDDEN = -1e9; // the score of what is not allowed, as in nlp_rnn/models/layers/crf.py

/**
 * The scores of a chain of tags: `start` [C], `transitions` [C][C], `end` [C].
 *
 * `legal` has the same as texts of 0 and 1, one character per tag; null if all sequences are legal. `trained`
 * has the scores of a CRF; null without one.
 */
function chainScores(count, legal, trained) {
  const score = (allowed, value) => (allowed ? 0 : FORBIDDEN) + value;
  const row = (part, values) =>
    Float64Array.from({ length: count }, (_, i) => score(!part || part[i] === "1", values ? values[i] : 0));
  return {
    start: row(legal?.start, trained?.start),
    end: row(legal?.end, trained?.end),
    transitions: Array.from({ length: count }, (_, from) =>
      row(legal?.transitions[from], trained?.transitions.subarray(from * count, (from + 1) * count)),
    ),
  };
}

/** The tags with the highest sum of scores (Viterbi 1967). */
function bestTags(emissions, { start, transitions, end }) {
  if (emissions.length === 0) return [];
  let best = start.map((value, tag) => value + emissions[0][tag]);
  const origins = [];
  for (const emission of emissions.slice(1)) {
    const origin = [];
    best = best.map((_, tag) => {
      const paths = best.map((value, from) => value + transitions[from][tag]);
      origin.push(argmax(paths));
      return paths[origin[tag]] + emission[tag];
    });
    origins.push(origin);
  }
  const tags = [argmax(best.map((value, tag) => value + end[tag]))];
  for (const origin of origins.reverse()) tags.unshift(origin[tags[0]]);
  return tags;
}

/** The probabilities of all tags at each step, by forward and backward recursion. */
function marginals(emissions, scores) {
  const { start, transitions, end } = scores;
  const sums = (steps, first, transition) => {
    const result = [];
    for (const emission of steps) {
      const last = result.at(-1);
      result.push(
        emission.map((value, tag) => {
          if (!last) return first[tag] + value;
          return logSumExp(last.map((sum, from) => sum + transition(from, tag))) + value;
        }),
      );
    }
    return result;
  };
  const steps = emissions.map((emission) => Float64Array.from(emission));
  const before = sums(steps, start, (from, tag) => transitions[from][tag]);
  const after = sums([...steps].reverse(), end, (from, tag) => transitions[tag][from]).reverse();
  return steps.map((emission, t) => softmax(emission.map((value, tag) => before[t][tag] + after[t][tag] - value)));
}

const SPAN_TAG = /^([BIESLU])(?:-([\s\S]+))?$/;

function splitTag(tag) {
  const match = SPAN_TAG.exec(tag);
  if (!match) return ["O", ""];
  return [{ L: "E", U: "S" }[match[1]] ?? match[1], match[2] ?? ""];
}

/** The spans that tags stand for, in any scheme, as conlleval reads them: objects with start, end and type. */
function readSpans(tags) {
  const spans = [];
  let [start, before, inside] = [0, "O", ""];
  [...tags, "O"].forEach((tag, place) => {
    const [position, type] = splitTag(tag);
    const begins = "BS".includes(position) || "OES".includes(before) || type !== inside;
    if (before !== "O" && (begins || position === "O")) spans.push({ start, end: place, type: inside });
    if (begins) start = place;
    [before, inside] = [position, type];
  });
  return spans;
}

const LEMMA_RULE = /^(lower|keep|title|upper)\|-([0-9]{1,4})\+([\s\S]*?)\|-([0-9]{1,4})\+([\s\S]*)$/;
const LETTER_CASES = {
  lower: (word) => word.toLowerCase(),
  keep: (word) => word,
  title: titleCase,
  upper: (word) => word.toUpperCase(),
};

/** The lemma that a rule makes of a word, see nlp_rnn/lite/text/lemmas.py. */
function applyLemmaRule(rule, word) {
  if (rule.startsWith("=")) return rule.slice(1);
  const match = LEMMA_RULE.exec(rule);
  if (!match) return word;
  const [, letterCase, before, prefix, behind, suffix] = match;
  const written = Array.from(LETTER_CASES[letterCase](word.normalize("NFC")));
  if (Number(before) + Number(behind) >= written.length) return written.join("");
  return prefix + written.slice(Number(before), written.length - Number(behind)).join("") + suffix;
}

/** Each run of letters with a first one in title case, and others in lower case. */
function titleCase(text) {
  let result = "";
  let inside = false;
  for (const character of text) {
    const cased = /\p{Cased}/u.test(character);
    result += !cased ? character : inside ? character.toLowerCase() : titleCharacter(character);
    inside = cased;
  }
  return result;
}

function titleCharacter(character) {
  const digraph = { Ǆ: "ǅ", ǆ: "ǅ", Ǉ: "ǈ", ǉ: "ǈ", Ǌ: "ǋ", ǌ: "ǋ", Ǳ: "ǲ", ǳ: "ǲ" }[character];
  if (digraph || /[ᲐᲑ-Ჿა-ჿ]/.test(character)) return digraph ?? character; // Georgian has no title case
  const [first, ...rest] = Array.from(character.toUpperCase());
  return first + rest.join("").toLowerCase();
}
