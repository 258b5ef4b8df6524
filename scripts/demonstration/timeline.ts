/** What happened, when, in a form a person enjoys reading; the same as data for --json. */
import { paint, type Terminal } from '../../src/cli/terminal.ts';

export type Mood = 'plain' | 'good' | 'bad' | 'fault';

export interface Moment {
  /** Milliseconds since the demo began. */
  readonly atMs: number;
  readonly who: string;
  readonly what: string;
  readonly mood: Mood;
}

const colours = { plain: undefined, good: 'green', bad: 'red', fault: 'yellow' } as const;

export class Timeline {
  readonly #terminal: Terminal;
  readonly #quiet: boolean;
  readonly #startedAtMs = Date.now();
  readonly moments: Moment[] = [];

  /** `quiet`: collect only, for --json. */
  constructor(terminal: Terminal, quiet: boolean) {
    this.#terminal = terminal;
    this.#quiet = quiet;
  }

  heading(text: string): void {
    if (!this.#quiet) this.#terminal.out(`\n${paint(this.#terminal, 'bold', text)}\n`);
  }

  /** Text that is no event: a diff, a table. */
  block(text: string): void {
    if (this.#quiet) return;
    const lines = text.trimEnd().split(/\r?\n/);
    this.#terminal.out(`${lines.map((line) => `             ${this.#tint(line)}`).join('\n')}\n`);
  }

  /** `wallMs`: when it really happened, if it is only told now. */
  add(who: string, what: string, mood: Mood = 'plain', wallMs = Date.now()): void {
    const moment = { atMs: wallMs - this.#startedAtMs, who, what, mood };
    this.moments.push(moment);
    if (this.#quiet) return;
    const clock = `+${(moment.atMs / 1000).toFixed(2).padStart(6)} s`;
    const colour = colours[mood];
    const text = colour === undefined ? what : paint(this.#terminal, colour, what);
    this.#terminal.out(`  ${paint(this.#terminal, 'dim', clock)}  ${who.padEnd(10)} ${text}\n`);
  }

  #tint(line: string): string {
    if (line.startsWith('+')) return paint(this.#terminal, 'green', line);
    if (line.startsWith('-')) return paint(this.#terminal, 'red', line);
    return line;
  }
}
