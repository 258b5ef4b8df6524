/**
 * The `<cluster>` block of a manager's own configuration file, as the stock cluster daemon reads
 * it (cluster-protocol.md 7.2): several roots, any case of names, the last block wins, text kept
 * as it is. Values are not judged here. Pure: text in, values out.
 */
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { ConfigError } from '../errors.ts';
import { messageOf } from '../guards.ts';

/** One option: text, or a list where an element was repeated, or the members of a section. */
export type BlockValue = string | readonly string[] | { readonly [name: string]: BlockValue };

export interface ClusterBlock {
  readonly options: Readonly<Record<string, BlockValue>>;
  /** How many blocks the file holds; stock warns above one and uses the last. */
  readonly count: number;
}

interface Node {
  readonly name: string;
  readonly text: string;
  readonly children: readonly Node[];
}

const parser = new XMLParser({
  preserveOrder: true,
  trimValues: false,
  parseTagValue: false,
  ignoreAttributes: true,
  ignoreDeclaration: true,
  processEntities: true,
});
const deepest = 12;

/** Below elements `root`. Undefined: the file has no such block. Throws `ConfigError`. */
export function readClusterBlock(
  text: string,
  path: string,
  root = 'ossec_config',
): ClusterBlock | undefined {
  const sections = parseRoots(text, path)
    .filter(({ name }) => name === root)
    .flatMap(({ children }) => children)
    .filter(({ name }) => name === 'cluster');
  const last = sections.at(-1);
  if (last === undefined) return undefined;
  return { options: optionsOf(last), count: sections.length };
}

function parseRoots(text: string, path: string): readonly Node[] {
  const document = `<roots>${tolerate(text)}</roots>`;
  const verdict = XMLValidator.validate(document);
  if (verdict !== true) {
    throw unreadable(path, `line ${verdict.err.line}: ${verdict.err.msg}`);
  }
  try {
    const [root] = nodesOf(parser.parse(document), 0);
    return root?.children ?? [];
  } catch (error) {
    throw unreadable(path, messageOf(error));
  }
}

function unreadable(path: string, what: string): ConfigError {
  const message = `${path}: Error 3006 - Error reading cluster configuration: ${what}`;
  return new ConfigError('config_invalid', message);
}

/** What managers' files hold and XML forbids: `--` in comments, bare `&`, `<` in text, `\<`. */
function tolerate(text: string): string {
  return text
    .replace(/^\uFEFF/, '')
    .replace(/<!--[\s\S]*?-->/g, '')
    .replace(/<\?[\s\S]*?\?>/g, '')
    .replace(/&(?!(?:lt|gt|amp|quot|apos|#\d{1,7}|#x[0-9a-fA-F]{1,6});)/g, '&amp;')
    .replace(/\\</g, '\\&lt;')
    .replace(/<(?!\/?[A-Za-z_][^<>]*>)/g, '&lt;');
}

function nodesOf(value: unknown, depth: number): readonly Node[] {
  if (!Array.isArray(value)) return [];
  if (depth > deepest) throw new RangeError(`deeper than ${deepest} elements`);
  return value.flatMap((item: unknown) => {
    const [entry] = Object.entries(item as object).filter(([key]) => key !== ':@');
    if (entry === undefined || entry[0] === '#text') return [];
    const [name, inner] = entry;
    return [{ name: name.toLowerCase(), text: textOf(inner), children: nodesOf(inner, depth + 1) }];
  });
}

function textOf(value: unknown): string {
  if (!Array.isArray(value)) return '';
  return value
    .map((item: unknown) => String((item as { '#text'?: unknown })['#text'] ?? ''))
    .join('');
}

function optionsOf(node: Node): Readonly<Record<string, BlockValue>> {
  const options = new Map<string, BlockValue>();
  for (const child of node.children)
    options.set(child.name, joined(options.get(child.name), child));
  return Object.fromEntries(options);
}

/** `<nodes>` is a list whatever it holds; a repeated scalar keeps its last value, as stock does. */
function joined(before: BlockValue | undefined, node: Node): BlockValue {
  if (node.name === 'nodes') {
    const listed = node.children.filter(({ name }) => name === 'node').map(({ text }) => text);
    return [...(Array.isArray(before) ? (before as readonly string[]) : []), ...listed];
  }
  return node.children.length === 0 ? node.text : optionsOf(node);
}
