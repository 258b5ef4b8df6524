/** One `<server>` block of either dialect, or `<manager>` of later 5.x (agent-side.md 1.6, 1.10). */
import { storedAddress } from './address.ts';
import { type Dialect, defaultPorts } from './dialect.ts';
import { contentOf, type Element } from './element.ts';
import { type Endpoint, parseEndpoint } from './endpoint.ts';
import {
  DEFAULT_MAX_RETRIES,
  DEFAULT_RETRY_INTERVAL_SEC,
  type EntryForm,
  type LoadedServer,
} from './loaded.ts';
import { Refusal } from './refusal.ts';
import { checkValue, type Rule, toInt } from './values.ts';

const rules: Readonly<Record<Dialect, ReadonlyMap<string, Rule>>> = {
  '4': new Map<string, Rule>([
    ['address', 'address'],
    ['port', 'port'],
    ['protocol', 'protocol'],
    ['max_retries', 'positive'],
    ['retry_interval', 'positive'],
    ['interface_index', 'positive'],
  ]),
  '5': new Map<string, Rule>([
    ['address', 'address'],
    ['port', 'port'],
    ['protocol', 'anything'],
    ['max_retries', 'anything'],
    ['retry_interval', 'anything'],
    ['interface_index', 'positive'],
  ]),
};

/** The server a block describes. `section` is the `<client>` or `<agent>` around it. */
export function readServerBlock(
  bytes: Uint8Array,
  dialect: Dialect,
  block: Element,
  section: Element,
): LoadedServer {
  if (block.children.length === 0) throw unknownChild(block, 42);
  const values = new Map<string, string>();
  let endpoint: Endpoint | undefined;
  for (const child of block.children) {
    const value = contentOf(bytes, child);
    if (child.name === 'endpoint' && block.name === 'manager') {
      endpoint = parseEndpoint(value, child.start);
    } else {
      const rule = rules[dialect].get(child.name);
      if (rule === undefined) throw unknownChild(child, 44);
      checkValue({ rule, name: child.name, value, offset: child.start });
      values.set(child.name, value);
    }
  }
  const address = endpoint?.address ?? values.get('address');
  if (address === undefined) throw noAddress(block);
  const number = (name: string, fallback: number): number => {
    const value = dialect === '5' && name.includes('retr') ? undefined : values.get(name);
    return value === undefined ? fallback : toInt(value);
  };
  return {
    address: storedAddress(address) ?? address,
    port: endpoint === undefined ? number('port', defaultPorts[dialect]) : endpoint.port,
    protocol: dialect === '4' && values.get('protocol') === 'udp' ? 'udp' : 'tcp',
    maxRetries: number('max_retries', DEFAULT_MAX_RETRIES),
    retryInterval: number('retry_interval', DEFAULT_RETRY_INTERVAL_SEC),
    interfaceIndex: number('interface_index', 0),
    form: formOf(block, endpoint),
    element: block,
    section,
  };
}

function formOf(block: Element, endpoint: Endpoint | undefined): EntryForm {
  if (block.name !== 'manager') return 'server';
  return endpoint === undefined ? 'manager' : 'endpoint';
}

/** A child the agent does not know here, or one that should hold children. */
export function unknownChild(element: Element, ruleNumber: number | undefined): Refusal {
  const fix = `remove or correct <${element.name}>: the agent knows no such element here, or wants children in it`;
  return unknownName(element, fix, ruleNumber);
}

/** The agent's words for an element it cannot use; names are case-sensitive (case 31). */
export function unknownName(
  element: Element,
  fix: string,
  ruleNumber: number | undefined,
): Refusal {
  const { name, start: offset } = element;
  const said = `(1230): Invalid element in the configuration: '${name}'.`;
  if (name !== name.toLowerCase()) {
    const lower = `write <${name.toLowerCase()}>: element names are case-sensitive`;
    return new Refusal({ offset, said, fix: lower, ruleNumber: 31 });
  }
  return new Refusal(
    ruleNumber === undefined ? { offset, said, fix } : { offset, said, fix, ruleNumber },
  );
}

function noAddress(block: Element): Refusal {
  return new Refusal({
    offset: block.start,
    said: 'No such address in the configuration.',
    fix: `give this <${block.name}> an <address>, or remove it`,
    ruleNumber: 41,
  });
}
