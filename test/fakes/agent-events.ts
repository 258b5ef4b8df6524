/**
 * The memory buffer of the stand-in agent, its generator and its dispatcher: events wait in a
 * bounded queue, the newest is dropped when it is full, the one taken out before a failed send is
 * lost, and nothing is taken out while the agent reconnects (agent-side.md 2.6).
 */
import { encodeEvent } from './frames.ts';

export interface EventSettings {
  readonly eventsPerSecond: number;
  readonly eventBytes: number;
  readonly bufferEvents: number;
  readonly bufferRate: number;
}

export interface EventPorts {
  /** Resolves once the agent is connected. */
  readonly connected: () => Promise<void>;
  readonly send: (bytes: Buffer) => Promise<boolean>;
  readonly onGenerated: () => void;
  readonly onSent: () => void;
  readonly onFull: (dropped: number) => void;
}

const stepMs = 20;

export class AgentEvents {
  readonly #settings: EventSettings;
  readonly #ports: EventPorts;
  /** Sequence numbers, oldest first. */
  readonly #waiting: number[] = [];
  #seq = 0;
  #dropped = 0;

  constructor(settings: EventSettings, ports: EventPorts) {
    this.#settings = settings;
    this.#ports = ports;
  }

  get buffered(): number {
    return this.#waiting.length;
  }

  start(): void {
    const { eventsPerSecond } = this.#settings;
    if (eventsPerSecond === 0) return;
    const startedAtMs = performance.now();
    setInterval(() => {
      const due = Math.floor(((performance.now() - startedAtMs) * eventsPerSecond) / 1000);
      while (this.#seq < due) this.#generate();
    }, stepMs);
    this.#dispatch().catch((error: unknown) => {
      throw error;
    });
  }

  #generate(): void {
    this.#seq += 1;
    if (this.#waiting.length >= this.#settings.bufferEvents) {
      this.#dropped += 1;
      if (this.#dropped === 1) this.#ports.onFull(this.#dropped);
      return;
    }
    this.#waiting.push(this.#seq);
    this.#ports.onGenerated();
  }

  async #dispatch(): Promise<never> {
    const { bufferRate, eventBytes } = this.#settings;
    let allowed = 0;
    let lookedAtMs = performance.now();
    for (;;) {
      const nowMs = performance.now();
      allowed = Math.min(bufferRate, allowed + ((nowMs - lookedAtMs) * bufferRate) / 1000);
      lookedAtMs = nowMs;
      if (allowed < 1 || this.#waiting.length === 0) {
        await new Promise((resolve) => setTimeout(resolve, stepMs));
        continue;
      }
      allowed -= 1;
      const seq = this.#waiting.shift() ?? 0;
      await this.#ports.connected();
      if (await this.#ports.send(encodeEvent(seq, eventBytes))) this.#ports.onSent();
    }
  }
}
