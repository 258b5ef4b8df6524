/** The worker's keep-alive (cluster-protocol.md 1.9): a few failures in a row end the link. */
import { type Clock, sleep } from '../../clock.ts';
import { PeerError } from '../../errors.ts';
import { messageOf } from '../../guards.ts';
import type { Link } from '../link.ts';
import type { NodeLog } from '../tasks/node-log.ts';
import { expectOk } from '../upload.ts';

export interface KeepAliveRules {
  readonly everyMs: number;
  readonly maxFailures: number;
}

/** Until the link ends or `signal` aborts. Closes the link when the master stays silent. */
export async function keepAlive(
  link: Link,
  clock: Clock,
  log: NodeLog,
  { everyMs, maxFailures }: KeepAliveRules,
  signal: AbortSignal,
): Promise<void> {
  let failures = 0;
  while (link.isOpen) {
    await sleep(clock, everyMs, signal);
    try {
      const answer = await link.request('keepAlive', Buffer.from('keepalive'), { signal });
      const text = expectOk(answer, 'keep-alive').toString('latin1').slice(0, 64);
      log.info(`Successful response from master: ${text}`);
      failures = 0;
    } catch (error) {
      if (signal.aborted || !link.isOpen) return;
      failures += 1;
      log.error(`Error sending keep alive: ${messageOf(error)}`);
    }
    if (failures < maxFailures) continue;
    log.error('Maximum number of failed keep alives reached. Disconnecting.');
    void link.close(new PeerError('peer_silent', 'the master answers no keep-alive'));
  }
}
