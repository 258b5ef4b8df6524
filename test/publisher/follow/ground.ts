/** A follower with a real folder to look at and a real service, and lists that somebody signs. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { sha256Tag } from '../../../src/bytes.ts';
import type { Clock } from '../../../src/clock.ts';
import { openFollowedFile } from '../../../src/host/followed-file.ts';
import { readBounded } from '../../../src/host/read-bounded.ts';
import { systemClock } from '../../../src/host/system-clock.ts';
import { signFlat } from '../../../src/list/flat.ts';
import type { Root } from '../../../src/list/model.ts';
import { renderRoot } from '../../../src/list/parse-root.ts';
import { type SigningKey, signDocument } from '../../../src/list/sign.ts';
import { silentLog } from '../../../src/log.ts';
import { Complaints } from '../../../src/publisher/complaints.ts';
import { buildConnectionLedger } from '../../../src/publisher/connection-ledger.ts';
import { Follower } from '../../../src/publisher/follow/follower.ts';
import { buildPathSource } from '../../../src/publisher/follow/path-source.ts';
import type { FollowTrust, Held } from '../../../src/publisher/follow/take.ts';
import { buildListService } from '../../../src/publisher/list-service.ts';
import { publishConfigured } from '../../../src/publisher/orders.ts';
import { listOf, publish } from '../../../src/publisher/publish.ts';
import { siteFiles } from '../../../src/publisher/static-site.ts';
import { configuredOf, listKey, openDesk, rootKey, rootOf, startMs } from '../fixture.ts';
import { looseLimits } from '../server-fixture.ts';

export function signRoot(root: Root, keys: readonly SigningKey[] = [rootKey]): Uint8Array {
  return signDocument('root', renderRoot(root), keys);
}

export const firstRoot = signRoot(rootOf());

export const trust: FollowTrust = {
  org: 'acme',
  rootHash: sha256Tag(renderRoot(rootOf())),
  rootVersion: 1,
  group: 'default',
  site: 'default',
};

/** The files of versions 1, 2 … as `export` writes them, each with other managers. */
export async function signVersions(t: TestContext, ...managers: readonly string[][]) {
  const desk = await openDesk(t);
  const versions = [];
  for (const names of managers) {
    const { entry } = await publish(desk, publishConfigured(configuredOf(...names)));
    const flat = signFlat(listOf(entry), entry.hash, listKey);
    versions.push({
      entry,
      files: siteFiles({ newest: entry, roots: new Map([[1, firstRoot]]), flat }),
    });
  }
  return versions;
}

export type Signed = Awaited<ReturnType<typeof signVersions>>[number];

/** Whoever sleeps ends the run: every source has then looked once. */
class OneRoundClock implements Clock {
  atMs = startMs + 1_000;
  readonly stop = new AbortController();

  nowMs(): number {
    return this.atMs;
  }

  monotonicMs(): number {
    return this.atMs;
  }

  after(_delayMs: number, handler: () => void): () => void {
    this.stop.abort();
    handler();
    return () => undefined;
  }
}

export class FollowerGround {
  readonly site: string;
  readonly clock = new OneRoundClock();
  readonly complaints = new Complaints(silentLog, () => this.clock.nowMs());
  readonly service = buildListService({
    clock: systemClock,
    ledger: buildConnectionLedger(looseLimits),
    maxReceiptsPerSecond: 10,
    isBusy: () => false,
  });
  readonly news: Held[] = [];
  readonly follower: Follower;
  readonly source;

  constructor(folder: string, pinned: FollowTrust = trust) {
    this.site = join(folder, 'site');
    this.source = buildPathSource(this.site, { read: readBounded });
    this.follower = new Follower({
      clock: this.clock,
      log: silentLog,
      complaints: this.complaints,
      service: this.service,
      file: openFollowedFile(folder),
      sources: [this.source],
      trust: pinned,
      onNews: (held) => this.news.push(held),
    });
  }

  put(files: Iterable<{ readonly name: string; readonly bytes: Uint8Array }>): void {
    for (const { name, bytes } of files) {
      mkdirSync(dirname(join(this.site, name)), { recursive: true });
      writeFileSync(join(this.site, name), bytes);
    }
  }

  read(name: string): Buffer {
    return readFileSync(join(this.site, name));
  }

  /** One look at the folder, as the loop makes it; rejects with what the loop would complain of. */
  async look(): Promise<'taken' | 'nothing'> {
    const held = this.follower.held;
    const known = { list: held?.proven, root: held?.chain.newest.root };
    const look = await this.source.look(known, new AbortController().signal);
    if (look.kind === 'nothing') return 'nothing';
    return (await this.follower.offer(look.offer, this.source.name)) ? 'taken' : 'nothing';
  }

  /** One round of the loop itself. */
  async round(): Promise<void> {
    await this.follower.run(this.clock.stop.signal);
  }

  get version(): number {
    return this.service.served()?.entry.version ?? 0;
  }
}
