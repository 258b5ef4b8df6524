/**
 * An independent reader of what we write: where the agent's dialect and XML agree, an XML parser
 * must find the same servers in the same order. It never writes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { planEdit, type WantedServer } from '../../src/agent-config/edit.ts';
import { isJsonObject } from '../../src/guards.ts';

const parser = new XMLParser({
  ignoreAttributes: false,
  parseTagValue: false,
  isArray: (name) => name === 'client' || name === 'server',
});

const host = fc.constantFrom('10.0.0.1', '10.0.0.2', 'wm-1.example.org', 'wm-2.example.org', '::1');
const server: fc.Arbitrary<WantedServer> = fc.record({
  address: host,
  port: fc.integer({ min: 1, max: 65_535 }),
  protocol: fc.constantFrom<'tcp' | 'udp'>('tcp', 'udp'),
});
const servers = fc.uniqueArray(server, {
  minLength: 1,
  maxLength: 6,
  selector: ({ address, port, protocol }) => `${address} ${port} ${protocol}`,
});

function toConfig(list: readonly WantedServer[], eol: string, comment: boolean): string {
  const entries = list.map(
    ({ address, port, protocol }) =>
      `    <server>${eol}      <address>${address}</address>${eol}      <port>${port}</port>${eol}      <protocol>${protocol}</protocol>${eol}    </server>${eol}`,
  );
  const between = comment ? `    <!-- next -->${eol}` : '';
  return `<ossec_config>${eol}  <client>${eol}${entries.join(between)}    <notify_time>20</notify_time>${eol}  </client>${eol}</ossec_config>${eol}`;
}

function serversInXml(text: string): unknown {
  const document: unknown = parser.parse(text);
  assert.ok(isJsonObject(document) && isJsonObject(document.ossec_config));
  const { client } = document.ossec_config;
  assert.ok(Array.isArray(client));
  return client.flatMap((section) => (isJsonObject(section) ? section.server : []));
}

test('an XML parser finds the wanted servers in what we wrote', () => {
  const given = fc.tuple(servers, servers, fc.constantFrom('\n', '\r\n'), fc.boolean());
  fc.assert(
    fc.property(given, ([present, wanted, eol, comment]) => {
      const before = toConfig(present, eol, comment);
      const plan = planEdit(Buffer.from(before), '4', { servers: wanted });
      const after = plan.kind === 'unchanged' ? before : plan.bytes.toString();
      assert.equal(XMLValidator.validate(after), true);
      assert.deepEqual(
        serversInXml(after),
        wanted.map(({ address, port, protocol }) => ({ address, port: String(port), protocol })),
      );
      assert.ok(eol === '\n' || !/[^\r]\n/.test(after), 'the end of line changed');
    }),
    { seed: 7, numRuns: 300 },
  );
});
