/**
 * `pilotfish apply --spool DIR`: the one-shot root program between an unprivileged sidecar and the
 * agent. It takes requests that were laid down as bytes, applies each, reports each by the hash of
 * its bytes, and ends when nothing is left.
 */
import { encodeUtf8, sha256Tag } from '../bytes.ts';
import { PilotfishError } from '../errors.ts';
import { applyUnless } from './apply.ts';
import { encodeMemory, newMemory } from './memory.ts';
import { outcomeOf } from './outcome.ts';
import { finish, newProgress } from './progress.ts';
import { type ApplyRequest, isRestoreRequest, parseApplyRequest } from './request.ts';
import { restoreMissing, resume } from './restore.ts';
import type { ApplyResult } from './result.ts';
import { trustRoot } from './verify-again.ts';
import type { ApplierWorld } from './world.ts';

/** A request as it lies in the spool; `done` removes exactly this one. */
export interface SpooledRequest {
  readonly bytes: Uint8Array;
  /** The asker took it away or laid down another one: it wants something else by now. */
  isWithdrawn(): Promise<boolean>;
  done(): Promise<void>;
}

/** Port: the spool directory (not ours to trust) and the place of results (ours). */
export interface Spool {
  /** Undefined when nothing waits. Throws HostError for what cannot be a request (symlink, size). */
  take(): Promise<SpooledRequest | undefined>;
  report(bytes: Uint8Array): Promise<void>;
}

/** What the sidecar finds: `request` is the `sha256:` tag of the request bytes it answers. */
export interface SpoolReport {
  readonly request: string;
  readonly result: ApplyResult;
}

/** A sidecar that writes faster than we apply is met again at the next start. */
const maxRequestsPerRun = 16;

/** Finishes an interrupted run first. Returns every result, in order; the last one decides the exit. */
export async function applySpool(
  world: ApplierWorld,
  spool: Spool,
): Promise<readonly ApplyResult[]> {
  const results: ApplyResult[] = [];
  const hasRun = (await world.memory.read()) !== undefined;
  const resumed = hasRun ? await resume(world) : undefined;
  if (resumed?.outcome === 'moved') results.push(resumed);
  for (let count = 0; count < maxRequestsPerRun; count += 1) {
    const spooled = await spool.take();
    if (spooled === undefined) return results;
    const result = await applySpooled(world, spooled);
    const report: SpoolReport = { request: sha256Tag(spooled.bytes), result };
    // After the report, and whatever came of it: a request that stays is carried out over and over.
    await spool.report(encodeUtf8(`${JSON.stringify(report)}\n`)).finally(() => spooled.done());
    results.push(result);
  }
  return results;
}

/** The first request after a join by configuration brings the root that the token pins. */
async function groundByPin({ memory, pin }: ApplierWorld, request: ApplyRequest): Promise<void> {
  if (pin === undefined || (await memory.read()) !== undefined) return;
  for (const envelope of request.rootEnvelopes) {
    const trust = await trustRoot(envelope, pin, 0).catch(() => undefined); // another root
    if (trust === undefined) continue;
    await memory.write(encodeMemory({ ...newMemory(trust), audience: pin.audience }));
    return;
  }
}

async function applySpooled(world: ApplierWorld, spooled: SpooledRequest): Promise<ApplyResult> {
  const { clock } = world;
  const progress = newProgress(clock.nowMs(), clock.monotonicMs());
  try {
    if (isRestoreRequest(spooled.bytes)) return await restoreMissing(world);
    const request = parseApplyRequest(spooled.bytes);
    await groundByPin(world, request);
    return await applyUnless(world, request, () => spooled.isWithdrawn());
  } catch (error) {
    if (!(error instanceof PilotfishError)) throw error;
    const outcome = outcomeOf(error.reason);
    return finish(progress, { outcome, reason: error, monotonicMs: clock.monotonicMs() });
  }
}
