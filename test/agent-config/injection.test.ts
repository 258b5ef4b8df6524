import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planEdit } from '../../src/agent-config/edit.ts';
import { ConfigError } from '../../src/errors.ts';

const config = Buffer.from(
  '<ossec_config>\n  <client>\n    <server>\n      <address>10.0.0.1</address>\n    </server>\n  </client>\n</ossec_config>\n',
);

test('XML injection: no wanted address becomes markup, a comment or a second element', () => {
  const hostile = [
    'x</address></server></client><localfile><command>id</command></localfile>',
    '10.0.0.2</address><port>1</port><address>10.0.0.3',
    '<!-- 10.0.0.2',
    '10.0.0.2 !>',
    '10.0.0.2\\',
    '10.0.0.2\n<server>',
    '10.0.0.2&lt;',
    '10.0.0.2\u0000',
  ];
  for (const address of hostile) {
    const wish = { servers: [{ address, port: 1514, protocol: 'tcp' as const }] };
    assert.throws(
      () => planEdit(config, '4', wish),
      (thrown) => thrown instanceof ConfigError && thrown.message.includes('servers[0].address'),
      JSON.stringify(address),
    );
  }
});
