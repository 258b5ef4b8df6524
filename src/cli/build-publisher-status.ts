/** What a running publisher tells `status`, from its parts. */

import type { Health } from '../health/judge.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import type { Complaints } from '../publisher/complaints.ts';
import type { ConnectionLedger } from '../publisher/connection-ledger.ts';
import type { LeaderStatus } from '../publisher/leadership.ts';
import type { ListService } from '../publisher/list-service.ts';
import type { Refusals } from '../publisher/refusals.ts';
import type { ReportForwarder } from '../publisher/reports/forward.ts';
import { type RunningStatus, toldComplaints } from '../publisher/status/running.ts';
import type { ReportOffice } from './build-publisher-reports.ts';

export interface StatusGround {
  readonly service: ListService;
  readonly ledger: ConnectionLedger;
  readonly complaints: Complaints;
  readonly refusals: Refusals;
  readonly reports: ReportOffice | undefined;
  readonly lagMs: () => number;
  readonly healths: () => ReadonlyMap<string, Health>;
  readonly roster: () => RunningStatus['roster'];
  /** Present on a follower. */
  readonly follows?: () => RunningStatus['follows'];
  /** Present where another publisher may lead. */
  readonly forward?: Pick<ReportForwarder, 'counts'>;
  /** Absent on a follower. */
  readonly leader?: () => LeaderStatus;
}

/** `startedAtMs` is now. Called for every question, so that nothing is told that is not so. */
export function buildStatus(ground: StatusGround): () => string {
  const startedAtMs = clock.nowMs();
  return () => JSON.stringify(statusOf(ground, startedAtMs));
}

function statusOf(ground: StatusGround, startedAtMs: number): RunningStatus {
  const { service, ledger, complaints, refusals, reports } = ground;
  const { connections, waiting } = ledger.counts();
  const counts = reports?.desk.counts();
  const badReports = Object.entries(counts?.refused ?? {}).map(
    ([name, count]) => [`report ${name}`, count] as const,
  );
  const roster = ground.roster();
  return {
    version: service.served()?.entry.version ?? 0,
    startedAtMs,
    lagMs: ground.lagMs(),
    connections,
    waiting,
    complaints: [...toldComplaints(complaints.list())],
    refused: { ...refusals.counts(), ...Object.fromEntries(badReports) },
    probes: Object.fromEntries([...ground.healths()].map(([id, { verdict }]) => [id, verdict])),
    ...(reports === undefined
      ? {}
      : {
          reports: {
            agents: reports.book.size(),
            taken: counts?.taken ?? 0,
            unsaved: reports.book.unsavedCount(),
            ...(ground.forward === undefined ? {} : { forward: ground.forward.counts() }),
          },
        }),
    ...(roster === undefined ? {} : { roster }),
    ...(ground.follows === undefined ? {} : { follows: ground.follows() }),
    ...(ground.leader === undefined ? {} : { leader: ground.leader() }),
  };
}
