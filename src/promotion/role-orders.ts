/** What an operator ordered, until it is done, refused or too old. */
import type { PromoteOrder } from './judge.ts';
import type { Order, PromotionStatus, RolePorts } from './ports.ts';

/** A lease must end and a pause must pass before a role can be taken. */
export const orderLastsMs = 60_000;

export class RoleOrders {
  readonly #ports: Pick<RolePorts, 'book' | 'clock' | 'log'>;
  #taken: Order | undefined;
  #lastWhy = '';
  #last: PromotionStatus['lastOrder'];

  constructor(ports: Pick<RolePorts, 'book' | 'clock' | 'log'>) {
    this.#ports = ports;
  }

  get lastOrder(): PromotionStatus['lastOrder'] {
    return this.#last;
  }

  /** To promote this node. */
  get order(): PromoteOrder | undefined {
    return this.#taken?.kind === 'promote' ? this.#taken : undefined;
  }

  /** Takes a new one, if there is any. */
  look(): Order | undefined {
    const { book, log } = this.#ports;
    if (this.#taken !== undefined && this.#isOld(this.#taken)) {
      this.finish('refused', `not within ${orderLastsMs / 1_000} s: ${this.#lastWhy}`);
    }
    const order = book.takeOrder();
    if (order === undefined) return undefined;
    log.info('promotion.ordered', { kind: order.kind, force: order.force });
    this.#taken = order;
    this.#last = { id: order.id, kind: order.kind, outcome: 'pending', text: '' };
    if (!this.#isOld(order)) return order;
    this.finish('refused', `no node took it within ${orderLastsMs / 1_000} s`);
    return undefined;
  }

  /** Nobody waits for it any more; also one of a time to come, by a clock that was set back. */
  #isOld({ atMs }: Order): boolean {
    return Math.abs(this.#ports.clock.nowMs() - atMs) > orderLastsMs;
  }

  /** Why the ordered promotion was not begun at this look. */
  heard(why: string, isFinal: boolean): void {
    this.#lastWhy = why;
    if (isFinal && this.#taken?.kind === 'promote') this.finish('refused', why);
  }

  finish(outcome: 'done' | 'refused', text: string): void {
    if (this.#taken === undefined) return;
    this.#last = { id: this.#taken.id, kind: this.#taken.kind, outcome, text };
    this.#taken = undefined;
  }
}
