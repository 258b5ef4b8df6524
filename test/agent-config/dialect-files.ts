/**
 * Files in the agent's own dialect, not in XML's: several roots, `<! … !>` comments anywhere,
 * backslashes, stray text, every end of line. Built from a stream of choices, so that a seeded
 * generator and fast-check can both drive it.
 */
import type { Dialect } from '../../src/agent-config/dialect.ts';
import type { EditWish, WantedServer } from '../../src/agent-config/edit.ts';

/** A whole number from 0 to `bound` - 1. */
export type Choose = (bound: number) => number;

export interface MadeFile {
  readonly bytes: Buffer;
  readonly dialect: Dialect;
}

const comments = [
  '<!-- keep -->',
  '<! old style !>',
  '<!-->',
  '<!--->',
  '<!-- a -- b -->',
  '<!-- a !>',
  '<!-- <server><address>192.0.2.9</address></server> -->',
  '<!-- </client> </agent> -->',
  '<!-- \\ -->',
  '<!-- caf\u00e9 &amp; -->',
] as const;

const addresses = [
  '10.0.0.1',
  '10.0.0.2',
  '192.0.2.7',
  'wm-01.example.org',
  'WM-02.Example.org',
  'manager_1',
  '2001:db8::1',
  'fe80::1',
  '[2001:db8::1]',
  'MANAGER_IP',
  '0.0.0.0',
  '',
  ' 10.0.0.1 ',
  'a,b',
  'caf\u00e9.example',
] as const;

const strays = [
  '',
  '',
  '',
  ' text ',
  '\\ ',
  '\\\\',
  '\\<',
  '!-- ',
  'a > b',
  '&lt;',
  "it's",
] as const;

const others = [
  '<rootcheck/>',
  '<syscheck><frequency>43200</frequency></syscheck>',
  '<localfile><location>C:\\\\logs\\\\</location><log_format>syslog</log_format></localfile>',
  '<localfile><query>\\<QueryList\\>\\<Query/\\>\\</QueryList\\></query></localfile>',
  '<socket><name>a</name><port>1514</port></socket>',
  '<wodle name="a<b"><server><address>10.0.0.1</address></server></wodle>',
  '<client_buffer><disabled>no</disabled></client_buffer>',
  '<logging />',
] as const;

const scalars: Readonly<Record<Dialect, readonly string[]>> = {
  '4': [
    '<notify_time>10</notify_time>',
    '<time-reconnect>60</time-reconnect>',
    '<auto_restart>yes</auto_restart>',
    '<crypto_method>aes</crypto_method>',
    '<config-profile>debian, \\\\</config-profile>',
    '<enrollment><manager_address>10.0.0.1</manager_address><port>1515</port></enrollment>',
    '<enrollment/>',
    '<notify_time/>',
  ],
  '5': [
    '<notify_time>10</notify_time>',
    '<auto_restart>no</auto_restart>',
    '<time-reconnect>60</time-reconnect>',
    '<ssl><verification_mode>certificate</verification_mode></ssl>',
    '<batch><size>1MB</size></batch>',
    '<enrollment><port>1515</port></enrollment>',
  ],
};

/** A file that the agent mostly loads; `choose` decides everything about it. */
export function makeFile(choose: Choose, dialect: Dialect): MadeFile {
  return { bytes: Buffer.from(new FileMaker(choose, dialect).file(), 'latin1'), dialect };
}

class FileMaker {
  readonly #choose: Choose;
  readonly #dialect: Dialect;
  readonly #eol: string;
  readonly #tag: 'server' | 'manager';

  constructor(choose: Choose, dialect: Dialect) {
    this.#choose = choose;
    this.#dialect = dialect;
    this.#eol = this.#pick(['\n', '\n', '\r\n', '\r', '']);
    this.#tag = dialect === '5' && choose(4) === 0 ? 'manager' : 'server';
  }

  file(): string {
    const roots = this.#times(3, 1).map(() => this.#root());
    const lead = this.#pick(['', '', '\u00ef\u00bb\u00bf', 'stray', '<var name="M">x</var>']);
    return lead + this.#gap() + roots.join(this.#gap()) + this.#pick(['', this.#eol, 'trailing']);
  }

  #root(): string {
    const sections = this.#times(4, 0).map(() =>
      this.#choose(2) === 0 ? this.#pick(others) : this.#own(),
    );
    return this.#wrap('ossec_config', sections);
  }

  #own(): string {
    const name = this.#dialect === '4' || this.#choose(4) === 0 ? 'client' : 'agent';
    const children = this.#times(5, 1).map(() => this.#child(name));
    return this.#wrap(name, children);
  }

  #child(section: string): string {
    const kind = this.#choose(8);
    if (kind < 4) return this.#server(section);
    if (kind === 4 && this.#choose(40) === 0) return '<var><port>99</port></var>';
    if (kind === 4) {
      return this.#pick([
        '<server-ip>10.0.0.2</server-ip>',
        '<server-ip>192.0.2.8</server-ip>',
        '<server-ip>10.0.0.1</server-ip>',
        '<var>x</var>',
      ]);
    }
    if (kind === 5) return '<server-hostname>wm-01.example.org</server-hostname>';
    if (kind === 6 && section === 'client')
      return this.#pick(['<port>2000</port>', '<protocol>udp</protocol>']);
    return this.#pick(scalars[this.#dialect]);
  }

  #server(section: string): string {
    if (section === 'agent' && this.#tag === 'manager' && this.#choose(2) === 0) {
      const endpoint = this.#pick(['10.0.0.1', 'wm-01.example.org:1517', '[2001:db8::1]:99/edge/']);
      return this.#wrap('manager', [this.#value('endpoint', endpoint)]);
    }
    const children = [this.#value('address', this.#pick(addresses))];
    if (this.#choose(2) === 0)
      children.push(this.#value('port', this.#pick(['1514', '01514', '99'])));
    if (this.#choose(3) === 0) children.push(this.#value('protocol', this.#pick(['tcp', 'udp'])));
    if (this.#choose(4) === 0) children.push(this.#value('max_retries', this.#pick(['1', '5'])));
    if (this.#choose(5) === 0) children.push(this.#value('interface_index', '2'));
    if (this.#choose(8) === 0) children.push(this.#value('address', this.#pick(addresses)));
    return this.#wrap(section === 'agent' ? this.#tag : 'server', children);
  }

  #value(name: string, content: string): string {
    const cut = this.#choose(12) === 0 ? this.#choose(content.length + 1) : content.length;
    const inner =
      cut === content.length
        ? content
        : content.slice(0, cut) + this.#pick(comments) + content.slice(cut);
    return `<${name}${this.#attributes()}>${inner}</${name}>`;
  }

  #wrap(name: string, children: readonly string[]): string {
    const inner = children.map((child) => this.#gap() + child).join('');
    return `<${name}${this.#attributes()}>${inner}${this.#gap()}</${name}>`;
  }

  #attributes(): string {
    return this.#choose(10) === 0
      ? this.#pick([' ', ' id="a"', ' x=\'a<b\' y= "1"', '\t', ' var="1"'])
      : '';
  }

  /** What may stand between two elements without meaning anything. */
  #gap(): string {
    const kind = this.#choose(8);
    if (kind === 0) return '';
    if (kind === 1) return this.#eol + this.#pick(comments) + this.#eol;
    if (kind === 2) return this.#pick(strays) + this.#pick([' ', ' ', this.#eol, '']);
    return this.#eol + this.#pick(['  ', '    ', '\t', '']);
  }

  #times(most: number, least: number): readonly undefined[] {
    return Array.from({ length: least + this.#choose(most) }, () => undefined);
  }

  #pick<Value>(values: readonly [Value, ...Value[]] | readonly Value[]): Value {
    const value = values[this.#choose(values.length)];
    if (value === undefined) throw new RangeError('the chooser left its bound');
    return value;
  }
}

const wanted: readonly Omit<WantedServer, 'port' | 'protocol'>[] = [
  { address: '10.0.0.1' },
  { address: '10.0.0.2' },
  { address: 'wm-01.example.org' },
  { address: 'wm-02.example.org' },
  { address: '2001:db8::1' },
  { address: '10.9.0.1', maxRetries: 1, retryInterval: 1 },
  { address: 'wm-9.example.org', maxRetries: 3 },
];

/** One to four servers, some of which the made files already hold, sometimes with tuning. */
export function makeWish(choose: Choose): EditWish {
  const servers = Array.from({ length: 1 + choose(4) }, () => ({
    ...(wanted[choose(wanted.length)] ?? { address: '10.9.0.2' }),
    port: choose(3) === 0 ? 2000 : 1514,
    protocol: choose(4) === 0 ? ('udp' as const) : ('tcp' as const),
  }));
  const unique = new Map(
    servers.map((server) => [`${server.address}/${server.port}/${server.protocol}`, server]),
  );
  const tuning =
    choose(4) === 0 ? { notifyTime: 10 + choose(5), timeReconnect: 30 + choose(60) } : {};
  const retarget =
    choose(4) === 0 ? { retargetEnrollment: { gone: ['10.0.0.1'], to: '10.9.0.1' } } : {};
  return { servers: [...unique.values()], tuning, ...retarget };
}

const mutations = [
  '<',
  '>',
  '/',
  '!',
  '-',
  '\\',
  '"',
  "'",
  '=',
  ' ',
  '\n',
  '\r',
  '&',
  '</',
  '/>',
  '<!',
  '-->',
  '!>',
  '<!--',
  '<server>',
  '</server>',
  '<var>',
  '</var>',
  '<client>',
  '</client>',
  '\u0000',
  'x',
  '<a b="c"/>',
] as const;

/** A made file with one to four small damages: bytes put in, taken out, doubled or swapped. */
export function mutate(choose: Choose, original: Buffer): Buffer {
  let bytes = original;
  for (let left = 1 + choose(3); left > 0; left -= 1) {
    const at = choose(bytes.length + 1);
    const length = Math.min(choose(8), bytes.length - at);
    const kind = choose(4);
    const piece = bytes.subarray(at, at + length);
    const inserted =
      kind === 0 ? Buffer.from(mutations[choose(mutations.length)] ?? '', 'latin1') : piece;
    const target = kind === 2 ? choose(bytes.length + 1) : at;
    if (kind === 1) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    else bytes = Buffer.concat([bytes.subarray(0, target), inserted, bytes.subarray(target)]);
  }
  return bytes;
}
