/** Keys, their changes, the record, the verdict, the rehearsal, the node type: values in, values out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { digestOf, keysFacts, strayKeys } from '../../src/promotion/client-keys.ts';
import { judgeFreshness, judgePromotion, type Situation } from '../../src/promotion/judge.ts';
import {
  addStep,
  completeKeys,
  hasGrownFrom,
  type KeysStep,
} from '../../src/promotion/keys-steps.ts';
import { encodeRecord, parseRecord, type RoleRecord } from '../../src/promotion/record.ts';
import { type RehearsalFacts, rehearse } from '../../src/promotion/rehearse.ts';
import { withNodeType } from '../../src/wazuh/manager-node-type.ts';
import { openSeal } from './world.ts';

const line = (id: string, name: string): string => `${id} ${name} any ${name}secret\n`;
const a = line('001', 'a');
const b = line('002', 'b');
const bytes = (text: string): Buffer => Buffer.from(text);

test('facts of client.keys: the living count, every id counts for the greatest', () => {
  const text = `# comment\n${a}004 !gone any x\nnonsense\n${b}`;
  const { count, greatestId, digest } = keysFacts(bytes(text));
  assert.deepEqual({ count, greatestId }, { count: 2, greatestId: 4 });
  assert.equal(digest, digestOf(bytes(text)));
});

test('stray keys: an id that is missing, one that another agent has, one that was removed only here', () => {
  const mine = bytes(
    `${a}${line('002', 'x')}${line('003', 'y')}004 !d any dsecret\n005 !e any x\n`,
  );
  const theirs = bytes(`${a}${b}${line('004', 'd')}`);
  const found = strayKeys(mine, theirs).map(({ id, name, kind }) => `${id} ${name} ${kind}`);
  assert.deepEqual(found, ['002 x other', '003 y missing', '004 d removed']);
  assert.deepEqual(strayKeys(bytes(a), bytes('001 !a any asecret\n')), []); // the newer word
  assert.deepEqual(strayKeys(theirs, theirs), []);
});

test('whoever has any content of the chain makes the newest one of it, and never another', () => {
  const change = fc.record({
    at: fc.nat(3),
    drop: fc.nat(2),
    name: fc.stringMatching(/^[a-z]{1,9}$/),
  });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 12 }), fc.nat(12), (changes, from) => {
      const contents = [''];
      for (const { at, drop, name } of changes) {
        const lines = (contents.at(-1) ?? '').split(/(?<=\n)/).filter((one) => one !== '');
        lines.splice(at, drop, line('001', name));
        contents.push(lines.join(''));
      }
      let steps: readonly KeysStep[] = [];
      for (let index = 1; index < contents.length; index += 1) {
        const [before, after] = [bytes(contents[index - 1] ?? ''), bytes(contents[index] ?? '')];
        if (!before.equals(after)) steps = addStep(steps, before, after, openSeal);
      }
      const newest = bytes(contents.at(-1) ?? '');
      const start = bytes(contents[Math.min(from, contents.length - 1)] ?? '');
      const made = completeKeys(start, steps, digestOf(newest), openSeal);
      return made?.equals(newest) === true;
    }),
  );
});

test('steps that are forged, foreign or too large lead nowhere', () => {
  const steps = addStep([], bytes(a), bytes(a + b), openSeal);
  const wanted = digestOf(bytes(a + b));
  assert.equal(completeKeys(bytes(b), steps, wanted, openSeal), undefined);
  const forged = steps.map((step) => ({ ...step, sealed: openSeal.seal(bytes(line('002', 'x'))) }));
  assert.equal(completeKeys(bytes(a), forged, wanted, openSeal), undefined);
  const loop = [{ ...steps[0], from: digestOf(bytes(a)), to: digestOf(bytes(a)), at: 0, drop: 0 }];
  const looping = loop.map((step) => ({ ...step, sealed: openSeal.seal(bytes('')) }));
  assert.equal(completeKeys(bytes(a), looping, wanted, openSeal), undefined);
  assert.deepEqual(addStep(steps, bytes(''), Buffer.alloc(200_000, 'x'), openSeal), []);
  let many: readonly KeysStep[] = [];
  for (let turn = 0; turn < 200; turn += 1) {
    many = addStep(many, bytes(`${turn}`), Buffer.alloc(9_000, `${turn} `), openSeal);
  }
  assert.ok(many.length < 64 && many.reduce((sum, one) => sum + one.sealed.length, 0) < 200_000);
});

test('a file that only grew since is told from one that was changed', () => {
  assert.equal(hasGrownFrom(bytes(a + b), digestOf(bytes(a))), true);
  assert.equal(hasGrownFrom(bytes(a), digestOf(bytes(''))), true);
  assert.equal(hasGrownFrom(bytes(b + a), digestOf(bytes(a))), false);
});

function recordOf(text: string, change: Partial<RoleRecord> = {}): RoleRecord {
  const keys = { ...keysFacts(bytes(text)), generation: 3, steps: [] };
  return {
    ...{ node: 'm', address: 'm.example.org', port: 1516, token: 7, sinceAtMs: 0, movedAtMs: 0 },
    ...{ keys, workers: [], ...change },
  };
}

test('a record is read back as it was written; anything else is none', () => {
  const record = recordOf(a);
  assert.deepEqual(parseRecord(encodeRecord(record)), record);
  const bad = [{ node: 'a b' }, { address: 'x y' }, { port: 0 }, { token: -1 }];
  for (const change of bad) {
    assert.equal(parseRecord(encodeRecord(recordOf(a, change as object))), undefined);
  }
  assert.equal(parseRecord(bytes('{')), undefined);
  assert.equal(parseRecord(Buffer.alloc(600_000, ' ')), undefined);
});

const nowMs = 1e9;
const situation: Situation = {
  ...{ mode: 'automatic', node: 'w', isCandidate: true, isConfiguredMaster: false },
  ...{ holder: undefined, record: recordOf(a), isRecordUnknown: false, ownToken: 0 },
  ...{ freshness: { kind: 'fresh' }, order: undefined, pausedFor: undefined, fault: undefined },
  ...{ nowMs, minIntervalMs: 600_000, pauseMs: 5_000 },
};
const behind = { kind: 'behind', why: 'old', hasGreatestId: false } as const;
const own = { record: recordOf(a, { node: 'w' }), ownToken: 7 };
const recent = recordOf(a, { movedAtMs: nowMs - 1_000 });
const verdicts: readonly (readonly [string, Partial<Situation>, string])[] = [
  ['the master is gone', {}, 'take 5000'],
  ['it is there', { holder: 'm' }, 'wait m has the role'],
  ['no candidate', { isCandidate: false }, 'final this node is no candidate'],
  ['manual, no order', { mode: 'manual' }, 'wait m is gone'],
  ['manual, ordered', { mode: 'manual', order: { force: false } }, 'take 5000'],
  ['too soon', { record: recent }, 'wait the role moved 1 s ago'],
  ['too soon, ordered', { record: recent, order: { force: false } }, 'take 5000'],
  ['behind', { freshness: behind }, 'final old: promote a node that has them'],
  ['behind, ordered', { freshness: behind, order: { force: false } }, 'final old'],
  ['behind, forced', { freshness: behind, order: { force: true } }, 'take 5000'],
  ['a hook is missing', { fault: 'no authd' }, 'final no authd'],
  ['it failed before', { pausedFor: 'failed' }, 'wait failed'],
  ['first, configured', { record: undefined, isConfiguredMaster: true }, 'take 0'],
  ['first, another', { record: undefined }, 'final no master was ever recorded'],
  ['its own again', own, 'take 0'],
  ['its own, memory lost', { ...own, ownToken: 0 }, 'take 5000'],
  ['its own, put back', { ...own, freshness: behind }, 'final old'],
  ['its own, edited', { ...own, freshness: { ...behind, hasGreatestId: true } }, 'take 0'],
  ['a record of the future', { isRecordUnknown: true }, 'final the record in the engine'],
];
for (const [name, change, expected] of verdicts) {
  test(`may it have the role? ${name}: ${expected}`, () => {
    const verdict = judgePromotion({ ...situation, ...change });
    const told =
      verdict.kind === 'take'
        ? `take ${verdict.pauseMs}`
        : `${verdict.isFinal ? 'final' : 'wait'} ${verdict.why}`;
    assert.equal(told.slice(0, expected.length), expected);
  });
}

test('freshness: the same, grown, to be made whole, behind; another seal proves nothing', () => {
  const steps = [...addStep([], bytes(a), bytes(a + b), openSeal)];
  const base = recordOf(a + b);
  const record = { ...base, keys: { ...base.keys, steps } };
  const kindOf = (text: string, seal = openSeal): string =>
    judgeFreshness(bytes(text), keysFacts(bytes(text)), record, seal).kind;
  assert.equal(kindOf(a + b), 'fresh');
  assert.equal(kindOf(a + b + line('003', 'c')), 'fresh');
  assert.equal(kindOf(a), 'completable');
  assert.equal(kindOf(b), 'behind');
  const foreign = {
    seal: openSeal.seal,
    open: (): Buffer => {
      throw new Error('another key');
    },
  };
  assert.equal(kindOf(a, foreign), 'behind');
});

const facts: RehearsalFacts = {
  settings: {
    ...{ mode: 'automatic', node: 'w', isCandidate: true, isConfiguredMaster: false },
    ...{ address: 'w.example.org', port: 1516, pauseMs: 5_000, minIntervalMs: 600_000 },
  },
  ...{ ttlMs: 15_000, ownToken: 0, freshness: { kind: 'fresh' }, hookTimeoutMs: 8_000 },
  engine: {
    ...{ kind: 'answered', tookMs: 2, holder: 'm', isRecordUnknown: false },
    record: recordOf(a, {
      workers: [
        { name: 'w', follows: true },
        { name: 'v', follows: true },
        { name: 's', follows: false },
      ],
    }),
  },
  status: {
    ...{ writtenAtMs: 0, node: 'w', mode: 'automatic', isCandidate: true, role: 'worker' },
    ...{ ownToken: 0, greatestToken: 7, keys: '', why: '', hookTrouble: [], strays: [] },
  },
  hooks: [{ when: 'start', argv: ['/sbin/authd'], fault: undefined }],
  ...{ hasFirewall: false, portFault: undefined, typeFault: undefined, nowMs },
};

test('a rehearsal names every step, who follows, who stays, and what nobody tried', () => {
  const { wouldSucceed, steps, roleWithinMs } = rehearse(facts);
  assert.equal(wouldSucceed, true);
  assert.ok(roleWithinMs < 30_000);
  const told = Object.fromEntries(steps.map(({ step, result, text }) => [step, [result, text]]));
  assert.deepEqual(told['workers that follow'], ['note', 'v']);
  assert.match(told['workers that stay']?.[1] ?? '', /^s: stock/);
  assert.equal(told['layer: firewall']?.[0], 'not run');
  assert.equal(told['layer: watchdog']?.[0], 'not run');
});

const faults: readonly (readonly [string, Partial<RehearsalFacts>])[] = [
  ['this node runs', { status: undefined }],
  ['engine has a majority', { engine: { kind: 'failed', why: 'E051' } }],
  ['client.keys is fresh', { freshness: behind }],
  ['this node may take it', { settings: { ...facts.settings, isCandidate: false } }],
  ['the cluster port is free', { portFault: 'EADDRINUSE' }],
  ['<node_type> is written', { typeFault: 'read-only' }],
  ['hook stop', { hooks: [{ when: 'stop', argv: ['x'], fault: 'x: not found' }] }],
];
for (const [step, change] of faults) {
  test(`a rehearsal fails at: ${step}`, () => {
    const { wouldSucceed, steps } = rehearse({ ...facts, ...change });
    assert.equal(wouldSucceed, false);
    assert.equal(steps.find((one) => one.step === step)?.result, 'failed');
  });
}

test('the node type is changed by one splice, in the block that counts, or not at all', () => {
  const block = (type: string): string =>
    `<ossec_config>\n  <cluster>\n    <!-- <node_type>x</node_type> -->\n    <node_type>${type}</node_type>\n    <key>k</key>\n  </cluster>\n</ossec_config>\n`;
  const two = (type: string): string => `${block('worker')}<!-- a -- b -->${block(type)}`;
  assert.equal(withNodeType(block('worker'), 'master'), block('master'));
  assert.equal(withNodeType(block('master'), 'master'), block('master'));
  assert.equal(withNodeType(two('worker'), 'master'), two('master'));
  assert.equal(withNodeType('<ossec_config></ossec_config>', 'master'), undefined);
  const none = '<ossec_config><cluster><key>k</key></cluster></ossec_config>';
  assert.equal(withNodeType(none, 'worker'), undefined);
});
