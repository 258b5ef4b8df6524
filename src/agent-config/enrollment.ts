/** The `<enrollment>` block (agent-side.md 1.7, 1.10): children validated, the last value wins. */
import { storedAddress } from './address.ts';
import type { Dialect } from './dialect.ts';
import { contentOf, type Element } from './element.ts';
import type { Loaded } from './loaded.ts';
import { unknownChild } from './server-block.ts';
import { checkValue, type Rule, toInt } from './values.ts';

const shared: readonly (readonly [string, Rule])[] = [
  ['enabled', 'enrollment_yes_no'],
  ['manager_address', 'address'],
  ['port', 'port'],
  ['interface_index', 'positive'],
  ['agent_name', 'anything'],
  ['groups', 'anything'],
  ['agent_address', 'ip_or_network'],
  ['ssl_cipher', 'anything'],
  ['server_ca_path', 'anything'],
  ['agent_certificate_path', 'anything'],
  ['agent_key_path', 'anything'],
  ['authorization_pass_path', 'anything'],
  ['delay_after_enrollment', 'positive'],
  ['use_source_ip', 'enrollment_yes_no'],
];

const rules: Readonly<Record<Dialect, ReadonlyMap<string, Rule>>> = {
  '4': new Map([...shared, ['auto_method', 'enrollment_yes_no']]),
  '5': new Map(shared),
};

export function readEnrollment(
  bytes: Uint8Array,
  block: Element,
  loaded: Loaded,
  dialect: Dialect,
): void {
  for (const child of block.children) {
    const rule = rules[dialect].get(child.name);
    if (rule === undefined)
      throw unknownChild(child, child.name === 'auto_method' ? 89 : undefined);
    const value = contentOf(bytes, child);
    checkValue({ rule, name: child.name, value, offset: child.start });
    take(loaded, child.name, value);
  }
}

function take(loaded: Loaded, name: string, value: string): void {
  const { enrollment } = loaded;
  if (name === 'enabled') loaded.enrollment = { ...enrollment, enabled: value === 'yes' };
  if (name === 'port') loaded.enrollment = { ...enrollment, port: toInt(value) };
  if (name === 'manager_address') {
    loaded.enrollment = { ...enrollment, managerAddress: storedAddress(value) ?? value };
  }
}
