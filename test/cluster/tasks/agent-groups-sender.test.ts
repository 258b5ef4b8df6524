/** Groups to one worker when its link or the master's own store is gone. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { AgentStore } from '../../../src/cluster/store/agent-store.ts';
import type { Sql } from '../../../src/cluster/store/embedded/sql.ts';
import { GroupDebts } from '../../../src/cluster/store/group-debts.ts';
import { GroupsSender } from '../../../src/cluster/tasks/agent-groups-sender.ts';
import { NodeLog } from '../../../src/cluster/tasks/node-log.ts';
import { clock, dial, listen } from '../links.ts';
import { TestStore } from '../store/stores.ts';
import { LineLog, until } from '../system/nodes.ts';

/** A store that counts what is written to it, until it is closed. */
class Closable implements Sql {
  isClosed = false;
  written = 0;

  all(): readonly [] {
    return [];
  }

  run(): number {
    this.written += 1;
    if (this.isClosed) throw new Error('database is not open');
    return 0;
  }

  transaction<Value>(work: () => Value): Value {
    return work();
  }

  foreign(): readonly [] {
    return [];
  }
}

async function senderTo(t: TestContext) {
  const { port } = await listen(t);
  const { link } = await dial(port, { asked: () => undefined });
  t.after(() => link.close());
  const sql = new Closable();
  const lines = new LineLog();
  const sender = new GroupsSender({
    peer: { name: 'w1', link, log: new NodeLog(lines, 'Worker w1') },
    store: new AgentStore(new TestStore(t).db, clock),
    debts: new GroupDebts(sql),
    ...{ clock, storingMs: 120_000, signal: new AbortController().signal },
  });
  return { link, lines, sender, sql };
}

const page = '[{"data":[{"id":1,"name":"one","groups":["web"]}]}]';

test('a link that ends after the store was closed ends nothing else', async (t) => {
  const { link, lines, sender, sql } = await senderTo(t);
  await link.close();
  sql.isClosed = true;
  const before = sql.written;

  sender.queue([page]);

  await until('told', () => lines.has('Error sending agent-groups information to w1'));
  assert.equal(sql.written, before + 1, 'it was tried');
});

test('one round of changes is sent as it is, however large, and not thrown away for everything', async (t) => {
  const { link, lines, sender } = await senderTo(t);
  await link.close();
  const large = Array.from({ length: 100 }, () => page.padEnd(65_000));

  sender.queue(large);
  await until('tried', () => lines.has('Error sending agent-groups information to w1'));

  assert.equal(lines.count('[Agent-groups send] Starting.'), 1);
  assert.equal(lines.count('[Agent-groups send full]'), 0);
});
