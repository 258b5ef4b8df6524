/** What the agent shows of its manager, told to the probes once when it begins. */
import { judgeAgent } from '../health/passive.ts';
import type { CycleReport } from './cycle.ts';
import { connectionOf } from './decide-connection.ts';
import type { HealthWatch } from './health-watch.ts';
import type { RankedList, Seen } from './seen.ts';

const texts = {
  lost: 'the agent lost its connection to it',
  ack_late: "the agent's last ack is late",
  wedged: 'agentd says connected, but sends nothing',
} as const;

interface Sign {
  readonly managerId: string;
  readonly kind: keyof typeof texts;
}

export class PassiveSigns {
  readonly #watch: Pick<HealthWatch, 'suspect'>;
  #told = '';

  constructor(watch: Pick<HealthWatch, 'suspect'>) {
    this.#watch = watch;
  }

  /** The same sign of the same manager is told again only after it was gone. */
  look({ memory, list, seen, atMs }: CycleReport): void {
    if (list === undefined || seen === undefined) return;
    const sign = signOf(memory, list, seen, atMs);
    const key = sign === undefined ? '' : `${sign.kind} ${sign.managerId}`;
    if (sign !== undefined && key !== this.#told) {
      this.#watch.suspect(sign.managerId, texts[sign.kind]);
    }
    this.#told = key;
  }
}

function signOf(
  memory: CycleReport['memory'],
  list: RankedList,
  seen: Seen,
  nowMs: number,
): Sign | undefined {
  const { agent, file, stuckForMs } = seen;
  if (!agent.running) return undefined;
  const connection = connectionOf({ memory, list, seen });
  if (connection.kind === 'unlisted') return undefined;
  if (connection.kind === 'none') {
    return connection.last && { managerId: connection.last.id, kind: 'lost' };
  }
  const managerId = connection.manager.id;
  if (agent.waiting) return { managerId, kind: 'lost' };
  const notifySec = file.kind === 'readable' ? file.notifyTime : undefined;
  const kind = judgeAgent(agent, { notifySec, stuckForMs }, nowMs);
  return kind && { managerId, kind };
}
