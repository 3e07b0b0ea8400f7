// Sets of characters and lower case, as tables that Python wrote: browsers know other versions of Unicode.

/** A set of code points, from how many are left out and how many follow, by turns, in base 36. */
class CharacterSet {
  constructor(written) {
    this.starts = [];
    this.ends = [];
    const numbers = written ? written.split(" ") : [];
    let place = 0;
    for (let i = 0; i < numbers.length; i += 2) {
      place += parseInt(numbers[i], 36);
      this.starts.push(place);
      place += parseInt(numbers[i + 1], 36);
      this.ends.push(place);
    }
    this.ascii = Array.from({ length: 128 }, (_, point) => this.search(point));
  }

  has(point) {
    return point < 128 ? this.ascii[point] : this.search(point);
  }

  search(point) {
    let low = 0;
    let high = this.starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ends[middle] > point) high = middle;
      else low = middle + 1;
    }
    return low < this.starts.length && this.starts[low] <= point;
  }
}

/** Lower case, each character by itself: a sigma at the end of a word is one like any other. */
class LowerCase {
  constructor({ runs, others }) {
    this.changed = new Map();
    for (const [first, count, step, difference] of runs) {
      for (let i = 0; i < count; i++) {
        const point = first + i * step;
        this.changed.set(String.fromCodePoint(point), String.fromCodePoint(point + difference));
      }
    }
    for (const [character, text] of Object.entries(others)) this.changed.set(character, text);
  }

  apply(text) {
    let result = "";
    for (const character of text) result += this.changed.get(character) ?? character;
    return result;
  }
}

/** NFC of a text: only runs of characters that can change are given to the browser. */
function compose(text, composing) {
  let result = "";
  let run = "";
  for (const character of text) {
    if (composing.has(character.codePointAt(0))) {
      run += character;
      continue;
    }
    if (run) result += run.normalize("NFC");
    run = "";
    result += character;
  }
  return result + run.normalize("NFC");
}

/** Refuse a text with half of a surrogate pair, which is not valid Unicode text. */
function checkText(text) {
  let place = 0;
  for (const character of text) {
    const point = character.codePointAt(0);
    if (point >= 0xd800 && point < 0xe000) {
      const written = "\\u" + point.toString(16);
      throw new Error(`the text has a lone surrogate ('${written}') at character ${place}: type it again`);
    }
    place += 1;
  }
}

// White space as Python has it, which differs from JavaScript's.
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const IS_BLANK = new RegExp(`^[${SPACE}]*$`);
const CHUNKS = new RegExp(`[^${SPACE}]+`, "gu");

/** A text, or an empty one in place of white space alone. */
function blankToEmpty(text) {
  return IS_BLANK.test(text) ? "" : text;
}
