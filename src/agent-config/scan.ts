/**
 * The agent's own lexer (agent-side.md 1.1-1.3), as byte spans: what it accepts, we accept; what
 * it refuses throws a `Refusal` with its words. It is not XML: `<! … !>` comments, backslash
 * escapes, no entities, several roots. One pass, no backtracking, linear in the file.
 *
 * Only `<client>` and `<agent>` sections keep their descendants; of other sections it is known
 * that they are there and how many element children they have.
 */
import { readAttributes } from './attributes.ts';
import {
  asBuffer,
  BANG,
  commentEnd,
  cString,
  type Element,
  FALSE_END,
  GREATER,
  isSpace,
  LESS,
  latin1,
  MAX_RUN_BYTES,
  SLASH,
} from './element.ts';
import { brokenSyntax, type Complaint, type Refusal } from './refusal.ts';

const BACKSLASH = 0x5c;
const MAX_LEVELS = 1024;
const SECTION_LEVEL = 1;
const MAX_HINT_CHARS = 80;
const keptSections: ReadonlySet<string> = new Set(['client', 'agent']);

type Growing = {
  -readonly [Key in keyof Element]: Element[Key] extends readonly Element[]
    ? Growing[]
    : Element[Key];
};

interface Open {
  readonly name: string;
  readonly start: number;
  /** Undefined for `<var>` and for what nobody asks about. */
  readonly element: Growing | undefined;
}

interface Name {
  readonly text: string;
  /** Offset of the byte that ended it: `>` or, in an opening tag, a blank. */
  readonly end: number;
}

/** Root elements of the file. Throws `Refusal` where the agent would not load it. */
export function scan(bytes: Uint8Array): readonly Element[] {
  const scanner = new Scanner(asBuffer(bytes));
  scanner.run();
  return scanner.roots;
}

class Scanner {
  readonly roots: Growing[] = [];
  readonly #bytes: Buffer;
  #at = 0;
  /** Where the file ends for the agent. */
  #end: number;
  /** Bytes of the current run of text, as the agent's buffer counts them. */
  #run = 0;
  readonly #open: Open[] = [];
  /** The last element of each level: the agent finds a parent by level alone. */
  readonly #last: (Growing | undefined)[] = [];

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#end = bytes.length;
  }

  run(): void {
    for (;;) {
      const tag = this.#skipText();
      if (tag < 0 && this.#open.length === 0) return;
      if (tag < 0) throw this.#unfinished();
      if (this.#bytes[tag + 1] === SLASH) this.#closeTag(tag);
      else this.#openTag(tag);
    }
  }

  /** Offset of the next `<` that opens or closes an element, -1 at the end of the file. */
  #skipText(): number {
    let escaped = false;
    for (;;) {
      const found = this.#bytes.indexOf(LESS, this.#at);
      const stop = found < 0 ? this.#bytes.length : found;
      this.#refuseOverflow(found < 0 ? stop - 1 : stop);
      escaped = endsEscaped(this.#bytes, this.#at, stop, escaped);
      if (found < 0) return -1;
      this.#run += stop - this.#at;
      if (this.#bytes[found + 1] === BANG) {
        this.#at = this.#skipComment(found); // a pending escape survives a comment
      } else if (escaped && this.#bytes[found + 1] === FALSE_END) {
        this.#end = found + 1;
        return -1;
      } else if (escaped) {
        escaped = false;
        this.#run += 1;
        this.#at = found + 1;
      } else {
        return found;
      }
    }
  }

  /** The agent notices on reading a byte while its buffer is full; outside roots nothing counts. */
  #refuseOverflow(lastRead: number): void {
    const full = this.#at + MAX_RUN_BYTES - this.#run;
    if (this.#open.length === 0 || full > lastRead) return;
    throw this.#tooLong(this.#at, full);
  }

  #skipComment(start: number): number {
    const { closed, end } = commentEnd(this.#bytes, start);
    if (closed) return end;
    throw brokenSyntax(this.#bytes, {
      offset: start,
      consumed: end,
      what: 'Comment not closed.',
      fix: 'close the comment with -->; CDATA and DOCTYPE are comments to the agent: remove them',
      ruleNumber: 27,
    });
  }

  #openTag(start: number): void {
    const level = this.#open.length;
    if (level >= MAX_LEVELS) throw this.#tooDeep(start);
    const name = this.#readName(start + 1, false);
    const selfClosed = name.text.endsWith('/');
    const text = cString(selfClosed ? name.text.slice(0, -1) : name.text);
    const element = this.#register(text, level, start);
    const blank = isSpace(this.#bytes[name.end]);
    const rest = blank
      ? readAttributes(this.#bytes, name.end + 1)
      : { end: name.end + 1, closed: false };
    this.#at = rest.end;
    this.#run = 0;
    if (element !== undefined) setSpan(element, rest.end);
    if (selfClosed || rest.closed) this.#afterChild();
    else this.#open.push({ name: text, start, element });
  }

  #closeTag(start: number): void {
    const open = this.#open.at(-1);
    if (open === undefined) throw this.#notOpened(start);
    const name = this.#readName(start + 2, true);
    if (cString(name.text) !== open.name) throw this.#notClosed(open, name, start);
    this.#open.pop();
    this.#at = name.end + 1;
    if (open.element !== undefined) {
      open.element.valueEnd = start;
      open.element.end = this.#at;
    }
    this.#afterChild();
  }

  /** The text of the parent starts anew behind each child. */
  #afterChild(): void {
    this.#run = 0;
    const parent = this.#open.at(-1)?.element;
    if (parent !== undefined) parent.valueStart = this.#at;
  }

  #readName(from: number, closing: boolean): Name {
    let text = '';
    let piece = from;
    for (let at = from; at < this.#bytes.length; at += 1) {
      const byte = this.#bytes[at];
      if (text.length + at - piece >= MAX_RUN_BYTES) throw this.#tooLong(from, at);
      const isFalseEnd = byte === FALSE_END && this.#bytes[at - 1] === LESS;
      if (isFalseEnd) this.#end = at;
      if (isFalseEnd) throw this.#unfinished();
      if (byte === LESS && this.#bytes[at + 1] === BANG) {
        text += latin1(this.#bytes, piece, at);
        piece = this.#skipComment(at);
        at = piece - 1;
      } else if (byte === GREATER || (!closing && isSpace(byte))) {
        return { text: text + latin1(this.#bytes, piece, at), end: at };
      }
    }
    throw this.#unfinished();
  }

  /** Enter an element into the agent's tree; `<var>` is no element to it. */
  #register(name: string, level: number, start: number): Growing | undefined {
    if (name.toLowerCase() === 'var') return undefined;
    const parent = level === 0 ? undefined : this.#last[level - 1];
    this.#last.length = level;
    this.#last[level] = undefined;
    if (parent !== undefined) parent.childCount += 1;
    const wanted = level === 0 || (parent !== undefined && keepsChildren(parent));
    if (!wanted) return undefined;
    const inPlace = level === 0 || parent === this.#open.at(-1)?.element;
    const element = newElement({ name, level, start, inPlace });
    (parent?.children ?? this.roots).push(element);
    this.#last[level] = element;
    return element;
  }

  #unfinished(): Refusal {
    const open = this.#open.at(-1);
    return brokenSyntax(this.#bytes, {
      offset: open?.start ?? Math.max(0, this.#bytes.lastIndexOf(LESS)),
      consumed: this.#end,
      what: 'End of file and some elements were not closed.',
      fix:
        open === undefined
          ? 'remove the lone < at the end of the file'
          : `close <${open.name}>; UTF-16 files must be saved as UTF-8`,
      ruleNumber: 74,
    });
  }

  #notOpened(start: number): Refusal {
    const what = 'Element not opened.';
    const fix = 'remove this closing tag, nothing is open here';
    const at = { offset: start, consumed: start + 2 };
    return brokenSyntax(this.#bytes, { ...at, what, fix, ruleNumber: 74 });
  }

  #notClosed(open: Open, closing: Name, start: number): Refusal {
    const what = `Element '${open.name}' not closed.`;
    const cause = closingCause(this.#bytes, open, closing.text, start);
    return brokenSyntax(this.#bytes, { consumed: closing.end + 1, what, ...cause });
  }

  #tooDeep(start: number): Refusal {
    const what = 'Max recursion level reached';
    const fix = 'nest fewer than 1024 elements';
    return brokenSyntax(this.#bytes, { offset: start, consumed: start, what, fix });
  }

  #tooLong(start: number, at: number): Refusal {
    const what = 'String overflow.';
    const fix = 'shorten this text or gap below 20480 bytes';
    return brokenSyntax(this.#bytes, {
      offset: start,
      consumed: at + 1,
      what,
      fix,
      ruleNumber: 70,
    });
  }
}

/** Why a closing tag does not fit: a swallowed one before it, a raw `<`, or its own spelling. */
function closingCause(
  bytes: Buffer,
  open: Open,
  closing: string,
  start: number,
): Pick<Complaint, 'offset' | 'fix' | 'ruleNumber'> {
  if (open.name.includes('<')) {
    const fix = 'a value must not hold a raw <; write \\< if the agent shall see it';
    return { offset: open.start, fix, ruleNumber: 64 };
  }
  const around = bytes.subarray(open.start, start);
  const swallowedEnd = lastPlace(around, `\\</${open.name}>`);
  if (swallowedEnd >= 0) {
    const fix = `the backslash before </${open.name}> hides the tag: remove or double it`;
    return { offset: open.start + swallowedEnd, fix, ruleNumber: 61 };
  }
  const swallowedStart = lastPlace(around, `\\<${closing}`);
  if (swallowedStart >= 0) {
    const fix = `the backslash before <${closing}> hides the tag: remove it`;
    return { offset: open.start + swallowedStart, fix, ruleNumber: 63 };
  }
  const fix = `write exactly </${open.name}> here, without blanks`;
  return { offset: start, fix, ruleNumber: 28 };
}

/** A hint for people only: overlong names are not worth a search. */
function lastPlace(bytes: Buffer, text: string): number {
  return text.length > MAX_HINT_CHARS ? -1 : bytes.lastIndexOf(Buffer.from(text, 'latin1'));
}

/** Whether the byte at `stop` follows an odd number of backslashes, `before` being the start state. */
function endsEscaped(bytes: Uint8Array, start: number, stop: number, before: boolean): boolean {
  let at = stop;
  while (at > start && bytes[at - 1] === BACKSLASH) at -= 1;
  const odd = (stop - at) % 2 === 1;
  return at === start ? odd !== before : odd;
}

function keepsChildren(parent: Growing): boolean {
  return parent.level !== SECTION_LEVEL || keptSections.has(parent.name);
}

function newElement(given: Pick<Element, 'name' | 'level' | 'start' | 'inPlace'>): Growing {
  const spans = { openEnd: 0, valueStart: 0, valueEnd: 0, end: 0 };
  return { ...given, ...spans, children: [], childCount: 0 };
}

function setSpan(element: Growing, openEnd: number): void {
  element.openEnd = openEnd;
  element.valueStart = openEnd;
  element.valueEnd = openEnd;
  element.end = openEnd;
}
