import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openHistory } from '../../src/host/history-database.ts';
import { describeChange, listedManagers } from '../../src/publisher/content.ts';
import {
  drainOrder,
  isConfigNews,
  leavingOrder,
  publishConfigured,
  resignOrder,
  rollbackOrder,
  rosterOrder,
  undrainOrder,
  weightOrder,
} from '../../src/publisher/orders.ts';
import {
  listOf,
  type PublishOrder,
  preparePublication,
  publish,
} from '../../src/publisher/publish.ts';
import { markRollout } from '../../src/publisher/rollout/mark.ts';
import { configuredOf, openDesk } from './fixture.ts';

const three = configuredOf('a', 'b', 'c');

test('the first list is version 1; every change is one more and names the one before', async (t) => {
  const desk = await openDesk(t);
  const first = await publish(desk, publishConfigured(three));
  assert.ok(first.kind === 'published');
  assert.deepEqual([first.entry.version, first.entry.reason], [1, 'first']);
  assert.equal(first.entry.prev, undefined);
  const second = await publish(desk, publishConfigured(configuredOf('a', 'b', 'c', 'd')));
  assert.ok(second.kind === 'published');
  assert.equal(second.entry.version, 2);
  assert.equal(listOf(second.entry).prev, first.entry.hash);
});

test('equal managers give no new version, whatever the clock says', async (t) => {
  const desk = await openDesk(t);
  await publish(desk, publishConfigured(three));
  desk.clock.atMs += 3_600_000;
  const again = await publish(desk, publishConfigured(three));
  assert.equal(again.kind, 'unchanged');
  assert.equal(desk.history.list(10).length, 1);
});

test('a dry run says what would be published and writes nothing', async (t) => {
  const desk = await openDesk(t);
  await publish(desk, publishConfigured(three));
  const dry = await preparePublication(desk, publishConfigured(configuredOf('a', 'b')));
  assert.ok(dry.kind === 'published');
  assert.equal(dry.entry.version, 2);
  assert.deepEqual(describeChange(dry.before?.content, dry.entry.content), ['- c']);
  assert.equal(desk.history.newest()?.version, 1);
});

test('drain and undrain make versions of their own and survive a publish of the configuration', async (t) => {
  const desk = await openDesk(t);
  await publish(desk, publishConfigured(three));
  const drained = await publish(desk, drainOrder(three, 'b'));
  assert.deepEqual(
    listOf(drained.entry).managers.map((manager) => manager.state),
    ['up', 'drain', 'up'],
  );
  const configured = configuredOf('a', 'b', 'c', 'd');
  const grown = await publish(desk, publishConfigured(configured));
  assert.deepEqual(
    listOf(grown.entry).managers.map((manager) => manager.state),
    ['up', 'drain', 'up', 'up'],
  );
  const back = await publish(desk, undrainOrder(configured, 'b'));
  assert.ok(listOf(back.entry).managers.every((manager) => manager.state === 'up'));
  assert.equal(back.entry.version, 4);
  assert.equal((await publish(desk, undrainOrder(configured, 'b'))).kind, 'unchanged');
});

test('an unknown manager is E041 with the known ids; nothing is published', async (t) => {
  const desk = await openDesk(t);
  await publish(desk, publishConfigured(three));
  await assert.rejects(publish(desk, drainOrder(three, 'bb')), {
    code: 'E041',
    message: 'no manager "bb"; known: a, b, c',
  });
  assert.equal(desk.history.newest()?.version, 1);
});

test('a rollback is a new version with the old content and holds until the configuration changes', async (t) => {
  const desk = await openDesk(t);
  await publish(desk, publishConfigured(three));
  const wide = configuredOf('a', 'b', 'c', 'd');
  await publish(desk, publishConfigured(wide));
  const rolled = await publish(desk, rollbackOrder(desk.history, wide, 1));
  assert.deepEqual([rolled.entry.version, rolled.entry.detail], [3, '1']);
  assert.deepEqual(listedManagers(rolled.entry.content), three.managers);
  assert.equal(isConfigNews(wide, rolled.entry), false);
  assert.equal(isConfigNews(three, rolled.entry), true);
  const resigned = await publish(desk, resignOrder(wide));
  assert.deepEqual(listedManagers(resigned.entry.content), three.managers);
});

test('a rollback offers no manager that is dead now, and holds back none that was dead then', async (t) => {
  const desk = await openDesk(t);
  await publish(desk, publishConfigured(three));
  await publish(desk, leavingOrder(three, 'b'));
  const { entry: then } = await publish(desk, rosterOrder(three, ['a'], 'a is down'));
  const back = new Map([['b', false]]);
  await publish(desk, rosterOrder(three, [], 'a and b are back', back));
  const wide = configuredOf('a', 'b', 'c', 'd');
  await publish(desk, publishConfigured(wide));
  await publish(desk, rosterOrder(wide, ['c'], 'c is down'));
  const { entry } = await publish(desk, rollbackOrder(desk.history, wide, then.version));
  const states = listedManagers(entry.content).map(({ id, state }) => `${id} ${state}`);
  assert.deepEqual(states, ['a up', 'b up', 'c down']);
});

test('a rollback to a version that is not kept is E042 with the kept ones', async (t) => {
  const desk = await openDesk(t);
  await assert.rejects(publish(desk, rollbackOrder(desk.history, three, 7)), {
    code: 'E042',
    message: 'no version 7; nothing was published',
  });
  await publish(desk, publishConfigured(three));
  await assert.rejects(publish(desk, rollbackOrder(desk.history, three, 7)), {
    message: 'no version 7; kept: 1 to 1',
  });
});

test('a re-signing is a new version and a new issued of the same content', async (t) => {
  const desk = await openDesk(t);
  await publish(desk, publishConfigured(three));
  desk.clock.atMs += 10_800_000;
  const resigned = await publish(desk, resignOrder(three));
  assert.ok(resigned.kind === 'published');
  assert.equal(resigned.entry.version, 2);
  assert.equal(listOf(resigned.entry).issuedAtMs, desk.clock.atMs);
});

test('where balancers listen is signed into the list; a list without any names no such member', async (t) => {
  const desk = await openDesk(t);
  const before = await publish(desk, publishConfigured(three));
  const balancers = [{ address: 'lb.example', port: 1514 }];
  const after = await publish(desk, publishConfigured({ ...three, balancers }));
  assert.ok(!('balancers' in listOf(before.entry)));
  assert.deepEqual(listOf(after.entry).balancers, balancers);
  assert.deepEqual(describeChange(before.entry.content, after.entry.content), [
    '~ balancers changed',
  ]);
});

test('an accept rate is told as an admission; the fleet is as big as said, else as it reports', async (t) => {
  const desk = { ...(await openDesk(t)), agents: () => 7_000 };
  const [first, ...rest] = three.managers;
  assert.ok(first !== undefined);
  const managers = [{ ...first, acceptRate: 40 }, ...rest];
  const before = await publish(desk, publishConfigured(three));
  assert.deepEqual(
    [listOf(before.entry).admission, listOf(before.entry).client.agents],
    [undefined, 7_000],
  );
  const after = await publish(desk, publishConfigured({ ...three, managers, acceptRate: 90 }));
  const list = listOf(after.entry);
  assert.deepEqual(list.admission, {
    id: 'a2',
    ratePerServer: 90,
    startSlotAtMs: desk.clock.atMs + 2_000,
  });
  assert.equal(list.managers[0]?.acceptRate, 40);
  assert.deepEqual(describeChange(before.entry.content, after.entry.content), [
    `~ a acceptRate unset -> 40`,
    '~ accept rate changed',
  ]);
  const client = { ...three.client, agents: 900 };
  const sized = await publish(desk, publishConfigured({ ...three, client }));
  assert.equal(listOf(sized.entry).client.agents, 900);
});

test('where agents have piled up, the list slows them; the configured rates stay as they are', async (t) => {
  const loads = new Map([['a', 300]]);
  const desk = { ...(await openDesk(t)), agents: () => 300, loads: () => loads };
  const [first, ...rest] = three.managers;
  assert.ok(first !== undefined);
  const content = { ...three, managers: [{ ...first, acceptRate: 40 }, ...rest], acceptRate: 90 };
  const { entry } = await publish(desk, publishConfigured(content));
  const list = listOf(entry);
  assert.equal(list.admission?.ratePerServer, 30);
  assert.deepEqual(
    list.managers.map(({ acceptRate }) => acceptRate),
    [13, undefined, undefined],
  );
  assert.deepEqual([entry.content.acceptRate, entry.content.managers[0]?.acceptRate], [90, 40]);
  const dead = { ...desk, seesDead: (id: string) => id === 'c' };
  const { entry: fewer } = await publish(dead, { ...publishConfigured(content), evenIfSame: true });
  assert.equal(listOf(fewer).admission?.ratePerServer, 45); // all on one of two
  loads.set('b', 300);
  const again = await publish(desk, publishConfigured(content));
  assert.equal(again.kind, 'unchanged'); // loads alone make no version
});

test('what a sidecar would refuse is not published: foreign host, too many removed, none up', async (t) => {
  const desk = await openDesk(t);
  await assert.rejects(publish(desk, publishConfigured(configuredOf('a', 'b', 'c', 'd', 'e'))), {
    code: 'E408',
  });
  assert.equal(desk.history.newest(), undefined);
  await publish(desk, publishConfigured(three));
  await assert.rejects(publish(desk, publishConfigured(configuredOf('a'))), { code: 'E409' });
  await publish(desk, drainOrder(three, 'a'));
  await publish(desk, drainOrder(three, 'b'));
  await assert.rejects(publish(desk, drainOrder(three, 'c')), { code: 'E408' });
  assert.equal(desk.history.newest()?.version, 3);
});

/** A second operator of the same publisher, who does something between another's look and write. */
async function racing(t: TestContext) {
  const desk = await openDesk(t);
  await publish(desk, publishConfigured(three));
  const other = { ...desk, history: openHistory(desk.path) };
  t.after(() => other.history.close());
  const against = async (first: PublishOrder, second: PublishOrder) => {
    const ready = await preparePublication(other, first);
    assert.ok(ready.kind === 'published');
    const want: PublishOrder['want'] = (newest) => {
      other.history.append(ready.entry, ready.before?.version); // the first time; then it is there
      return second.want(newest);
    };
    return publish(desk, { ...second, want }).catch((error: unknown) => error);
  };
  return { desk, against };
}

test('an order that would undo what another operator just did is refused and tells what that was', async (t) => {
  const { desk, against } = await racing(t);
  await publish(desk, weightOrder(three, 'c', 3));
  const undo = await against(drainOrder(three, 'b'), rollbackOrder(desk.history, three, 1));
  assert.match(String(undo), /version 3 \(drain b, .*\) came meanwhile/);
  const same = await against(weightOrder(three, 'a', 7), weightOrder(three, 'a', 9));
  assert.match(String(same), /version 4 \(weight a 7, .*\) came meanwhile/);
  assert.deepEqual(desk.history.newest()?.content.drained, ['b']);
  assert.equal(desk.history.newest()?.version, 4);
});

test('orders that do not touch one another both stand; the roster is nobody’s word', async (t) => {
  const { desk, against } = await racing(t);
  await against(drainOrder(three, 'a'), weightOrder(three, 'b', 5));
  await against(rosterOrder(three, ['c'], 'c is down'), rollbackOrder(desk.history, three, 1));
  assert.deepEqual(
    desk.history.list(9).map(({ reason }) => reason),
    ['rollback', 'roster', 'weight', 'drain', 'first'],
  );
});

test('an order given by a version is refused when somebody decided something since', async (t) => {
  const { desk } = await racing(t);
  await publish(desk, rosterOrder(three, ['c'], 'c is down'));
  const looked = { ifVersion: 1 };
  await publish(desk, { ...drainOrder(three, 'a'), ...looked });
  await assert.rejects(publish(desk, { ...weightOrder(three, 'b', 5), ...looked }), {
    code: 'E047',
    message: /version 3 \(drain a/,
  });
  await publish(desk, { ...weightOrder(three, 'b', 5), ifVersion: 3 });
  await assert.rejects(publish(desk, { ...drainOrder(three, 'b'), ifVersion: 99 }), {
    code: 'E047',
  });
});

test('two words on one rollout at the same moment: nothing undoes an abort, and that is told', async (t) => {
  const { desk } = await racing(t);
  const mark = (kind: 'aborted' | 'resumed', who: string) =>
    ({ id: 'r1', kind, who, why: '', atMs: 1 }) as const;
  await markRollout(desk, mark('resumed', 'ann'));
  await markRollout(desk, mark('aborted', 'bob'));
  await assert.rejects(markRollout(desk, mark('resumed', 'ann')), {
    code: 'E047',
    message: /aborted by bob/,
  });
  assert.equal(desk.history.markOf('r1')?.who, 'bob');
});

test('two operators at once are serialised: both changes stand, one after the other', async (t) => {
  const desk = await openDesk(t);
  await publish(desk, publishConfigured(three));
  const other = { ...desk, history: openHistory(desk.path) };
  t.after(() => other.history.close());
  const [left, right] = await Promise.all([
    publish(desk, drainOrder(three, 'a')),
    publish(other, drainOrder(three, 'b')),
  ]);
  assert.deepEqual([left.entry.version, right.entry.version].sort(), [2, 3]);
  assert.deepEqual(desk.history.newest()?.content.drained, ['a', 'b']);
  const [third, second, first] = desk.history.list(3);
  assert.deepEqual([third?.prev, second?.prev], [second?.hash, first?.hash]);
});
