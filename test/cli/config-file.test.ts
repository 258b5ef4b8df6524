import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as z from 'zod';
import { duration, listKeys, parseConfig, renderReference } from '../../src/cli/config-file.ts';
import { ConfigError } from '../../src/errors.ts';

const schema = z.strictObject({
  agent: z
    .strictObject({ home: z.string().default('/var/ossec').describe('agent home') })
    .prefault({}),
  probe: z
    .strictObject({
      interval: duration('1s', { min: '100ms', max: '1h' }, 'time between probes'),
      rise: z.number().int().min(1).max(100).default(3).describe('good probes until up'),
    })
    .prefault({}),
});

const failureOf = (text: string): ConfigError => {
  try {
    parseConfig(schema, text, 'p.yml');
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown;
    throw thrown;
  }
  throw new assert.AssertionError({ message: `accepted: ${text}` });
};

test('an empty file gives every default', () => {
  assert.deepEqual(parseConfig(schema, '', 'p.yml'), {
    agent: { home: '/var/ossec' },
    probe: { interval: 1_000, rise: 3 },
  });
});

test('an unknown key names its line and the nearest known key', () => {
  const error = failureOf('agent:\n  home: /x\nprobe:\n  intervall: 2s\n');
  assert.equal(error.reason, 'config_invalid');
  assert.match(
    error.message,
    /p\.yml:4: unknown key "probe\.intervall" \(did you mean probe\.interval\?\)/,
  );
});

test('a wrong value names file, line and key', () => {
  assert.match(failureOf('probe:\n  rise: 0\n').message, /p\.yml:2: probe\.rise:/);
  assert.match(failureOf('probe:\n  interval: 5\n').message, /p\.yml:2: probe\.interval:/);
  assert.match(failureOf('probe:\n  interval: 2h\n').message, /between 100ms and 1h/);
});

test('broken YAML, duplicate keys and huge files are configuration errors', () => {
  for (const text of ['a: [', 'probe: {}\nprobe: {}\n', `# ${'x'.repeat(300_000)}`]) {
    assert.equal(failureOf(text).reason, 'config_invalid');
  }
});

test('the reference shows every key with type, default and meaning', () => {
  assert.deepEqual(
    listKeys(schema).map((key) => key.key),
    ['agent.home', 'probe.interval', 'probe.rise'],
  );
  const text = renderReference(schema);
  assert.match(text, /probe\.interval {2}\(duration 100ms\.\.1h; default "1s"\)/);
  assert.match(text, /good probes until up/);
});
