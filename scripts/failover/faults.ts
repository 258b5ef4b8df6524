/** What is done to the manager in use. */
import { Blackhole } from '../../test/fakes/blackhole.ts';
import type { Stage, StageManager } from '../demonstration/stage.ts';

export type Fault = 'refused' | 'hung' | 'blackholed' | 'hung+events' | 'drained';

export const allFaults: readonly Fault[] = [
  'refused',
  'hung',
  'blackholed',
  'hung+events',
  'drained',
];

/**
 * Events flow in every case, so that lost ones are counted. 400 KB/s is more than the socket of a
 * hung manager takes before the agent notices.
 */
export function eventFlags(fault: Fault): readonly string[] {
  const perSecond = fault === 'hung+events' ? '490' : '10';
  return ['--events-per-second', perSecond, '--event-bytes', '830'];
}

/** Does it; the answer undoes it. */
export async function inject(
  stage: Stage,
  manager: StageManager,
  fault: Fault,
): Promise<() => Promise<void>> {
  switch (fault) {
    case 'refused':
      await manager.process.kill();
      return () => stage.revive(manager);
    case 'hung':
    case 'hung+events':
      manager.process.stop();
      return async () => manager.process.cont();
    case 'blackholed': {
      const hole = new Blackhole(manager.address);
      hole.open();
      return async () => hole.close();
    }
    default:
      stage.publisherRun('drain', manager.id);
      return async () => void stage.publisherRun('undrain', manager.id);
  }
}
