/**
 * What a node remembers of the master's role, in the publisher's directory: `cluster-role.json`, the
 * status for `promotion status`, an operator's order, and copies of client.keys that were put aside.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { isJsonObject, messageOf, systemCodeOf } from '../guards.ts';
import type { Log } from '../log.ts';
import type { StrayKey } from '../promotion/client-keys.ts';
import type {
  Order,
  PromotionStatus,
  RoleBook,
  RoleMemory,
  StrayFile,
} from '../promotion/ports.ts';
import { parseRecord } from '../promotion/record.ts';
import { readJson, writeJson } from './cluster-books.ts';
import { asHostErrors } from './host-error.ts';
import { writeDurably } from './two-generation-file.ts';

const orderShape = z.object({
  kind: z.enum(['promote', 'demote']),
  force: z.boolean(),
  id: z.string().max(64),
  atMs: z.number(),
});

const names = {
  memory: 'cluster-role.json',
  order: 'promotion-order.json',
  status: 'promotion-status.json',
  folder: 'stray-keys',
} as const;
const copyShape = /^client\.keys\.(\d{1,15})$/;
const strayShape = /^stray-(\d{1,15})\.json$/;

export class RoleBookFiles implements RoleBook {
  readonly #folder: string;
  readonly #log: Log;
  /** By path, as read last. */
  #strays: ReadonlyMap<string, StrayFile> = new Map();
  #whyUnread = '';

  constructor(folder: string, log: Log) {
    this.#folder = folder;
    this.#log = log;
  }

  read(): RoleMemory {
    const value = readJson(join(this.#folder, names.memory), this.#log);
    const known = isJsonObject(value) ? value : {};
    const record = isJsonObject(known.record)
      ? parseRecord(Buffer.from(JSON.stringify(known.record)))
      : undefined;
    return {
      greatestToken: tokenOf(known.greatestToken),
      ownToken: tokenOf(known.ownToken),
      wasMaster: known.wasMaster === true,
      record,
    };
  }

  write(memory: RoleMemory): boolean {
    return writeJson(join(this.#folder, names.memory), memory, this.#log);
  }

  takeOrder(): Order | undefined {
    const path = join(this.#folder, names.order);
    const value = readJson(path, this.#log);
    if (value === undefined) return undefined;
    rmSync(path, { force: true });
    return orderShape.safeParse(value).data;
  }

  /** For the command: the running node takes it with its next look. */
  order(order: Order): void {
    writeJson(join(this.#folder, names.order), order, this.#log);
  }

  tell(status: PromotionStatus): void {
    writeJson(join(this.#folder, names.status), status, this.#log);
  }

  /** What the running node told last. */
  told(): PromotionStatus | undefined {
    const value = readJson(join(this.#folder, names.status), this.#log);
    return isJsonObject(value) ? (value as unknown as PromotionStatus) : undefined;
  }

  putAside(token: number, bytes: Buffer): Promise<void> {
    return asHostErrors(names.folder, async () => {
      const path = this.#pathOf(`client.keys.${token}`);
      // One that was not settled is older, and may hold what a sync has taken out of the file since.
      if (!existsSync(path)) await writeDurably(path, bytes);
    });
  }

  aside(): Promise<readonly { readonly token: number; readonly bytes: Buffer }[]> {
    return asHostErrors(names.folder, async () =>
      this.#list(copyShape).map(({ token, path }) => ({ token, bytes: readFileSync(path) })),
    );
  }

  settleAside(token: number, strays: readonly StrayKey[]): Promise<string> {
    return asHostErrors(names.folder, async () => {
      const path = this.#pathOf(`stray-${token}.json`);
      const text = `${JSON.stringify({ keys: strays }, undefined, 2)}\n`;
      if (strays.length > 0) await writeDurably(path, Buffer.from(text));
      rmSync(this.#pathOf(`client.keys.${token}`), { force: true });
      this.#strays = new Map();
      return path;
    });
  }

  /** Read once; an operator who removes a file is seen by its absence. */
  strays(): readonly StrayFile[] {
    try {
      const paths = this.#list(strayShape).map(({ path }) => path);
      this.#strays = new Map(
        paths.map((path) => [path, this.#strays.get(path) ?? this.#readStrays(path)]),
      );
      this.#whyUnread = '';
    } catch (error) {
      this.#tellUnread(messageOf(error));
    }
    return [...this.#strays.values()];
  }

  /** It is asked for every second. */
  #tellUnread(reason: string): void {
    if (reason !== this.#whyUnread) this.#log.warn('promotion.strays_unreadable', { reason });
    this.#whyUnread = reason;
  }

  #readStrays(path: string): StrayFile {
    const value = readJson(path, this.#log);
    const list = isJsonObject(value) && Array.isArray(value.keys) ? value.keys : [];
    const keys = list.flatMap((one: unknown) => {
      if (!isJsonObject(one)) return [];
      const { id, name, kind } = one;
      const isKind = kind === 'missing' || kind === 'other' || kind === 'removed';
      if (typeof id !== 'string' || typeof name !== 'string' || !isKind) return [];
      return [{ id, name, kind } as const];
    });
    return { path, keys };
  }

  #list(shape: RegExp): readonly { readonly token: number; readonly path: string }[] {
    return this.#names().flatMap((name) => {
      const [, token] = shape.exec(name) ?? [];
      return token === undefined ? [] : [{ token: Number(token), path: this.#pathOf(name) }];
    });
  }

  #names(): readonly string[] {
    try {
      return readdirSync(join(this.#folder, names.folder)).sort();
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return [];
      throw error;
    }
  }

  #pathOf(name: string): string {
    const folder = join(this.#folder, names.folder);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return join(folder, name);
  }
}

function tokenOf(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0;
}
