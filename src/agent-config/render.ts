/**
 * New entries: one element per line, so that line-based tools of the vendor keep working
 * (agent-side.md 6.1); only plain ASCII; only elements every agent of the dialect accepts (1.9).
 */
import type { Dialect } from './dialect.ts';
import { type Endpoint, renderEndpoint } from './endpoint.ts';
import type { Layout } from './layout.ts';
import type { Target } from './wish.ts';

/** How an entry is spelled in this file. */
export interface Style {
  readonly dialect: Dialect;
  readonly tag: 'server' | 'manager';
  /** Scheme and prefix of the `<endpoint>` being replaced; undefined for address and port. */
  readonly endpoint: Endpoint | undefined;
  /** Child names in the order the model entry has them. */
  readonly order: readonly string[];
}

const usualOrder: readonly string[] = [
  'endpoint',
  'address',
  'port',
  'protocol',
  'max_retries',
  'retry_interval',
];

/** Child elements and their values, only what is known: absent ones keep the agent's default. */
export function fieldsOf(target: Target, style: Style): ReadonlyMap<string, string> {
  const { endpoint, dialect } = style;
  if (endpoint !== undefined) {
    return new Map([['endpoint', renderEndpoint(endpoint, target.address, target.port)]]);
  }
  const fields = new Map([
    ['address', target.address],
    ['port', String(target.port)],
  ]);
  if (dialect === '5') return fields;
  fields.set('protocol', target.protocol);
  const { maxRetries, retryInterval } = target;
  if (maxRetries !== undefined) fields.set('max_retries', String(maxRetries));
  if (retryInterval !== undefined) fields.set('retry_interval', String(retryInterval));
  return fields;
}

/** The entry without indentation before it and without an end of line after it. */
export function renderServer(target: Target, layout: Layout, style: Style): string {
  const fields = fieldsOf(target, style);
  const names = [...new Set([...style.order, ...usualOrder])].filter((name) => fields.has(name));
  const children = names.map((name) => {
    return `${layout.childIndent}<${name}>${fields.get(name)}</${name}>`;
  });
  const closing = `${layout.indent}</${style.tag}>`;
  return [`<${style.tag}>`, ...children, closing].join(layout.eol);
}
