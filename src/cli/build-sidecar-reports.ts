/** The reports of this host from real parts. */
import { readAgentKey } from '../host/sidecar-files.ts';
import { systemClock as clock, systemRandom as random } from '../host/system-clock.ts';
import { type LastResult, type Reporter, reportFacts, resultOf } from '../sidecar/agent-report.ts';
import type { CycleReport } from '../sidecar/cycle.ts';
import { reportOf } from '../sidecar/report.ts';
import { ReportSender } from '../sidecar/report-sender.ts';
import type { SourceFault } from '../sidecar/source.ts';
import type { Rooms, SourceGround } from './build-sidecar-rooms.ts';

export interface Reports {
  look(cycle: CycleReport): void;
  run(signal: AbortSignal): Promise<void>;
}

/** Undefined where they are switched off. */
export async function openReports(
  rooms: Rooms,
  sources: SourceGround,
): Promise<Reports | undefined> {
  const { report } = rooms.config;
  if (!report.enabled) return undefined;
  const sender = new ReportSender({
    clock,
    random,
    log: rooms.log,
    link: sources.link,
    book: sources.book,
    everyMs: report.interval,
    readKey: async () => (await readAgentKey(rooms.keysPath))?.key,
  });
  let agent = (await readAgentKey(rooms.keysPath))?.id;
  let result: LastResult | undefined;
  let faults: readonly SourceFault[] = [];
  return {
    run: (signal) => sender.run(signal),
    look(cycle) {
      result = resultOf(cycle) ?? result;
      if (cycle.news.length > 0) faults = cycle.news.flatMap((news) => news.faults);
      if (agent === undefined) return void readLater();
      const status = reportOf(cycle, rooms.place.agentId, faults);
      const { publishers } = cycle.trust.newest.root;
      sender.look({
        facts: reportFacts(reporterOf(rooms, agent), { cycle, status, result }),
        org: status.org,
        targets: publishers.map(({ url, spki }) => ({ url, pins: spki })),
        lastPublisher: cycle.memory.lastPublisher,
        agents: cycle.list?.list.client.agents ?? 0,
      });
    },
  };

  /** Not enrolled when we started: looked at again, one cycle late. */
  function readLater(): void {
    void readAgentKey(rooms.keysPath).then((found) => {
      agent ??= found?.id;
    });
  }
}

function reporterOf({ place, version, home, config }: Rooms, agent: string): Reporter {
  return {
    agent,
    place: place.agentId,
    ...(place.zone === undefined ? {} : { zone: place.zone }),
    sidecar: version.split(' ')[0] ?? version,
    os: home.platform,
    mode: config.apply.mode,
  };
}
