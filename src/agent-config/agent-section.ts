/** `<agent>` as 5.x reads it (agent-side.md 1.10): one manager, the last block prevails. */
import { deprecatedServer, isDeprecatedEntry } from './client-section.ts';
import { contentOf, type Element } from './element.ts';
import { readEnrollment } from './enrollment.ts';
import type { Loaded } from './loaded.ts';
import { readServerBlock, unknownChild } from './server-block.ts';
import { checkValue, type Rule, toInt } from './values.ts';

const rules: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['local_ip', 'anything'],
  ['server-ip', 'ip'],
  ['server-hostname', 'host_name'],
  ['notify_time', 'count'],
  ['time-reconnect', 'anything'],
  ['force_reconnect_interval', 'anything'],
  ['ip_update_interval', 'count'],
  ['disable-active-response', 'yes_no'],
  ['config-profile', 'anything'],
  ['auto_restart', 'yes_no'],
  ['protocol', 'anything'],
  ['crypto_method', 'anything'],
]);

const report: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['enabled', 'yes_no'],
  ['interval', 'interval'],
]);

const blocks: ReadonlyMap<string, ReadonlyMap<string, Rule>> = new Map([
  ['stats_report', report],
  ['config_report', report],
  [
    'batch',
    new Map<string, Rule>([
      ['size', 'size'],
      ['interval', 'interval'],
    ]),
  ],
  [
    'ssl',
    new Map<string, Rule>([
      ['certificate', 'anything'],
      ['key', 'anything'],
      ['certificate_authorities', 'anything'],
      ['verification_mode', 'verification'],
      ['ciphers', 'ciphers'],
    ]),
  ],
]);

export function readAgent(bytes: Uint8Array, section: Element, loaded: Loaded): void {
  for (const child of section.children) {
    const block = blocks.get(child.name);
    if (child.name === 'server' || child.name === 'manager') {
      refuseMixedSpelling(loaded, child);
      loaded.servers = [readServerBlock(bytes, '5', child, section)];
    } else if (child.name === 'enrollment') {
      readEnrollment(bytes, child, loaded, '5');
    } else if (block !== undefined) {
      readBlock(bytes, child, block, loaded);
    } else {
      readScalar(bytes, section, child, loaded);
    }
  }
}

/** No release knows both spellings: whichever is not its own stops it. */
function refuseMixedSpelling(loaded: Loaded, child: Element): void {
  const earlier = loaded.servers.find(
    ({ form }) => form === 'server' || form === 'manager' || form === 'endpoint',
  );
  if (earlier !== undefined && earlier.element.name !== child.name) throw unknownChild(child, 44);
}

function readBlock(
  bytes: Uint8Array,
  block: Element,
  known: ReadonlyMap<string, Rule>,
  loaded: Loaded,
): void {
  for (const child of block.children) {
    const rule = known.get(child.name);
    if (rule === undefined) throw unknownChild(child, 44);
    const value = contentOf(bytes, child);
    checkValue({ rule, name: child.name, value, offset: child.start });
    if (value === 'full' || value === 'certificate' || value === 'none') {
      if (child.name === 'verification_mode') loaded.verification = value;
    }
  }
}

function readScalar(bytes: Uint8Array, section: Element, child: Element, loaded: Loaded): void {
  const rule = rules.get(child.name);
  if (rule === undefined) throw unknownChild(child, 44);
  const value = contentOf(bytes, child);
  checkValue({ rule, name: child.name, value, offset: child.start });
  if (child.name === 'notify_time') loaded.notifyTime = toInt(value);
  if (!isDeprecatedEntry(child)) return;
  loaded.servers.push(deprecatedServer(child, section, value));
}
