import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode } from 'dns-packet';
import { DnsFault, type DnsFaultKind } from '../../src/dns/fault.ts';
import { mixCase } from '../../src/dns/name.ts';
import { decodeReply, encodeQuery } from '../../src/dns/query.ts';

const question = { name: 'wm.example.test', type: 'A' } as const;
const spelling = mixCase(question.name, Uint8Array.of(0b10101010, 0b01010101));
const query = encodeQuery(question, { id: 0x1234, spelling, udpBytes: 1_232 });

function replyBytes(change: (packet: Record<string, unknown>) => void = () => undefined): Buffer {
  const packet: Record<string, unknown> = {
    type: 'response',
    id: 0x1234,
    flags: 0x180,
    questions: [{ name: spelling, type: 'A' }],
    answers: [{ name: question.name, type: 'A', ttl: 60, data: '192.0.2.1' }],
  };
  change(packet);
  return encode(packet);
}

function faultOf(bytes: Buffer): DnsFaultKind | undefined {
  try {
    decodeReply(bytes, query);
    return undefined;
  } catch (thrown) {
    assert.ok(thrown instanceof DnsFault);
    return thrown.kind;
  }
}

test('a query carries the mixed letters, recursion desired and EDNS', () => {
  const sent = decode(query);
  assert.equal(sent.questions?.[0]?.name, spelling);
  assert.notEqual(spelling, question.name);
  assert.equal(sent.flag_rd, true);
  assert.equal(sent.additionals?.[0]?.type, 'OPT');
});

test('a type outside the table is refused, never sent as type 0', () => {
  assert.throws(() => encodeQuery({ name: 'x.test', type: 'CERTX' as 'A' }, { id: 1 }), TypeError);
});

test('HTTPS is asked as type 65, which the codec does not know by name', () => {
  const bytes = encodeQuery({ name: 'x.test', type: 'HTTPS' }, { id: 1 });
  assert.equal(bytes.readUInt16BE(bytes.length - 4), 65);
});

test('the answer to the question is taken, names in lower case', () => {
  const { answers, code } = decodeReply(replyBytes(), query);
  assert.equal(code, 'NOERROR');
  assert.deepEqual(answers, [
    { name: 'wm.example.test', ttlSec: 60, type: 'A', address: '192.0.2.1' },
  ]);
});

test('a TTL with its highest bit set means 0', () => {
  const bytes = replyBytes((packet) => {
    const answers = [{ name: question.name, type: 'A', ttl: 2 ** 31, data: '192.0.2.1' }];
    Object.assign(packet, { answers });
  });
  assert.equal(decodeReply(bytes, query).answers[0]?.ttlSec, 0);
});

/** What an attacker beside the path, or a broken server, may send. */
const forgeries: readonly (readonly [string, DnsFaultKind, Buffer])[] = [
  ['another id', 'wrong_id', replyBytes((packet) => Object.assign(packet, { id: 0x1235 }))],
  ['a query', 'not_a_reply', replyBytes((packet) => Object.assign(packet, { type: 'query' }))],
  [
    'a reply to an update',
    'not_a_reply',
    replyBytes((packet) => Object.assign(packet, { flags: 0x2980 })),
  ],
  [
    'the letters in another case',
    'wrong_case',
    replyBytes((packet) =>
      Object.assign(packet, { questions: [{ name: question.name, type: 'A' }] }),
    ),
  ],
  [
    'another name',
    'wrong_question',
    replyBytes((packet) =>
      Object.assign(packet, { questions: [{ name: 'xm.example.test', type: 'A' }] }),
    ),
  ],
  [
    'another type',
    'wrong_question',
    replyBytes((packet) =>
      Object.assign(packet, { questions: [{ name: spelling, type: 'AAAA' }] }),
    ),
  ],
  [
    'no question',
    'wrong_question',
    replyBytes((packet) => Object.assign(packet, { questions: [] })),
  ],
  [
    'two questions',
    'malformed',
    replyBytes((packet) => {
      const one = { name: spelling, type: 'A' };
      Object.assign(packet, { questions: [one, one] });
    }),
  ],
  ['cut in the middle of a record', 'malformed', replyBytes().subarray(0, -3)],
  ['bytes after the end', 'malformed', Buffer.concat([replyBytes(), Buffer.from([0])])],
  [
    'more records than any answer has',
    'too_big',
    replyBytes((packet) => {
      const one = { name: 'a.test', type: 'A', ttl: 1, data: '192.0.2.1' };
      Object.assign(packet, { answers: Array.from({ length: 257 }, () => one) });
    }),
  ],
  ['a name that points at itself', 'looping', pointing(0)],
  ['a name that points forward', 'looping', pointing(2)],
  ['a chain of pointers', 'looping', pointerChain(20)],
];

/** The owner of the first answer is a pointer `by` bytes after itself. */
function pointing(by: number): Buffer {
  const bytes = replyBytes();
  const at = bytes.indexOf(Buffer.from([2, 0x77, 0x6d]), 20);
  bytes.writeUInt16BE(0xc000 + at + by, at);
  return bytes;
}

/** Pointers one after another, each to the one before it; the last one owns a record. */
function pointerChain(length: number): Buffer {
  const head = replyBytes((packet) => Object.assign(packet, { answers: [] }));
  head.writeUInt16BE(1, 6);
  const rdata: Buffer[] = [];
  const start = head.length + 1 + 10;
  for (let index = 0; index < length; index += 1) {
    const pointer = Buffer.alloc(2);
    pointer.writeUInt16BE(0xc000 + (index === 0 ? 12 : start + (index - 1) * 2));
    rdata.push(pointer);
  }
  const data = Buffer.concat(rdata);
  const fixed = Buffer.from([0, 0, 16, 0, 1, 0, 0, 0, 1, 0, data.length]);
  const owner = Buffer.alloc(2);
  owner.writeUInt16BE(0xc000 + start + (length - 1) * 2);
  head.writeUInt16BE(2, 6);
  const second = Buffer.concat([owner, Buffer.from([0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 192, 0, 2, 1])]);
  return Buffer.concat([head, fixed, data, second]);
}

for (const [what, kind, bytes] of forgeries) {
  test(`refused: ${what}`, () => {
    assert.equal(faultOf(bytes), kind);
  });
}
