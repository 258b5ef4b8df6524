/**
 * A YAML configuration file against one schema: the schema alone gives defaults, units, limits,
 * the reference in `--help` and the JSON Schema. Unknown keys are errors that name the nearest
 * known one; every error says file, line and key.
 */
import { isMap, isPair, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import * as z from 'zod';
import { ConfigError } from '../errors.ts';
import { nearestOf } from './nearest.ts';

const maxConfigBytes = 256 * 1024;
const unitsMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A duration such as `800ms`, `5s`, `2m`, `1h`, `7d`; a bare number is refused. Milliseconds. */
export function duration(
  fallback: string,
  limits: { readonly min: string; readonly max: string },
  text: string,
): z.ZodPipe<z.ZodDefault<z.ZodString>, z.ZodTransform<number, string>> {
  const minMs = parseDurationMs(limits.min) ?? 0;
  const maxMs = parseDurationMs(limits.max) ?? Number.MAX_SAFE_INTEGER;
  return z
    .string()
    .regex(
      /^\d+(\.\d+)?(ms|s|m|h|d)$/,
      'expected a number with a unit, such as 800ms, 5s, 2m, 1h or 7d',
    )
    .default(fallback)
    .transform((value, context) => {
      const ms = parseDurationMs(value);
      if (ms !== undefined && ms >= minMs && ms <= maxMs) return ms;
      context.addIssue({
        code: 'custom',
        message: `expected between ${limits.min} and ${limits.max}`,
      });
      return z.NEVER;
    })
    .meta({ description: text, format: 'duration', range: `${limits.min}..${limits.max}` });
}

export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * unitsMs[match[2] as keyof typeof unitsMs];
}

/** Parse `text` of the file `path`; throws ConfigError `config_invalid` naming line and key. */
export function parseConfig<T>(schema: z.ZodType<T>, text: string, path: string): T {
  if (text.length > maxConfigBytes) {
    throw new ConfigError('config_invalid', `${path}: larger than ${maxConfigBytes} bytes`);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    uniqueKeys: true,
    prettyErrors: true,
  });
  const broken = document.errors[0];
  if (broken !== undefined) {
    throw new ConfigError('config_invalid', `${path}: ${broken.message.split('\n')[0]}`);
  }
  const parsed = schema.safeParse(document.toJS({ maxAliasCount: 20 }) ?? {});
  if (parsed.success) return parsed.data;
  const told = parsed.error.issues.map((issue) => {
    const unknown = issue.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
    const line = lineOf(document.contents, [...issue.path, ...unknown], lines);
    return `${path}${line === undefined ? '' : `:${line}`}: ${describeIssue(schema, issue)}`;
  });
  throw new ConfigError('config_invalid', told.join('\n'));
}

function describeIssue(schema: z.ZodType, issue: z.core.$ZodIssue): string {
  const where = issue.path.join('.');
  if (issue.code !== 'unrecognized_keys') return `${where || 'file'}: ${issue.message}`;
  return issue.keys
    .map((key) => {
      const full = [...issue.path, key].join('.');
      const near = nearestOf(full, knownNames(schema));
      return `unknown key ${JSON.stringify(full)}${near === undefined ? '' : ` (did you mean ${near}?)`}`;
    })
    .join('; ');
}

/** Every key and every section that holds some. */
function knownNames(schema: z.ZodType): readonly string[] {
  const keys = listKeys(schema).map((known) => known.key);
  const sections = keys.flatMap((key) =>
    key.split('.').map((_, depth, parts) => parts.slice(0, depth).join('.')),
  );
  return [...new Set([...keys, ...sections])].filter((name) => name !== '');
}

function lineOf(
  root: Node | null,
  path: readonly PropertyKey[],
  lines: LineCounter,
): number | undefined {
  let node: unknown = root;
  let at = root?.range?.[0];
  for (const key of path) {
    if (isSeq(node) && typeof key === 'number') node = node.items[key];
    else
      node = isMap(node) ? node.items.find((item) => String(item.key) === String(key)) : undefined;
    if (node === undefined) break;
    const found = isPair(node) ? node.key : node;
    at = (found as Node | null)?.range?.[0] ?? at;
    if (isPair(node)) node = node.value;
  }
  return at === undefined ? undefined : lines.linePos(at).line;
}

interface KeyReference {
  readonly key: string;
  readonly type: string;
  readonly fallback: string;
  readonly text: string;
}

interface JsonSchemaNode {
  readonly type?: string;
  readonly format?: string;
  readonly range?: string;
  readonly default?: unknown;
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: JsonSchemaNode;
  readonly properties?: Readonly<Record<string, JsonSchemaNode>>;
}

/** The JSON Schema (draft 2020-12) of what a user may write. */
export function jsonSchemaOf(schema: z.ZodType): object {
  return z.toJSONSchema(schema, { io: 'input' });
}

/** Every key with its type, default and meaning, in the order of the schema. */
export function listKeys(schema: z.ZodType): readonly KeyReference[] {
  return keysOf(jsonSchemaOf(schema) as JsonSchemaNode, '');
}

function keysOf(node: JsonSchemaNode, prefix: string): KeyReference[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, child]) => {
    const key = `${prefix}${name}`;
    if (child.properties !== undefined) return keysOf(child, `${key}.`);
    const self: KeyReference = {
      key,
      type: typeOf(child),
      fallback: child.default === undefined ? '-' : JSON.stringify(child.default),
      text: child.description ?? '',
    };
    return child.items?.properties === undefined
      ? [self]
      : [self, ...keysOf(child.items, `${key}[].`)];
  });
}

function typeOf(node: JsonSchemaNode): string {
  if (node.enum !== undefined) return node.enum.map(String).join('|');
  if (node.format === 'duration') return `duration ${node.range ?? ''}`.trim();
  if (node.type === 'array')
    return `list of ${node.items === undefined ? 'any' : typeOf(node.items)}`;
  if (node.type === 'integer') return `integer ${node.minimum ?? ''}..${node.maximum ?? ''}`;
  return node.type ?? 'any';
}

/** The reference as a `--help` section. */
export function renderReference(schema: z.ZodType): string {
  return listKeys(schema)
    .map((key) => `  ${key.key}  (${key.type}; default ${key.fallback})\n      ${key.text}`)
    .join('\n');
}
