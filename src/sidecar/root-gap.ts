/**
 * An applier may be further behind than the chain of roots that the sidecar keeps: it learns roots
 * only when there is something to apply. What lies between is fetched again and offered in steps,
 * each as long as one request may be. Nothing is proven here: the applier believes no root that does
 * not follow from its own.
 */
import type { ApplyRequest } from '../applier/request.ts';
import type { ApplyResult } from '../applier/result.ts';
import { versionOf } from '../applier/verify-again.ts';
import { deadline } from '../clock.ts';
import { PilotfishError } from '../errors.ts';
import { listLimits, type PublisherAddress } from '../list/model.ts';
import { rootPathsOf } from '../list/shared-names.ts';
import { publishersOf, type SourceWorld } from './source.ts';

export interface RootGap {
  /** The applier's own root, as far as it shows. */
  ownRoot(): Promise<Uint8Array | undefined>;
  /** Roots of these versions, in order; fewer where they end. Never throws PilotfishError. */
  read(from: number, to: number): Promise<readonly Uint8Array[]>;
}

/** Steps per order; who is further behind goes on with the next one. */
const maxSteps = 4;

/** `submit` refuses the list as often as not: its root is not reached yet. What counts is kept there. */
export async function closeRootGap(
  { ownRoot, read }: RootGap,
  request: ApplyRequest,
  submit: (request: ApplyRequest) => Promise<ApplyResult>,
): Promise<void> {
  let reached = 0;
  for (let step = 0; step < maxSteps; step += 1) {
    const [own, oldest] = [await ownRoot(), request.rootEnvelopes[0]];
    if (own === undefined || oldest === undefined) return;
    const from = versionOf(own) + 1;
    if (from === reached) return; // it did not take them
    reached = from;
    const to = Math.min(versionOf(oldest), from + listLimits.maxRootsPerRun) - 1;
    const rootEnvelopes = from > to ? [] : await read(from, to);
    if (rootEnvelopes.length === 0) return;
    await submit({ ...request, rootEnvelopes, move: false });
  }
}

const limitMs = 20_000;

/** From the first source that has any of them: publishers, then files. */
export async function readOldRoots(
  world: SourceWorld,
  known: readonly PublisherAddress[],
  [from, to]: readonly [number, number],
): Promise<readonly Uint8Array[]> {
  const limit = deadline(world.clock, limitMs);
  const readers = [
    ...publishersOf(world, known).map((one) => askPublisher(world, one, limit.signal)),
    ...world.filePaths.map((path) => readFiles(world, path)),
  ];
  try {
    for (const read of readers) {
      const found = await walk(read, from, to);
      if (found.length > 0) return found;
    }
    return [];
  } finally {
    limit.cancel();
  }
}

type ReadRoot = (version: number) => Promise<Uint8Array | undefined>;

async function walk(read: ReadRoot, from: number, to: number): Promise<readonly Uint8Array[]> {
  const found: Uint8Array[] = [];
  while (from + found.length <= to) {
    const envelope = await read(from + found.length);
    if (envelope === undefined || envelope.length > listLimits.maxEnvelopeBytes) break;
    found.push(envelope);
  }
  return found;
}

function askPublisher(
  { link }: SourceWorld,
  { url, spki }: PublisherAddress,
  signal: AbortSignal,
): ReadRoot {
  const maxBytes = listLimits.maxEnvelopeBytes;
  return async (version) => {
    const question = { url, pins: spki, path: `/v1/root/${version}`, waitMs: 0, maxBytes };
    try {
      const answer = await link.ask(question, signal);
      return answer.kind === 'document' ? answer.body : undefined;
    } catch (error) {
      if (error instanceof PilotfishError || signal.aborted) return undefined; // the next source
      throw error;
    }
  };
}

function readFiles({ files }: SourceWorld, path: string): ReadRoot {
  return async (version) => {
    for (const candidate of rootPathsOf(path, version)) {
      const bytes = await files.read(candidate, listLimits.maxEnvelopeBytes).catch(() => undefined);
      if (bytes !== undefined) return bytes;
    }
    return undefined;
  };
}
