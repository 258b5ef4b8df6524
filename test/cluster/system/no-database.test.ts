/**
 * Recording 27 said again, both ways: a node without a wazuh-db meets what the stock peer of the
 * recording said. The link holds, nothing about agents is sent, the log says what stock's says.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { Link, type LinkHandler } from '../../../src/cluster/link.ts';
import {
  type CommandName,
  commands,
  decodePayload,
  findCommand,
} from '../../../src/cluster/wire/command.ts';
import { clock, MemoryStore, random } from '../links.ts';
import { recordedFrames, recordedSeal } from '../recording.ts';
import { Home, startMaster, startWorker, until } from './nodes.ts';
import { dialAs } from './peers.ts';

const frames = recordedFrames('27-no-wdb');
const cluster = {
  intervals: {
    worker: { sync_agent_info: 0.2, sync_integrity: 0.2 },
    master: { sync_agent_groups: 0.2, agent_group_start_delay: 0.1, recalculate_integrity: 0.2 },
  },
};
const more = { database: 'wazuh-db' } as const;
const noSocket =
  'Could not obtain data from wazuh-db: Error 2005 - Could not connect to wdb socket';

/** Words that this side of the recording asked. */
function recordedWords(dir: 'w>m' | 'm>w'): ReadonlySet<string> {
  return new Set(
    frames.filter((one) => one.dir === dir && one.isRequest).map(({ command }) => command),
  );
}

/** What the stock peer answered to a word, in its order; the last for all that come later. */
function recordedAnswers(dir: 'w>m' | 'm>w'): (command: CommandName) => string {
  const answers = new Map<string, string[]>();
  for (const asked of frames.filter((one) => one.dir !== dir && one.isRequest)) {
    const answer = frames.find((one) => one.counter === asked.counter && !one.isRequest);
    const list = answers.get(asked.command) ?? [];
    answers.set(asked.command, [...list, answer?.payload?.toString('latin1') ?? '']);
  }
  return (command) => {
    const list = answers.get(commands[command].wire) ?? [];
    return (list.length > 1 ? list.shift() : list[0]) ?? 'Thanks';
  };
}

test('our worker without a database asks the recorded master nothing more than stock did', async (t) => {
  const answerTo = recordedAnswers('m>w');
  const asked: string[] = [];
  const handler: LinkHandler = {
    asked(one, link) {
      asked.push(commands[one.command].wire);
      if (one.command === 'hello') return link.admit(one.counter, { mustBeOurs: false });
      if (one.command === 'integritySent') link.takeFile(one.value.path);
      link.answer(one.counter, { kind: 'ok', payload: answerTo(one.command) });
      if (one.command !== 'integritySent') return;
      // Unanswered where the test ends first.
      link.request('integrityUnchanged', undefined).catch(() => undefined);
    },
  };
  const server = createServer((socket) => {
    const ports = { clock, random, store: new MemoryStore(), handler };
    const link = new Link(socket, { role: 'master', seal: recordedSeal }, ports);
    t.after(() => link.close());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;

  const worker = startWorker(t, new Home(t), { name: 'w', port, cluster, more });

  const line = 'ERROR: [Worker w] [Agent-info sync] Error synchronizing agent info: Error 2017';
  await until('two rounds', () => worker.log.count(line) > 1);
  await until('two checks', () => asked.filter((word) => word === 'syn_i_w_m_e').length > 1);
  const strange = [...new Set(asked)].filter((word) => !recordedWords('w>m').has(word));
  assert.deepEqual(
    strange.filter((word) => word !== 'echo'),
    [],
  ); // how ours find each other
  assert.ok(asked.includes('syn_a_w_m_p'));
  assert.equal(worker.log.count('Successfully connected'), 1);
});

test('our master without a database asks the recorded worker nothing more than stock did', async (t) => {
  const home = new Home(t, { 'etc/rules/r.xml': '<r/>' });
  const master = await startMaster(t, home, { cluster, more });
  const answerTo = recordedAnswers('w>m');
  const asked: string[] = [];
  const link = await dialAs(t, master.port, {
    asked(one, peer) {
      asked.push(commands[one.command].wire);
      peer.answer(one.counter, { kind: 'ok', payload: answerTo(one.command) });
    },
  });
  const line = `ERROR: [Master] [Local agent-groups] ${noSocket}`;
  for (const frame of frames.filter(({ dir, isRequest }) => dir === 'w>m' && isRequest)) {
    const name = findCommand('worker', frame.command);
    if (name === undefined || !/^(?:hello|syn_a_w_m_p|echo-c)$/.test(frame.command)) continue;
    const answer = await link.request(name, decodePayload(name, frame.payload ?? Buffer.alloc(0)));
    const said = frames.find((one) => one.counter === frame.counter && !one.isRequest);
    assert.equal(answer.kind, 'ok');
    assert.equal(answer.kind === 'ok' && answer.payload.toString(), said?.payload?.toString());
  }

  await until('two rounds', () => master.log.count(line) > 1);
  const strange = asked.filter((word) => !recordedWords('m>w').has(word));
  assert.deepEqual(strange, []);
  assert.ok(master.log.has('[Local agent-groups] Finished in'));
  assert.equal(master.role.workers().length, 1);
});

test('a node whose own memory is damaged starts without it, and says so', async (t) => {
  const home = new Home(t);
  mkdirSync(home.state, { recursive: true });
  writeFileSync(join(home.state, 'cluster-state.db'), Buffer.alloc(8_192, 7));

  const master = await startMaster(t, home, { cluster, more });

  assert.ok(master.log.has("ERROR: [Cluster] [Main] This node's own memory is damaged"));
  assert.ok(existsSync(join(home.state, 'cluster-state.db.damaged')));
});
