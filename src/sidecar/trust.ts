/**
 * From remembered bytes back to proven values. The state directory is ours, yet nothing read from
 * it is believed: the root chain starts at its pin and every link is verified again, the list too.
 */
import type { StoredRoot } from '../applier/memory.ts';
import type { Audience, JoinToken } from '../list/model.ts';
import { type AcceptedRoot, verifyNextRoot, verifyPinnedRoot } from '../list/root.ts';
import { parseToken } from '../list/token.ts';
import { type StoredList, verifyStoredList, type Zone } from '../list/verify.ts';
import type { AcceptedList, Memory } from './memory.ts';

export interface Trust {
  readonly token: JoinToken;
  readonly audience: Audience;
  /** Of this host; its lists are seen from there. */
  readonly zone: Zone;
  /** The newest proven root, with its bytes. */
  readonly newest: AcceptedRoot & StoredRoot;
  /** The list in use. */
  readonly list?: StoredList;
  /** Accepted, but its rollout has not reached this host. */
  readonly pending?: StoredList;
}

/** Throws ListError when the remembered bytes do not prove themselves. */
export async function readTrust(
  memory: Memory,
  nowMs: number,
  zoneName: string | undefined,
): Promise<Trust> {
  const token = parseToken(memory.token);
  const audience = { group: token.group, site: token.site };
  const zone = { name: zoneName };
  const newest = await walkStoredRoots(memory, token.org);
  const prove = (stored: AcceptedList | undefined): Promise<StoredList> | undefined =>
    stored === undefined
      ? undefined
      : proveStored(stored, { org: token.org, audience, zone, nowMs });
  const list = await prove(memory.list);
  const pending = await prove(memory.pending);
  return {
    token,
    audience,
    zone,
    newest,
    ...(list === undefined ? {} : { list }),
    ...(pending === undefined ? {} : { pending }),
  };
}

async function walkStoredRoots(memory: Memory, org: string): Promise<AcceptedRoot & StoredRoot> {
  const [first = new Uint8Array(), ...later] = memory.roots;
  let newest = {
    ...(await verifyPinnedRoot(first, { org, rootHash: memory.rootPin })),
    envelope: first,
  };
  for (const envelope of later) {
    newest = { ...(await verifyNextRoot(newest.root, envelope)), envelope };
  }
  return newest;
}

async function proveStored(
  stored: AcceptedList,
  ground: {
    readonly org: string;
    readonly audience: Audience;
    readonly zone: Zone;
    readonly nowMs: number;
  },
): Promise<StoredList> {
  const pin = { org: ground.org, rootHash: stored.root.hash };
  const { root } = await verifyPinnedRoot(stored.root.envelope, pin);
  const { audience, zone, nowMs } = ground;
  return verifyStoredList({ envelope: stored.envelope, root, audience, zone, nowMs });
}

/** Proves again only when the remembered bytes are others than last time. */
export class TrustReader {
  readonly #zone: string | undefined;
  #memory: Memory | undefined;
  #trust: Trust | undefined;

  /** `zone`: this host's own, by its configuration. */
  constructor(zone: string | undefined) {
    this.#zone = zone;
  }

  async read(memory: Memory, nowMs: number): Promise<Trust> {
    const last = this.#memory;
    const isSame =
      last !== undefined &&
      last.token === memory.token &&
      last.roots === memory.roots &&
      last.list === memory.list &&
      last.pending === memory.pending;
    if (!isSame || this.#trust === undefined) {
      this.#trust = await readTrust(memory, nowMs, this.#zone);
    }
    this.#memory = memory;
    return this.#trust;
  }
}
