import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type CommandName,
  commands,
  decodePayload,
  encodePayload,
  type Payload,
} from '../../../src/cluster/wire/command.ts';
import { fault, faultText } from '../../../src/cluster/wire/fault.ts';
import { PayloadError } from '../../../src/cluster/wire/payload.ts';
import { pythonBytes } from '../../../src/cluster/wire/payload-text.ts';
import { parsePlainJson } from '../../../src/cluster/wire/plain-json.ts';
import { pythonJson } from '../../../src/cluster/wire/python-json.ts';
import { decodeCallResult, encodeCallResult } from '../../../src/cluster/wire/result-json.ts';
import { decodeFault, encodeFault } from '../../../src/cluster/wire/wazuh-json.ts';

const word = fc.stringMatching(/^[A-Za-z0-9_./-]{1,40}$/);
const bytes = fc.uint8Array({ maxLength: 200 });
const anyFault = fc
  .constantFrom(1000, 1730, 3027, 3039, 4000)
  .chain((code) =>
    fc.option(fc.string({ minLength: 1 })).map((extra) => fault(code, extra ?? undefined)),
  );

/** A value of each form, by command. */
const samples: { readonly [Name in CommandName]?: fc.Arbitrary<Payload<Name>> } = {
  echo: bytes,
  reserveString: fc.nat(),
  appendString: fc.record({ stringId: word, bytes }),
  openFile: word,
  appendFile: fc.record({ path: word, bytes }),
  endFile: fc.record({ path: word, digest: fc.uint8Array({ minLength: 32, maxLength: 32 }) }),
  cancelTask: fc.record({ taskId: fc.oneof(word, fc.constant(undefined)), fault: anyFault }),
  hello: fc.record({ node: word, cluster: word, type: word, version: word }),
  integritySent: fc.record({ taskId: word, path: word }),
  agentInfoReady: word,
  groupsStored: fc.record({
    updatedChunks: fc.nat(),
    errorMessages: fc.array(fc.string()),
    timeSpentS: fc.double({ min: 0, max: 1e6, noNaN: true }),
  }),
  call: fc.record({ id: word, body: bytes }),
  callResult: fc.record({ id: word, stringId: word }),
  callFailed: fc.record({ id: word, text: fc.string() }),
  groupsFailed: fc.string(),
};

for (const [name, arbitrary] of Object.entries(samples)) {
  test(`decode after encode is identity: ${name}`, () => {
    const command = name as CommandName;
    fc.assert(
      fc.property(arbitrary as fc.Arbitrary<Payload<CommandName>>, (value) => {
        const decoded = decodePayload(command, encodePayload(command, value));
        assert.deepEqual(plain(decoded), plain(value));
      }),
      { seed: 24, numRuns: 100 },
    );
  });
}

/** Buffers and arrays of bytes compare by content. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]));
}

test('no body of any command throws anything but a PayloadError', () => {
  fc.assert(
    fc.property(fc.constantFrom(...Object.keys(commands)), bytes, (name, body) => {
      try {
        decodePayload(name as CommandName, Buffer.from(body));
      } catch (error) {
        assert.ok(error instanceof PayloadError);
      }
    }),
    { seed: 25, numRuns: 2000 },
  );
});

test('a refused hello is written as the recorded one (12)', () => {
  assert.equal(
    encodeFault(fault(3030)).toString(),
    '{"__wazuh_exception__": {"__class__": "WazuhClusterError", "__object__": {"type": "about:blank", "title": "Wazuh Cluster Error", "code": 3030, "extra_message": null, "extra_remediation": null, "cmd_error": false, "dapi_errors": {}}}}',
  );
});

test('faults read as stock logs print them', () => {
  assert.equal(faultText(fault(3030)), 'Error 3030 - Worker does not belong to the same cluster');
  assert.equal(faultText(fault(3027, 'x')), 'Error 3027 - Unknown received task name: x');
  assert.equal(faultText(decodeFault(Buffer.from('boom'))), 'Error 3000 - Cluster: boom');
  const notReady = { node_name: 'w', not_ready_daemons: 'wazuh-db->failed' };
  const text = faultText({ class: 'WazuhInternalError', code: 1017, extra: notReady });
  assert.match(text, /^Error 1017 - .* in node "w" \(wazuh-db->failed\)$/);
  const full = {
    class: 'WazuhError',
    code: 9999,
    extra: 'all of it',
    isCommandError: true,
  } as const;
  assert.equal(faultText(full), 'Error 9999 - all of it');
});

test('decode after encode is identity: faults of every class', () => {
  const nodes = { m: { error: 'bad', logfile: 'WAZUH_HOME/logs/cluster.log' }, w: { error: 'x' } };
  for (const name of [
    'WazuhException',
    'WazuhInternalError',
    'WazuhError',
    'WazuhNotAcceptable',
  ] as const) {
    const value = { class: name, code: 1000, extra: 'ü\n"', remediation: 'r', nodes };
    assert.deepEqual(decodeFault(encodeFault(value)), value);
  }
});

test('results are written as stock writes them and read back as plain values', () => {
  const items = {
    kind: 'items',
    items: [{ id: '001' }],
    totalItems: 1,
    sortFields: null,
    sortCasting: ['int'],
    sortAscending: [true],
    failed: [{ fault: fault(1730), ids: ['002'] }],
    messages: { all: 'ok', some: 's', none: 'n' },
  } as const;
  assert.equal(
    encodeCallResult(items).toString(),
    '{"__wazuh_result__": {"__class__": "AffectedItemsWazuhResult", "__object__": {"affected_items": [{"id": "001"}], "sort_fields": null, "sort_casting": ["int"], "sort_ascending": [true], "total_affected_items": 1, "total_failed_items": 1, "dikt": {}, "all_msg": "ok", "some_msg": "s", "none_msg": "n", "failed_items_keys": [{"__object__": {"type": "about:blank", "title": "Resource Not Found", "code": 1730, "extra_message": null, "extra_remediation": null, "cmd_error": false, "dapi_errors": {}, "ids": []}, "__class__": "WazuhResourceNotFound"}], "failed_items_values": [["002"]]}}}',
  );
  assert.deepEqual(decodeCallResult(encodeCallResult(items)), items);
  const document = { kind: 'document', document: { data: { x: 1 } } } as const;
  assert.equal(
    encodeCallResult(document).toString(),
    '{"__wazuh_result__": {"__class__": "WazuhResult", "__object__": {"str_priority": null, "result": {"data": {"x": 1}}}}}',
  );
  assert.deepEqual(decodeCallResult(encodeCallResult(document)), document);
  assert.deepEqual(decodeCallResult(encodeFault(fault(3022))), {
    kind: 'fault',
    fault: fault(3022),
  });
});

test('JSON is spelled as Python spells it', () => {
  const value = { a: [1, 2.5, -0, 1e-5, 1.5e22, true, null], 'é\u007f': '\u2028"\\\n😀' };
  assert.equal(
    pythonJson(value),
    '{"a": [1, 2.5, 0, 1e-05, 1.5e+22, true, null], "\\u00e9\\u007f": "\\u2028\\"\\\\\\n\\ud83d\\ude00"}',
  );
});

test('JSON of any shape survives writing and reading', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const value = JSON.parse(text);
      const again = JSON.parse(pythonJson(value));
      assert.deepEqual(again, JSON.parse(JSON.stringify(value)));
    }),
    { seed: 26, numRuns: 300 },
  );
});

test('deep nesting is refused, not followed', () => {
  assert.throws(() => parsePlainJson(Buffer.from('['.repeat(200) + ']'.repeat(200))), PayloadError);
  assert.throws(() => parsePlainJson(Buffer.from('['.repeat(2_000_000))), PayloadError);
});

test('bytes in texts look as Python prints them, and are short', () => {
  assert.equal(pythonBytes(Buffer.from("a'b\n\xff\\", 'latin1')), `b"a'b\\n\\xff\\\\"`);
  assert.equal(pythonBytes(Buffer.from('nonsense')), "b'nonsense'");
  assert.ok(pythonBytes(Buffer.alloc(100_000, 255)).length < 300);
});
