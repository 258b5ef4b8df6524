import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareVersion, parseAgentVersion } from '../../src/wazuh/agent-version.ts';

const cases: readonly (readonly [string, string | undefined])[] = [
  ['{\n    "version": "4.14.8",\n    "stage": "rc1",\n    "commit": "0f1e2d3"\n}\n', '4.14.8'],
  ['v4.10.0\n', '4.10.0'],
  ['v4.3.11', '4.3.11'],
  ['WAZUH_VERSION="v4.14.8"\nWAZUH_REVISION="rc1"\nWAZUH_TYPE="agent"\n', '4.14.8'],
  ['DIRECTORY="/var/ossec"\nNAME="Wazuh"\nVERSION="v3.13.6"\nDATE="x"\nTYPE="agent"\n', '3.13.6'],
  ['5.0.0-beta5\n', '5.0.0'],
  ['5.0', '5.0.0'],
  ['{"version": ', undefined],
  ['', undefined],
  ['no version here', undefined],
];

for (const [text, expected] of cases) {
  test(`version of ${JSON.stringify(text.slice(0, 40))} is ${expected}`, () => {
    assert.equal(parseAgentVersion(text)?.text, expected);
  });
}

test('versions compare by number, not by text', () => {
  const version = parseAgentVersion('v4.9.2');
  assert.ok(version !== undefined);
  assert.ok(compareVersion(version, [4, 14, 0]) < 0);
  assert.ok(compareVersion(version, [4, 9, 1]) > 0);
  assert.equal(compareVersion(version, [4, 9, 2]), 0);
});
