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
    const { book, clock, log } = this.#ports;
    const age = clock.nowMs() - (this.#taken?.atMs ?? 0);
    if (this.#taken !== undefined && age > orderLastsMs) {
      this.finish('refused', `not within ${orderLastsMs / 1_000} s: ${this.#lastWhy}`);
    }
    const order = book.takeOrder();
    if (order === undefined) return undefined;
    log.info('promotion.ordered', { kind: order.kind, force: order.force });
    this.#taken = order;
    this.#last = { id: order.id, kind: order.kind, outcome: 'pending', text: '' };
    return order;
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
