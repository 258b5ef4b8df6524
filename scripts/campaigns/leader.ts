/**
 * Is there ever a second writer? Histories of three contenders and Debian's own etcd, many seats side
 * by side on one server: stopped processes, cut and deaf connections, writes that come after the end
 * of a lease. etcd's own memory of every revision is the judge.
 */
import { parseArgs } from 'node:util';
import { EtcdServers, missingEtcd } from '../../test/leader/etcd-fixture.ts';
import { type Plan, playHistory, ttlMs, type Verdict } from '../leader/play.ts';

export const campaign = {
  name: 'leader',
  summary: 'publishers that stop, are cut off and come back: never two that write, on a real etcd',
  usage: 'leader [--histories N] [--parallel N] [--short] [--seed N]',

  /** Exit code 0 when every history keeps the fence and a broken fence is found, else 1. */
  async run(args: readonly string[], print: (line: string) => void): Promise<number> {
    const { values } = parseArgs({
      args: [...args],
      options: {
        histories: { type: 'string' },
        parallel: { type: 'string', default: '25' },
        short: { type: 'boolean', default: false },
        seed: { type: 'string', default: '1' },
      },
    });
    const missing = missingEtcd();
    if (missing !== undefined) {
      print(`not run: ${missing}`);
      return values.short ? 0 : 1;
    }
    const count = Number(values.histories ?? (values.short ? 20 : 1_000));
    const settings = {
      ...{ count, parallel: Number(values.parallel), first: Number(values.seed) },
      ...{ faultsMs: values.short ? 3_000 : 8_000, isTimed: !values.short },
    };
    const servers = await new EtcdServers().start();
    try {
      return await judgeAll(servers, settings, print);
    } finally {
      await servers.stop();
    }
  },
};

interface Settings {
  readonly count: number;
  readonly parallel: number;
  readonly first: number;
  readonly faultsMs: number;
  /** Is a slow takeover a failure? Not in the short form: it shares its machine. */
  readonly isTimed: boolean;
}

async function judgeAll(
  servers: EtcdServers,
  settings: Settings,
  print: (line: string) => void,
): Promise<number> {
  const { count, first, faultsMs } = settings;
  const plans = Array.from({ length: count }, (_, index): Plan => {
    return { seed: first + index, faultsMs, isBroken: false };
  });
  // Some with a fence that is none: a judge that finds nothing there finds nothing anywhere.
  const broken = plans
    .slice(0, Math.max(2, count / 100))
    .map((plan) => ({ ...plan, isBroken: true }));
  const verdicts = await inParallel([...broken, ...plans], settings.parallel, async (plan) => {
    const verdict = await playHistory(servers, plan);
    for (const line of plan.isBroken ? [] : verdict.wrong) print(`seed ${plan.seed}: ${line}`);
    return verdict;
  });
  const found = verdicts.slice(0, broken.length).filter(({ wrong }) => wrong.length > 0).length;
  return tell(verdicts.slice(broken.length), { found, of: broken.length }, settings, print);
}

function tell(
  verdicts: readonly Verdict[],
  broken: { readonly found: number; readonly of: number },
  { isTimed }: Settings,
  print: (line: string) => void,
): number {
  const sum = (of: (verdict: Verdict) => number): number =>
    verdicts.reduce((total, verdict) => total + of(verdict), 0);
  const wrong = sum((verdict) => verdict.wrong.length);
  const takeovers = verdicts.map(({ takeoverMs }) => takeoverMs).sort((a, b) => a - b);
  const at = (share: number): number =>
    Math.round(
      takeovers[Math.min(takeovers.length - 1, Math.floor(share * takeovers.length))] ?? 0,
    );
  print(`${verdicts.length} histories, ${sum(({ holders }) => holders)} holders, ${wrong} wrong`);
  print(
    `${sum(({ writes }) => writes)} writes, ${sum(({ refused }) => refused)} refused by the fence`,
  );
  print(`takeover ms: p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)}; lease ${ttlMs}`);
  print(`a fence that is none is found in ${broken.found} of ${broken.of} histories`);
  const isSlow = isTimed && at(1) > ttlMs + 3_000;
  if (isSlow) print(`wrong: a takeover took longer than the lease and 3 s`);
  return wrong === 0 && broken.found > 0 && !isSlow ? 0 : 1;
}

async function inParallel<Item, Value>(
  items: readonly Item[],
  width: number,
  work: (item: Item) => Promise<Value>,
): Promise<readonly Value[]> {
  const values: Value[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let place = next++; place < items.length; place = next++) {
      const item = items[place];
      if (item !== undefined) values[place] = await work(item);
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  return values;
}
