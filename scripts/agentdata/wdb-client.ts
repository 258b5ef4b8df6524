/** Questions to a node's store over its wazuh-db socket, asked again until there is an answer. */
import { WazuhDbSockets } from '../../src/host/wazuh-db-sockets.ts';

const againMs = 50;

export class PatientDb {
  readonly #db: WazuhDbSockets;

  constructor(home: string) {
    this.#db = new WazuhDbSockets(home);
  }

  /** The payload of `ok`; throws what the store refuses, or after `patienceMs`. */
  async ask(command: string, patienceMs = 60_000): Promise<string> {
    const untilMs = performance.now() + patienceMs;
    for (;;) {
      try {
        const answer = await this.#db.query(command, AbortSignal.timeout(10_000));
        if (answer.status !== 'err') return answer.payload;
        throw new RangeError(`${command.slice(0, 80)}: ${answer.payload}`);
      } catch (error) {
        if (error instanceof RangeError || performance.now() > untilMs) throw error;
        await new Promise((resolve) => setTimeout(resolve, againMs));
      }
    }
  }

  async rows(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return JSON.parse(await this.ask(`global sql ${sql}`));
  }

  close(): void {
    this.#db.close();
  }
}
