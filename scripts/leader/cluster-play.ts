/**
 * Three members of etcd, three contenders as processes, one of them on the host of a member: stopped,
 * killed, cut off; then etcd's own memory is judged. `unshare --net node cluster-play.ts FOLDER`.
 */
import { fileURLToPath } from 'node:url';
import { endWithInput, report } from '../../test/fakes/life-line.ts';
import { eventually, type StandInProcess } from '../../test/fakes/processes.ts';
import { ClusterNetwork, urls } from './cluster-network.ts';
import { judgeHistory, type Told } from './judge.ts';
import { readStoreEvents } from './store-events.ts';

const ttlMs = 3_000;
const prefix = '/cluster/';
const patienceMs = 120_000;
const path = fileURLToPath(new URL('contender-process.ts', import.meta.url));

class Play {
  readonly network: ClusterNetwork;
  readonly contenders: StandInProcess[] = [];

  constructor(folder: string) {
    this.network = new ClusterNetwork(folder);
  }

  async run(): Promise<void> {
    await this.network.start();
    const argv = (name: string) => [process.execPath, path, name, prefix, `${ttlMs}`, ...urls];
    for (const name of ['c0', 'c1'])
      this.contenders.push(this.network.program(undefined, argv(name)));
    this.contenders.push(this.network.program(2, argv('c2')));
    await this.#holder();
    report({ event: 'step', what: 'holder stopped', takeoverMs: await this.#stopHolder() });
    await this.#killEtcdLeader();
    report({ event: 'step', what: 'leader of etcd killed' });
    await this.#hangEtcdLeader();
    report({ event: 'step', what: 'leader of etcd stopped' });
    report({ event: 'step', what: 'holder cut off', takeoverMs: await this.#cutOffHolder() });
    await this.#killHolder();
    report({ event: 'step', what: 'holder killed' });
    await this.#tell();
  }

  async #tell(): Promise<void> {
    // First: they go on writing while the store is read.
    const told = this.contenders.flatMap((one) =>
      one.events.filter(({ event }) => event === 'told'),
    );
    const events = await readStoreEvents(urls[0] ?? '', prefix);
    const wrong = judgeHistory(events, told as unknown as readonly Told[]);
    const writes = events.filter(({ kind }) => kind === 'written').length;
    const refused = told.filter(({ outcome }) => outcome === 'fenced').length;
    report({ event: 'verdict', wrong, writes, refused });
  }

  #holder(without?: StandInProcess): Promise<StandInProcess> {
    return eventually(
      'one leads',
      () => this.contenders.find((one) => one !== without && one.isRunning && saysItLeads(one)),
      patienceMs,
    );
  }

  async #stopHolder(): Promise<number> {
    const holder = await this.#holder();
    holder.stop();
    const takeoverMs = await this.#takeoverFrom(holder);
    const { mark } = holder;
    holder.cont();
    await holder.waitFor({ event: 'stands_by' }, { after: mark, withinMs: patienceMs });
    return takeoverMs;
  }

  async #takeoverFrom(holder: StandInProcess): Promise<number> {
    const fromAtMs = Date.now();
    const next = await this.#holder(holder);
    const satDown = next.events.findLast(({ event }) => event === 'leads');
    return (satDown?.atMs ?? 0) - fromAtMs;
  }

  /** Writes go on, by whomever; the first ones may have been under way. */
  async #untilWritten(): Promise<void> {
    const written = (): number =>
      this.contenders.flatMap(({ events }) => events.filter(({ outcome }) => outcome === 'written'))
        .length;
    const before = written();
    await eventually('somebody writes', () => written() > before + 5, patienceMs);
  }

  async #killEtcdLeader(): Promise<void> {
    const leader = await this.network.leaderOf(0);
    await this.network.members[leader]?.kill();
    await this.#untilWritten();
    this.network.startMember(leader);
    await this.network.untilHealthy(leader);
  }

  async #hangEtcdLeader(): Promise<void> {
    const leader = await this.network.leaderOf(0);
    this.network.members[leader]?.stop();
    await this.#untilWritten();
    this.network.members[leader]?.cont();
    await this.network.untilHealthy(leader);
  }

  /** Alone with the one member on its host, which has lost the others. */
  async #cutOffHolder(): Promise<number> {
    const [first, second, third] = this.contenders;
    if (first === undefined || second === undefined || third === undefined)
      throw new Error('three');
    first.stop();
    second.stop();
    await eventually('the third one leads', () => saysItLeads(third), patienceMs);
    first.cont();
    second.cont();
    await this.#untilWritten();
    const { mark } = third;
    this.network.cutOff(2);
    const takeoverMs = await this.#takeoverFrom(third);
    await third.waitFor({ event: 'stands_by' }, { after: mark, withinMs: patienceMs });
    this.network.joinAgain(2);
    await this.network.untilHealthy(2);
    return takeoverMs;
  }

  async #killHolder(): Promise<void> {
    const holder = await this.#holder();
    await holder.kill();
    await this.#holder(holder);
    await this.#untilWritten();
  }
}

/** Its own word, last. */
function saysItLeads({ events }: StandInProcess): boolean {
  const last = events.findLast(({ event }) => event === 'leads' || event === 'stands_by');
  return last?.event === 'leads';
}

endWithInput(() => process.exit(1));
const play = new Play(process.argv[2] ?? '');
try {
  await play.run();
} finally {
  await play.network.stop();
}
process.exit(0);
