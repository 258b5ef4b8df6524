/**
 * One spare connection to the manager that would be next, so that a switch costs one round trip
 * less. Off by default: every agent then holds two connections, one of them idle on a manager.
 */
import { type DialPorts, deaf, dialOne } from './dial.ts';
import { isOutdated, isSamePlace } from './outdated.ts';
import type { Connection, RelayManager } from './ports.ts';

/** A spare that ended, or could not be made, is made again after so long. */
const pauseMs = 5_000;

export class Standby {
  readonly #ports: DialPorts;
  readonly #stop = new AbortController();
  #spare: { readonly manager: RelayManager; readonly connection: Connection } | undefined;
  #isDialling = false;
  #notBeforeMs = 0;

  constructor(ports: DialPorts) {
    this.#ports = ports;
  }

  get managerId(): string | undefined {
    return this.#spare?.manager.id;
  }

  /**
   * Called now and then with who would be next, and all who may be dialled; keeps, replaces, makes
   * or ends the spare.
   */
  want(manager: RelayManager | undefined, chosen: readonly RelayManager[]): void {
    const nowMs = this.#ports.clock.monotonicMs();
    if (this.#spare !== undefined && isOutdated(this.#spare.manager, chosen)) this.#drop();
    if (manager === undefined || this.#isDialling || this.#stop.signal.aborted) return;
    if (this.#leadsTo(manager) || nowMs < this.#notBeforeMs) return;
    this.#notBeforeMs = nowMs + pauseMs;
    this.#isDialling = true;
    void this.#dial(manager);
  }

  /** The spare, when it leads to `manager`; it is the caller's from here on. */
  take(manager: RelayManager): Connection | undefined {
    if (this.#spare === undefined || !this.#leadsTo(manager)) return undefined;
    const { connection } = this.#spare;
    this.#spare = undefined;
    connection.attach(deaf);
    return connection;
  }

  close(): void {
    this.#stop.abort(new Error('the relay closes'));
    this.#drop();
  }

  #leadsTo(manager: RelayManager): boolean {
    return this.#spare !== undefined && isSamePlace(this.#spare.manager, manager);
  }

  async #dial(manager: RelayManager): Promise<void> {
    const connection = await dialOne(this.#ports, manager, this.#stop.signal);
    this.#isDialling = false;
    if (connection === undefined) return;
    this.#drop();
    if (this.#stop.signal.aborted) {
      connection.reset();
      return;
    }
    this.#spare = { manager, connection };
    const over = (): void => {
      if (this.#spare?.connection === connection) this.#drop();
    };
    connection.attach({ bytes: over, drained: () => undefined, ended: over, closed: over });
    connection.resume(); // a spare that the manager ends must not be found out by the agent
  }

  #drop(): void {
    this.#spare?.connection.attach(deaf);
    this.#spare?.connection.reset();
    this.#spare = undefined;
  }
}
