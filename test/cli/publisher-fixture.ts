/** The whole `pilotfish-publisher` in this process: argv in, output and exit code out. */
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { buildPublisherHost } from '../../src/cli/build-publisher.ts';
import { buildPublisherProgram } from '../../src/cli/publisher-commands.ts';
import type { Signals } from '../../src/cli/publisher-host.ts';
import { type Outcome, runCommand } from '../../src/cli/run-command.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { freePort } from '../fakes/processes.ts';
import { scratchDirectory } from '../publisher/fixture.ts';

export interface Ran {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

const noSignals = (): Signals => {
  throw new Error('only run asks for signals');
};

/** One command line, to its end. */
export async function runPublisher(
  argv: readonly string[],
  signals: () => Signals = noSignals,
): Promise<Ran> {
  let out = '';
  let err = '';
  const terminal: Terminal = {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    isTty: false,
    noColor: true,
    columns: 100,
  };
  const outcome: Outcome = { exit: 0 };
  const program = buildPublisherProgram({
    terminal,
    host: buildPublisherHost(),
    outcome,
    signals,
  });
  const exit = await runCommand(program, argv, terminal, outcome);
  return { exit, out, err };
}

export class TestPublisher {
  readonly directory: string;
  readonly port: number;
  readonly initFlags: readonly string[];
  readonly #stop = new AbortController();
  #reload: () => void = () => undefined;
  #running: Promise<Ran> | undefined;

  constructor(directory: string, port: number, managers: readonly string[]) {
    this.directory = directory;
    this.port = port;
    this.initFlags = [
      ...['init', '--dir', directory, '--org', 'acme', '--url', `https://127.0.0.1:${port}`],
      ...['--listen', `127.0.0.1:${port}`],
      ...managers.flatMap((manager) => ['--manager', manager]),
    ];
  }

  run(command: string, ...flags: readonly string[]): Promise<Ran> {
    return runPublisher([command, '--dir', this.directory, ...flags]);
  }

  /** The JSON that a command prints; its exit code is the caller's business. */
  async json(command: string, ...flags: readonly string[]) {
    return JSON.parse((await this.run(command, '--json', ...flags)).out);
  }

  edit(from: string | RegExp, to: string): void {
    const path = join(this.directory, 'publisher.yml');
    writeFileSync(path, readFileSync(path, 'utf8').replace(from, to));
  }

  /** `run`, until `stop`. Resolves when it serves. */
  async start(): Promise<void> {
    this.#running = runPublisher(['run', '--dir', this.directory], () => ({
      stop: this.#stop.signal,
      onReload: (handler) => {
        this.#reload = handler;
        return () => undefined;
      },
    }));
    let isOver = false;
    const early = this.#running.then((ran) => {
      isOver = true;
      throw new Error(`run ended: ${ran.err}`);
    });
    early.catch(() => undefined);
    await Promise.race([early, this.#untilServed(() => isOver)]);
  }

  async #untilServed(isOver: () => boolean): Promise<void> {
    const endAtMs = performance.now() + 60_000;
    while (performance.now() < endAtMs && !isOver()) {
      const answer = await this.get('/livez').catch(() => undefined);
      if (answer?.status === 200) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error('it does not serve');
  }

  reload(): void {
    this.#reload();
  }

  async stop(): Promise<Ran | undefined> {
    this.#stop.abort(new DOMException('asked to stop', 'AbortError'));
    return await this.#running;
  }

  /** State of each manager of the list that is served, by id. */
  async states(): Promise<Readonly<Record<string, string>>> {
    const { payload } = JSON.parse((await this.get('/v1/list')).body.toString());
    const { managers } = JSON.parse(Buffer.from(payload, 'base64url').toString());
    return Object.fromEntries(
      managers.map(({ id, state }: { id: string; state: string }) => [id, state]),
    );
  }

  /** One answer; a busy test process makes the publisher shed, which is asked again as told. */
  async get(path: string, headers: Readonly<Record<string, string>> = {}) {
    const endAtMs = performance.now() + 60_000;
    for (;;) {
      const answer = await this.#getOnce(path, headers);
      const isShed = answer.status === 503 && answer.body.includes('"busy"');
      if (!isShed || performance.now() > endAtMs) return answer;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  #getOnce(path: string, headers: Readonly<Record<string, string>>) {
    const { promise, resolve, reject } = Promise.withResolvers<{
      status: number | undefined;
      etag: string | undefined;
      body: Buffer;
    }>();
    const ca = readFileSync(join(this.directory, 'ca.crt'));
    const sent = request({ host: '127.0.0.1', port: this.port, path, ca, headers, agent: false });
    sent.on('error', reject);
    sent.on('response', (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () =>
        resolve({
          status: response.statusCode,
          etag: response.headers.etag,
          body: Buffer.concat(parts),
        }),
      );
    });
    sent.end();
    return promise;
  }
}

/** An initialised publisher with a quiet log; stopped with the test. */
export async function initPublisherDirectory(
  t: TestContext,
  managers: readonly string[] = ['10.0.0.1', '10.0.0.2', '10.0.0.3'],
): Promise<TestPublisher> {
  const port = await freePort('127.0.0.1');
  const publisher = new TestPublisher(join(scratchDirectory(t), 'p'), port, managers);
  const { exit, err } = await runPublisher(publisher.initFlags);
  if (exit !== 0) throw new Error(err);
  publisher.edit('level: info', 'level: silent');
  t.after(() => publisher.stop());
  return publisher;
}
