/** The engine against Debian's own etcd: one seat, a growing token, no write but the holder's. */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { PilotfishError, type ReasonName } from '../../src/errors.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import type { SeatEngine } from '../../src/leader/engine.ts';
import type { EtcdDoor } from '../../src/leader/etcd/client.ts';
import { OfficeKeeper, type Standing } from '../../src/leader/keep-office.ts';
import { eventually } from '../fakes/processes.ts';
import { makeCertificates } from './etcd-certificates.ts';
import { EtcdServers, missingEtcd } from './etcd-fixture.ts';

const skip = missingEtcd() ?? false;
const ttlMs = 2_000;
let servers: EtcdServers;

before(async () => {
  if (skip === false) servers = await new EtcdServers().start();
});
after(() => servers?.stop());

const bytes = (text: string): Uint8Array => Buffer.from(text);
const textOf = (state: { readonly bytes: Uint8Array } | undefined): string =>
  Buffer.from(state?.bytes ?? []).toString();
const reasonOf = (reason: ReasonName) => (thrown: unknown) =>
  thrown instanceof PilotfishError && thrown.reason === reason;

async function tokenOf(engine: SeatEngine): Promise<number> {
  const taken = await engine.take();
  assert.equal(taken.kind, 'taken');
  return taken.kind === 'taken' ? taken.token : Number.NaN;
}

test('one has the seat, the next one has a higher token, and the old one writes no more', {
  skip,
}, async () => {
  const [a, b] = [servers.engine('a', '/one/', 60_000), servers.engine('b', '/one/', 60_000)];
  const first = await tokenOf(a);
  const holder = { name: 'a', url: 'https://a.example.org:8443', token: first };
  assert.deepEqual(await b.take(), { kind: 'held', holder });
  assert.deepEqual(await b.look(0), { holder, revision: 0 });
  assert.equal(await a.renew(first), 'renewed');
  assert.equal((await a.write(first, 0, bytes('1'))).kind, 'written');
  await a.leave(first);
  assert.equal((await b.look(0)).holder, undefined);
  const second = await tokenOf(b);
  assert.ok(second > first);
  const { state, revision } = await b.look(0);
  assert.equal(textOf(state), '1');
  const zombie = await a.write(first, revision, bytes('2'));
  assert.deepEqual(zombie, {
    kind: 'fenced',
    holder: { name: 'b', url: 'https://b.example.org:8443', token: second },
  });
  assert.equal(await a.renew(first), 'lost');
  assert.equal((await b.write(second, revision, bytes('3'))).kind, 'written');
  assert.equal(textOf((await a.look(0)).state), '3');
});

test('of two writes on the same revision one is done; what is known is not sent again', {
  skip,
}, async () => {
  const a = servers.engine('a', '/two/', 60_000);
  const token = await tokenOf(a);
  const [left, right] = await Promise.all([
    a.write(token, 0, bytes('left')),
    a.write(token, 0, bytes('right')),
  ]);
  assert.deepEqual([left.kind, right.kind].sort(), ['raced', 'written']);
  const { revision, state } = await a.look(0);
  assert.equal(textOf(state), left.kind === 'written' ? 'left' : 'right');
  assert.equal((await a.look(revision)).state, undefined);
  assert.equal((await a.look(revision)).revision, revision);
});

test('a seat that an operator took away is lost at the next look, and its writes are refused', {
  skip,
}, async () => {
  const a = servers.engine('a', '/three/', 60_000);
  const token = await tokenOf(a);
  const key = Buffer.from('/three/leader').toString('base64');
  await servers.client().call('kv/deleterange', { key });
  assert.equal((await a.look(0)).holder, undefined);
  assert.deepEqual(await a.write(token, 0, bytes('x')), { kind: 'fenced', holder: undefined });
});

/** A way to etcd that can be cut: what is asked then waits until it is mended, as in a stopped process. */
class CutDoor implements EtcdDoor {
  readonly #real: EtcdDoor;
  #mended = Promise.resolve();
  #mend: () => void = () => undefined;
  constructor(real: EtcdDoor) {
    this.#real = real;
  }
  cut(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#mended = promise;
    this.#mend = resolve;
  }
  mend(): void {
    this.#mend();
  }
  /** Time does not pass for what waits here: its deadline has not fired when it goes on. */
  async post(...[endpoint, path, body, token]: Parameters<EtcdDoor['post']>) {
    await this.#mended;
    return this.#real.post(endpoint, path, body, token, AbortSignal.timeout(60_000));
  }
}

interface Contender {
  readonly name: string;
  readonly keeper: OfficeKeeper;
  readonly engine: ReturnType<EtcdServers['engine']>;
  readonly door: CutDoor;
}

function contend(
  t: TestContext,
  name: string,
  prefix: string,
  changed: (now: Standing) => void = () => undefined,
): Contender {
  const door = new CutDoor(servers.door());
  const engine = servers.engine(name, prefix, ttlMs, { door });
  const keeper = new OfficeKeeper({
    ...{ engine, clock: systemClock, random: systemRandom, lookEveryMs: 100 },
    knownRevision: () => 0,
    changed,
  });
  const stop = new AbortController();
  const running = keeper.run(stop.signal);
  running.catch(() => undefined);
  t.after(async () => {
    door.mend();
    stop.abort(new DOMException('the test ends', 'AbortError'));
    await running;
  });
  return { name, keeper, engine, door };
}

/** The one that leads, and the other, which knows it: a slow machine may make them change seats. */
async function settled(two: readonly Contender[]): Promise<readonly [Contender, Contender]> {
  return eventually('one leads and the other knows', () => {
    const holder = two.find(({ keeper }) => keeper.standing().kind === 'leader');
    const other = two.find((one) => one !== holder);
    const known = other?.keeper.standing();
    const isKnown = known?.kind === 'standby' && known.holder?.name === holder?.name;
    return holder !== undefined && other !== undefined && isKnown && ([holder, other] as const);
  });
}

test('a holder that is cut off stands up before another sits down, and its late write is refused', {
  skip,
}, async (t) => {
  const sat: { readonly name: string; readonly others: readonly string[] }[] = [];
  const two: Contender[] = ['a', 'b'].map((name) =>
    contend(t, name, '/four/', ({ kind }) => {
      const others = two.filter((one) => one.name !== name);
      const kinds = others.map(({ keeper }) => keeper.standing().kind);
      if (kind === 'leader') sat.push({ name, others: kinds });
    }),
  );
  const [holder, next] = await settled(two);
  const standing = holder.keeper.standing();
  holder.door.cut();
  const token = standing.kind === 'leader' ? standing.token : 0;
  const late = holder.engine.write(token, 0, bytes('late')); // asked while it leads, sent later
  sat.length = 0;
  await eventually('the other one leads', () => sat.some(({ name }) => name === next.name));
  assert.deepEqual(sat[0], { name: next.name, others: ['standby'] });
  holder.door.mend();
  assert.equal((await late.catch(() => ({ kind: 'no answer' }))).kind, 'fenced');
  await settled(two);
});

test('whoever stops gives the seat back: the next one does not wait for the lease', {
  skip,
}, async (t) => {
  const slow = servers.engine('a', '/five/', 600_000);
  const stop = new AbortController();
  const first = new OfficeKeeper({
    ...{ engine: slow, clock: systemClock, random: systemRandom, lookEveryMs: 50 },
    knownRevision: () => 0,
  });
  const running = first.run(stop.signal);
  await eventually('a leads', () => first.standing().kind === 'leader');
  stop.abort(new DOMException('it stops', 'AbortError'));
  await running;
  const b = contend(t, 'b', '/five/');
  await eventually('b leads', () => b.keeper.standing().kind === 'leader');
});

test('an etcd that is out of space keeps the holder in its seat, and says so at every write', {
  skip,
}, async (t) => {
  const small = await new EtcdServers().start(1, { args: ['--quota-backend-bytes', '400000'] });
  t.after(() => small.stop());
  const a = small.engine('a', '/six/', 60_000);
  const token = await tokenOf(a);
  assert.equal((await a.write(token, 0, bytes('before'))).kind, 'written');
  const { revision } = await a.look(0);
  const big = { key: Buffer.from('big').toString('base64'), value: 'A'.repeat(400_000) };
  await eventually('its space is used up', async () => {
    await small
      .client()
      .call('kv/put', big)
      .catch(() => undefined);
    return a.write(token, revision, bytes('before')).then(() => false, reasonOf('leader_full'));
  });
  assert.equal(await a.renew(token), 'renewed');
  assert.equal(textOf((await a.look(0)).state), 'before');
  await assert.rejects(small.engine('b', '/seven/', 60_000).take(), reasonOf('leader_full'));
});

test('TLS with client certificates and a password; whoever has neither is refused', {
  skip,
}, async (t) => {
  const safe = new EtcdServers();
  t.after(() => safe.stop());
  const { serverArgs, client, named, ca } = makeCertificates(safe.folder);
  await safe.start(1, { tls: { ...client, serverArgs } });
  const admin = safe.client({ door: safe.door(client) });
  await admin.call('auth/user/add', { name: 'root', password: 'secret' });
  await admin.call('auth/role/add', { name: 'root' });
  await admin.call('auth/user/grant', { user: 'root', role: 'root' });
  await admin.call('auth/enable', {});
  let password = 'secret';
  const account = { user: 'root', password: async () => password };
  const engine = safe.engine('a', '/p/', 60_000, { door: safe.door(client), account });
  const token = await tokenOf(engine);
  assert.equal((await engine.write(token, 0, bytes('1'))).kind, 'written');
  // Changing the password ends every token: the next call gets a new one with the new password.
  const root = safe.client({ door: safe.door(client), account });
  await root.call('auth/user/changepw', { name: 'root', password: 'other' });
  password = 'other';
  assert.equal(textOf((await engine.look(0)).state), '1');
  const stranger = safe.engine('b', '/p/', 60_000, { door: safe.door(client) });
  await assert.rejects(stranger.look(0), PilotfishError);
  const wrong = { user: 'root', password: async () => 'guess' };
  const guessing = safe.engine('b', '/p/', 60_000, { door: safe.door(client), account: wrong });
  await assert.rejects(guessing.look(0), reasonOf('leader_refused'));
  const bare = safe.engine('b', '/p/', 60_000, { door: safe.door({ ca }), account });
  await assert.rejects(bare.look(0), reasonOf('leader_unreachable'));
  const common = safe.engine('b', '/p/', 60_000, { door: safe.door(named), account });
  await assert.rejects(common.look(0), reasonOf('leader_refused'));
  const unknown = safe.engine('b', '/p/', 60_000, { door: safe.door(), account });
  await assert.rejects(unknown.look(0), /certificate/);
});
