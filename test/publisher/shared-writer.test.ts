/** Several publishers, one store: versions go on where the last writer ended, whatever ended it. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { HostError, PilotfishError, type ReasonName } from '../../src/errors.ts';
import type { LeaseEngine, Look, Written } from '../../src/leader/engine.ts';
import { signDocument } from '../../src/list/sign.ts';
import type { History, PublishedList } from '../../src/publisher/history.ts';
import { drainOrder, publishConfigured, resignOrder } from '../../src/publisher/orders.ts';
import { publish } from '../../src/publisher/publish.ts';
import { markNewest, markRollout } from '../../src/publisher/rollout/mark.ts';
import type { RolloutRecord } from '../../src/publisher/rollout/record.ts';
import { encodeRecord } from '../../src/publisher/shared-state.ts';
import { SharedWriter } from '../../src/publisher/shared-writer.ts';
import { configuredOf, listKey, openDesk, rootKey, type TestDesk } from './fixture.ts';

const three = configuredOf('a', 'b', 'c');

/** One state and one seat, as etcd keeps them. */
class Store {
  token = 0;
  revision = 0;
  bytes: Uint8Array | undefined;
  /** Who asks; nobody renews here. */
  engine(): LeaseEngine {
    return {
      ttlMs: 15_000,
      take: async () => ({ kind: 'taken', token: this.token }),
      renew: async () => 'renewed',
      leave: async () => undefined,
      look: async (known) => this.look(known),
      write: async (token, known, bytes) => this.write(token, known, bytes),
    };
  }
  look(known: number): Look {
    const holder = { name: `p${this.token}`, url: 'https://p.example.org', token: this.token };
    const { revision, bytes } = this;
    const isNews = revision !== known && bytes !== undefined;
    return { holder, revision, ...(isNews ? { state: { revision, bytes } } : {}) };
  }
  write(token: number, known: number, bytes: Uint8Array): Written {
    if (token !== this.token) return { kind: 'fenced', holder: this.look(0).holder };
    if (known !== this.revision) return { kind: 'raced' };
    this.put(bytes);
    return { kind: 'written', revision: this.revision };
  }
  put(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.revision += 7;
  }
}

interface Publisher {
  readonly desk: TestDesk & { readonly writer: SharedWriter };
  readonly history: History;
  /** The token it believes in. */
  token: number;
  /** The disk of its history. */
  isFull: boolean;
  look(): Promise<void>;
}

/** A command looks before it writes; a publisher that runs has looked. */
async function publisherAt(t: TestContext, store: Store, isCommand = false): Promise<Publisher> {
  const bare = await openDesk(t);
  const history = fillable(bare.history, () => publisher.isFull);
  const engine = store.engine();
  const writer = new SharedWriter({
    ...{ engine, history, clock: bare.clock, listKey },
    root: () => bare.root,
    async seat() {
      if (isCommand) await publisher.look();
      return publisher.token;
    },
  });
  const publisher: Publisher = {
    ...{ desk: { ...bare, history, writer }, history, token: 0, isFull: false },
    look: async () => writer.follow(await engine.look(writer.knownRevision())),
  };
  return publisher;
}

/** The same history on a disk that may be full. */
function fillable(history: History, isFull: () => boolean): History {
  const needSpace = (): void => {
    if (isFull()) throw new HostError('store_failed', 'database or disk is full');
  };
  return {
    ...history,
    append(...words) {
      needSpace();
      return history.append(...words);
    },
    adopt(...words) {
      needSpace();
      history.adopt(...words);
    },
  };
}

function seatAt(store: Store, publisher: Publisher): void {
  store.token += 10;
  publisher.token = store.token;
}

const placeOf = (entry: PublishedList | undefined) =>
  entry && [entry.epoch, entry.term, entry.version];
const reasonOf = (reason: ReasonName) => (thrown: unknown) =>
  thrown instanceof PilotfishError && thrown.reason === reason;

test('the next writer goes on after the newest version, under a new term', async (t) => {
  const store = new Store();
  const [a, b] = [await publisherAt(t, store), await publisherAt(t, store)];
  seatAt(store, a);
  await publish(a.desk, publishConfigured(three));
  await publish(a.desk, drainOrder(three, 'a'));
  await b.look();
  assert.deepEqual(b.history.newest(), a.history.newest());
  seatAt(store, b);
  await publish(b.desk, drainOrder(three, 'b'));
  await publish(b.desk, resignOrder(three));
  assert.deepEqual(placeOf(b.history.newest()), [1, 2, 4]);
  assert.deepEqual(b.history.newest()?.content.drained, ['a', 'b']);
  await a.look();
  assert.deepEqual(a.history.newest(), b.history.newest());
  assert.equal(a.history.find(3), undefined); // it came between two looks
});

test('a writer that lost its seat writes nothing, keeps nothing, and names who has it', async (t) => {
  const store = new Store();
  const [a, b] = [await publisherAt(t, store), await publisherAt(t, store)];
  seatAt(store, a);
  await publish(a.desk, publishConfigured(three));
  await b.look();
  seatAt(store, b);
  await assert.rejects(publish(a.desk, drainOrder(three, 'a')), (thrown: unknown) => {
    assert.ok(reasonOf('not_leader')(thrown));
    assert.match(String(thrown), /p20 \(https:\/\/p\.example\.org\) leads/);
    return true;
  });
  assert.deepEqual(placeOf(a.history.newest()), [1, 1, 1]);
  await publish(b.desk, drainOrder(three, 'b'));
  await a.look();
  assert.deepEqual(placeOf(a.history.newest()), [1, 2, 2]);
});

test('a command beside the publisher wrote first: the order is met with what it left', async (t) => {
  const store = new Store();
  const [daemon, command] = [await publisherAt(t, store), await publisherAt(t, store, true)];
  seatAt(store, daemon);
  command.token = daemon.token;
  await publish(daemon.desk, publishConfigured(three));
  await publish(command.desk, drainOrder(three, 'a'));
  const { kind, entry } = await publish(daemon.desk, drainOrder(three, 'b'));
  assert.equal(kind, 'published');
  assert.deepEqual(placeOf(entry), [1, 1, 3]);
  assert.deepEqual(entry.content.drained, ['a', 'b']);
});

test('an end between the store and the history is repaired by the next look', async (t) => {
  const store = new Store();
  const a = await publisherAt(t, store);
  seatAt(store, a);
  await publish(a.desk, publishConfigured(three));
  const lost = a.history.newest();
  const b = await publisherAt(t, store);
  await b.look();
  assert.deepEqual(b.history.newest(), lost); // as `a` itself would after its restart
});

test('a disk that is full for a moment makes no second list of one number', async (t) => {
  const store = new Store();
  const [a, b] = [await publisherAt(t, store), await publisherAt(t, store)];
  seatAt(store, a);
  await publish(a.desk, publishConfigured(three));
  a.isFull = true;
  await assert.rejects(publish(a.desk, drainOrder(three, 'a')), reasonOf('store_failed'));
  await b.look(); // and serves version 2 from here on
  const second = b.history.newest();
  a.isFull = false;
  await a.look();
  await publish(a.desk, drainOrder(three, 'b'));
  assert.deepEqual(a.history.find(2), second);
  await b.look();
  assert.deepEqual(placeOf(b.history.newest()), [1, 1, 3]);
  assert.deepEqual(b.history.newest()?.content.drained, ['a', 'b']);
});

test('what came from the store while a list was being signed is not written over', async (t) => {
  const store = new Store();
  const [daemon, command] = [await publisherAt(t, store), await publisherAt(t, store, true)];
  seatAt(store, daemon);
  command.token = daemon.token;
  const { entry: first } = await publish(daemon.desk, publishConfigured(three));
  const { entry: drained } = await publish(command.desk, drainOrder(three, 'a'));
  await daemon.look();
  const late = { ...drained, hash: 'sha256:late', content: first.content };
  assert.equal(await daemon.desk.writer.append(late, first), false);
  await publish(daemon.desk, resignOrder(three));
  assert.equal(daemon.history.find(2)?.hash, drained.hash);
  assert.deepEqual(placeOf(daemon.history.newest()), [1, 1, 3]);
  assert.deepEqual(daemon.history.newest()?.content.drained, ['a']);
});

test('what only this publisher has is handed on once, and stays in its term until the next version', async (t) => {
  const store = new Store();
  const [a, b] = [await publisherAt(t, store), await publisherAt(t, store)];
  const { writer: _, ...alone } = a.desk;
  await publish(alone, publishConfigured(three));
  seatAt(store, a);
  await a.look();
  await a.desk.writer.seed();
  const { revision } = store;
  await a.desk.writer.seed();
  assert.equal(store.revision, revision);
  await b.look();
  assert.deepEqual(placeOf(b.history.newest()), [1, 1, 1]);
  await publish(a.desk, resignOrder(three));
  assert.deepEqual(placeOf(a.history.newest()), [1, 2, 2]);
});

test('a higher term outranks more versions of a lost one', async (t) => {
  const store = new Store();
  const [a, b] = [await publisherAt(t, store), await publisherAt(t, store)];
  seatAt(store, a);
  await publish(a.desk, publishConfigured(three));
  await b.look();
  const { writer: _, ...cutOff } = b.desk;
  for (let round = 0; round < 3; round += 1) await publish(cutOff, resignOrder(three));
  assert.deepEqual(placeOf(b.history.newest()), [1, 1, 4]);
  seatAt(store, a);
  await publish(a.desk, drainOrder(three, 'a'));
  await b.look();
  assert.deepEqual(placeOf(b.history.newest()), [1, 2, 2]);
  assert.deepEqual(b.history.newest(), a.history.newest());
});

test('a store that lost writes is given the newer version back', async (t) => {
  const store = new Store();
  const a = await publisherAt(t, store);
  seatAt(store, a);
  await publish(a.desk, publishConfigured(three));
  const backup = store.bytes;
  await publish(a.desk, drainOrder(three, 'a'));
  store.put(backup ?? new Uint8Array());
  seatAt(store, a);
  await a.look();
  assert.deepEqual(placeOf(a.history.newest()), [1, 1, 2]);
  await a.desk.writer.seed();
  const b = await publisherAt(t, store);
  await b.look();
  assert.deepEqual(placeOf(b.history.newest()), [1, 1, 2]);
});

test('what no list key has signed is refused, and nothing here changes', async (t) => {
  const store = new Store();
  const [a, b] = [await publisherAt(t, store), await publisherAt(t, store)];
  seatAt(store, a);
  await publish(a.desk, publishConfigured(three));
  await b.look();
  await publish(a.desk, drainOrder(three, 'a'));
  const newest = a.history.newest();
  assert.ok(newest);
  const forged = {
    token: 0,
    newest: { ...newest, content: { ...newest.content, drained: ['c'] } },
  };
  const otherOrg = encodeRecord({ token: 0, newest }, 'other', listKey);
  const hostile: readonly (readonly [ReasonName, Uint8Array])[] = [
    ['shared_state', Buffer.from('x')],
    ['shared_state', gzipSync(Buffer.alloc(64 * 1024 * 1024))],
    ['envelope_syntax', gzipSync(Buffer.from('{}'))],
    ['shared_state', encodeRecord(forged, 'acme', rootKey)],
    ['shared_state', otherOrg],
    ['wrong_type', gzipSync(newest.envelope)],
    ['wrong_type', gzipSync(signDocument('receipt', Buffer.from('{}'), [listKey]))],
    [
      'shared_state',
      encodeRecord({ token: 0, newest: { ...newest, version: 9 } }, 'acme', listKey),
    ],
  ];
  for (const [reason, bytes] of hostile) {
    store.put(bytes);
    await assert.rejects(b.look(), reasonOf(reason), reason);
    assert.deepEqual(placeOf(b.history.newest()), [1, 1, 1]);
  }
});

test('two lists with one number are an alarm, not a choice', async (t) => {
  const store = new Store();
  const [a, b] = [await publisherAt(t, store), await publisherAt(t, store)];
  seatAt(store, a);
  await publish(a.desk, publishConfigured(three));
  const { writer: _, ...alone } = b.desk;
  await publish(alone, publishConfigured(configuredOf('a', 'b')));
  await assert.rejects(b.look(), reasonOf('equivocation'));
});

test('the word of an operator and the version to go back to travel with a rollout', async (t) => {
  const store = new Store();
  const [a, b] = [await publisherAt(t, store), await publisherAt(t, store)];
  seatAt(store, a);
  const { entry } = await publish(a.desk, publishConfigured(three));
  await publish(a.desk, {
    ...{ reason: 'rollout', detail: '', evenIfSame: true },
    want: (newest) => ({ ...(newest ?? entry), rollout: recordOf() }),
  });
  const facts = { kind: 'paused', who: 'eve', why: 'lunch', atMs: 1 } as const;
  const command = await publisherAt(t, store, true);
  command.token = a.token;
  await markRollout(command.desk, { ...markNewest(a.history, facts), who: 'bob' });
  await a.look();
  assert.equal(a.history.markOf('r1')?.who, 'bob');
  await markRollout(a.desk, markNewest(a.history, facts));
  await b.look();
  assert.deepEqual(b.history.markOf('r1'), { ...facts, id: 'r1' });
  assert.deepEqual(b.history.find(1), a.history.find(1));
  await assert.rejects(markRollout(b.desk, { ...facts, id: 'r1' }), reasonOf('not_leader'));
  const { revision } = store;
  await publish(a.desk, { ...publishConfigured(three), want: (newest) => newest ?? entry });
  assert.equal(store.revision, revision); // nothing new: nothing written
});

function recordOf(): RolloutRecord {
  return {
    ...{ id: 'r1', salt: 'c2FsdA', lane: 'normal' as const, stages: [{ percent: 1, bakeMs: 1 }] },
    ...{ stage: 0, stageStartedAtMs: 1, startedAtMs: 1, pct: 1, strata: [] },
    ...{ sinceVersion: 2, stableVersion: 1, expected: 1 },
  };
}
