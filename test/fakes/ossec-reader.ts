/**
 * The stand-in agent's own reader of `ossec.conf`: a second opinion that shares no code with
 * `src/agent-config`, so that it can judge what that wrote. It follows the lexer of agent-side.md
 * 1.1 to 1.4: comments end at `-->` or `!>` wherever they stand, `\<` is no tag, closing tags match
 * byte for byte, entities are not decoded, nothing is trimmed, roots may repeat.
 */

/** The file cannot be read: what the real agent logs as (1226). `line` counts from 1. */
export class UnreadableConfig extends Error {
  readonly line: number;
  constructor(message: string, line: number) {
    super(message);
    this.line = line;
  }
}

export interface Element {
  readonly name: string;
  readonly children: readonly Element[];
  /** Bytes between the tags without the children's; as latin1, so that no byte is lost. */
  readonly content: string;
}

interface OpenElement {
  readonly name: string;
  readonly line: number;
  readonly children: Element[];
  content: string;
}

const maxDepth = 1024;
const maxRunBytes = 20_480;
const tagBody = /([^\s>]+?)((?:\s+[^\s=>"']+=\s*(?:"[^">]*"|'[^'>]*'))*)\s*(\/?)>/y;

/** All elements of the file at root level. Throws `UnreadableConfig`. */
export function readElements(bytes: Buffer): readonly Element[] {
  const text = dropComments(bytes.toString('latin1'));
  const root: OpenElement = { name: '', line: 0, children: [], content: '' };
  const stack: OpenElement[] = [root];
  let at = 0;
  for (;;) {
    const start = nextTag(text, at, stack.length > 1);
    const parent = top(stack);
    keep(parent, text.slice(at, start === -1 ? text.length : start), text, at);
    if (start === -1) break;
    at = text[start + 1] === '/' ? close(text, start, stack) : open(text, start, stack);
  }
  const left = stack.length > 1 ? stack.at(-1) : undefined;
  if (left !== undefined) {
    throw new UnreadableConfig(`XMLERR: Element '${left.name}' not closed.`, left.line);
  }
  return root.children;
}

/** Comments vanish and join what is on both sides, so lines are counted without those in comments. */
function dropComments(text: string): string {
  let kept = '';
  let at = 0;
  for (;;) {
    const start = text.indexOf('<!', at);
    if (start === -1) return kept + text.slice(at);
    const end = /-->|!>/g;
    end.lastIndex = start + 2;
    const found = end.exec(text);
    if (found === null) {
      throw new UnreadableConfig('XMLERR: Comment not closed.', lineAt(text, start));
    }
    kept += text.slice(at, start);
    at = end.lastIndex;
  }
}

/** Index of the next `<` that opens a tag: inside an element an odd run of `\` before it hides it. */
function nextTag(text: string, from: number, inElement: boolean): number {
  for (let at = text.indexOf('<', from); at !== -1; at = text.indexOf('<', at + 1)) {
    const slashes = /\\*$/.exec(text.slice(from, at))?.[0].length ?? 0;
    if (!inElement || slashes % 2 === 0) return at;
  }
  return -1;
}

function open(text: string, start: number, stack: OpenElement[]): number {
  const line = lineAt(text, start);
  tagBody.lastIndex = start + 1;
  const match = tagBody.exec(text);
  if (match?.[1] === undefined) throw new UnreadableConfig('XMLERR: Bad attribute.', line);
  if (stack.length > maxDepth) throw new UnreadableConfig('XMLERR: Too many levels.', line);
  checkAttributes(match[2] ?? '', line);
  const element: OpenElement = { name: match[1], line, children: [], content: '' };
  if (match[3] === '/') top(stack).children.push(element);
  else stack.push(element);
  return tagBody.lastIndex;
}

function checkAttributes(text: string, line: number): void {
  const names = [...text.matchAll(/\s([^\s=]+)=\s*(?:"[^"]*"|'[^']*')/g)].map((match) => match[1]);
  if (new Set(names).size < names.length || names.length > 49) {
    throw new UnreadableConfig('XMLERR: Duplicated attribute or too many of them.', line);
  }
}

function close(text: string, start: number, stack: OpenElement[]): number {
  const line = lineAt(text, start);
  if (stack.length === 1) throw new UnreadableConfig('XMLERR: Element not opened.', line);
  const element = top(stack);
  const tag = `</${element.name}>`;
  if (!text.startsWith(tag, start)) {
    throw new UnreadableConfig(`XMLERR: Element '${element.name}' not closed.`, line);
  }
  stack.pop();
  top(stack).children.push(element);
  return start + tag.length;
}

function keep(element: OpenElement, run: string, text: string, at: number): void {
  if (element.name !== '' && run.length >= maxRunBytes) {
    throw new UnreadableConfig('XMLERR: String overflow.', lineAt(text, at));
  }
  element.content += run;
}

function top(stack: readonly OpenElement[]): OpenElement {
  const element = stack.at(-1);
  if (element === undefined) throw new Error('the root is never popped');
  return element;
}

function lineAt(text: string, at: number): number {
  return text.slice(0, at).split('\n').length;
}
