/**
 * A contender as a process of its own, to be stopped and killed by signals:
 * `contender-process.ts NAME PREFIX TTL_MS URL…`; prints what it was told as JSON lines.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { buildEtcdDoor } from '../../src/host/etcd-door.ts';
import { systemClock as clock } from '../../src/host/system-clock.ts';
import { EtcdClient } from '../../src/leader/etcd/client.ts';
import { buildEtcdEngine } from '../../src/leader/etcd/etcd-engine.ts';
import { endWithInput, report } from '../../test/fakes/life-line.ts';
import { Contender } from './contender.ts';

const [name = '', prefix = '', ttl = '', ...endpoints] = process.argv.slice(2);
const ttlMs = Number(ttl);
const door = buildEtcdDoor({});
const limits = { tryMs: Math.max(500, ttlMs / 10), limitMs: Math.max(1_000, ttlMs / 4) };
const client = new EtcdClient({ door, clock, endpoints, ...limits });
const engine = buildEtcdEngine(client, { prefix, ttlMs, name, url: '' });
const contender = new Contender(name, engine, clock);
let isEnding = false;
endWithInput(() => {
  isEnding = true;
});
let told = 0;
let led = false;
while (!isEnding) {
  const leads = contender.isLeading();
  if (leads !== led) report({ event: leads ? 'leads' : 'stands_by', name });
  led = leads;
  // Some come too late: the last token is used although the lease is over.
  await contender.write(Math.random() < 0.3);
  for (const one of contender.told.slice(told)) report({ event: 'told', name, ...one });
  told = contender.told.length;
  await pause(50);
}
await contender.end();
process.exit(0);
