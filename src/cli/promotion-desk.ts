/** What the commands of `promotion` need of the world; `build-promotion-desk.ts` brings it. */
import type { Order, PromotionStatus } from '../promotion/ports.ts';
import type { Rehearsal } from '../promotion/rehearse.ts';

/** What the commands ask for. Every method throws ConfigError where promotion is off. */
export interface PromotionDesk {
  /** What the running node told last; undefined: none runs, or it tells nothing any more. */
  status(directory: string): Promise<PromotionStatus | undefined>;
  /** Resolves when it is done. Throws HostError `promotion_refused`, `not_found` when no node runs. */
  order(
    directory: string,
    kind: Order['kind'],
    force: boolean,
  ): Promise<NonNullable<PromotionStatus['lastOrder']>>;
  rehearse(directory: string): Promise<Rehearsal>;
  /** Makes this host one that is not the master: resolves with what went wrong. */
  fence(directory: string): Promise<readonly string[]>;
}
