/** The applier put together from real parts: in this process, or behind a spool directory. */
import { join } from 'node:path';
import { apply } from '../applier/apply.ts';
import { encodeMemory, newMemory, parseMemory } from '../applier/memory.ts';
import { type ApplyRequest, encodeApplyRequest, restoreRequest } from '../applier/request.ts';
import { restoreMissing, resume } from '../applier/restore.ts';
import type { ApplyResult } from '../applier/result.ts';
import type { ApplierSettings } from '../applier/settings.ts';
import { trustRoot } from '../applier/verify-again.ts';
import type { ApplierWorld } from '../applier/world.ts';
import { equalBytes } from '../bytes.ts';
import { sleep } from '../clock.ts';
import { HostError } from '../errors.ts';
import type { Prober } from '../health/probe.ts';
import { openAgentLog } from '../host/agent-log-file.ts';
import { openAgent, openConfigFile, openControl } from '../host/agent-platform.ts';
import { openPreflight } from '../host/agent-preflight.ts';
import { openBackupStore } from '../host/backup-store.ts';
import { acquireLock } from '../host/lock.ts';
import { readBounded } from '../host/read-bounded.ts';
import {
  readReport,
  readSharedMemory,
  submitRequest,
  withdrawRequest,
} from '../host/spool-directory.ts';
import { systemClock as clock, systemRandom as random } from '../host/system-clock.ts';
import { openTwoGenerationFile, type TwoGenerationFile } from '../host/two-generation-file.ts';
import type { Audience } from '../list/model.ts';
import type { Log } from '../log.ts';
import { applyWithFewestRoots } from '../sidecar/fewest-roots.ts';
import { closeRootGap, type RootGap } from '../sidecar/root-gap.ts';
import type { Applier } from '../sidecar/world.ts';
import type { AgentHome } from '../wazuh/agent-home.ts';

const maxSharedBytes = 8 * 1024 * 1024;

export interface ApplierParts {
  readonly home: AgentHome;
  readonly applierDirectory: string;
  readonly settings: ApplierSettings;
  readonly log: Log;
  readonly prober: Prober;
  readonly probeDeadlineMs: number;
}

export function buildApplierWorld(parts: ApplierParts): ApplierWorld {
  const { home, settings, log, applierDirectory: stateDirectory } = parts;
  const backups = openBackupStore(join(stateDirectory, 'backups'));
  const shared = { clock, random };
  return {
    settings,
    home,
    clock,
    log,
    memory: openTwoGenerationFile(join(stateDirectory, 'memory')),
    file: openConfigFile({ ...shared, home, stateDirectory, backups }),
    backups,
    agent: openAgent(home, clock),
    control: openControl({ home, clock, log }),
    preflight: openPreflight(home, stateDirectory),
    agentLog: openAgentLog(home.logPath),
    // The agent's user may write there: a FIFO or an endless file must not hold us up.
    readSharedConfig: async () =>
      (await readBounded(home.sharedConfigPath, maxSharedBytes)) ?? Buffer.alloc(0),
    lock: () =>
      acquireLock({ path: join(stateDirectory, 'apply.lock'), reason: 'lock_held', ...shared }),
    countHealthy: (servers) => countHealthy(parts, servers),
  };
}

/** Of one that runs apart: it has no network to ask managers over. */
export function withoutNetwork(world: ApplierWorld): ApplierWorld {
  const { countHealthy: _, ...rest } = world;
  return rest;
}

async function countHealthy(
  { prober, probeDeadlineMs }: ApplierParts,
  servers: readonly { readonly address: string; readonly port: number }[],
): Promise<number> {
  const outcomes = await Promise.all(
    servers.map((server) => prober.probe({ ...server, kind: 'ping-tcp' }, probeDeadlineMs)),
  );
  return outcomes.filter(({ kind }) => kind === 'alive').length;
}

/** `readRoots` has those that the sidecar has forgotten, see `root-gap.ts`. */
export type ReadRoots = RootGap['read'];

/** The applier in this process. */
export function buildDirectApplier(world: ApplierWorld, readRoots: ReadRoots): Applier {
  const ownRoot = async (): Promise<Uint8Array | undefined> => rootOf(await world.memory.read());
  return {
    async apply(request: ApplyRequest, signal?: AbortSignal) {
      await closeRootGap({ ownRoot, read: readRoots }, request, (step) => apply(world, step));
      const rootEnvelopes = rootsAfter(await ownRoot(), request.rootEnvelopes);
      return apply(world, { ...request, rootEnvelopes }, signal);
    },
    restoreNewest: () => restoreMissing(world),
  };
}

function rootOf(memory: Uint8Array | undefined): Uint8Array | undefined {
  return memory && parseMemory(memory).trust.root.envelope;
}

/** Only roots behind the applier's own are worth sending: it passes over older ones. */
function rootsAfter(
  own: Uint8Array | undefined,
  roots: readonly Uint8Array[],
): readonly Uint8Array[] {
  if (own === undefined) return roots;
  return roots.slice(roots.findIndex((root) => equalBytes(root, own)) + 1);
}

/** Finishes what a kill interrupted. */
export function resumeApplier(world: ApplierWorld): Promise<ApplyResult> {
  return resume(world);
}

/** The root that the token pinned becomes the applier's ground; what it already reached stays. */
export async function trustFirstRoot(
  file: TwoGenerationFile,
  root: { readonly envelope: Uint8Array; readonly hash: string },
  { org, audience, reset }: FirstTrust,
): Promise<void> {
  const bytes = reset ? undefined : await file.read();
  const before = bytes === undefined ? undefined : parseMemory(bytes);
  const pin = { org, rootHash: root.hash };
  const memory =
    before?.trust.org === org ? before : newMemory(await trustRoot(root.envelope, pin, 0));
  await file.write(encodeMemory({ ...memory, audience }));
}

export interface FirstTrust {
  readonly org: string;
  /** Of the join token. */
  readonly audience: Audience;
  /** Forget everything first. */
  readonly reset: boolean;
}

export interface SpoolParts {
  readonly spool: string;
  readonly results: string;
  /** Longest wait for a result: the applier's own limits and some room. */
  readonly timeoutMs: number;
}

/** An applier that runs as another user: it finds the request by file, we find its report. */
export function buildSpoolApplier(parts: SpoolParts, readRoots: ReadRoots): Applier {
  const { results } = parts;
  const ownRoot = async (): Promise<Uint8Array | undefined> =>
    rootOf(await readSharedMemory(results));
  return {
    async apply(request: ApplyRequest, signal?: AbortSignal) {
      const submit = (one: ApplyRequest): Promise<ApplyResult> =>
        askThroughSpool(encodeApplyRequest(one), parts, signal);
      await closeRootGap({ ownRoot, read: readRoots }, request, submit);
      const own = await ownRoot();
      const first = own === undefined ? 1 : rootsAfter(own, request.rootEnvelopes).length;
      return applyWithFewestRoots(request, submit, first);
    },
    restoreNewest: () => askThroughSpool(restoreRequest, parts),
  };
}

const lookMs = 200;
/** A request that was taken back before the applier saw it is never reported. */
const withdrawnMs = 10_000;

async function askThroughSpool(
  request: Uint8Array,
  { spool, results, timeoutMs }: SpoolParts,
  giveUp?: AbortSignal,
): Promise<ApplyResult> {
  const tag = await submitRequest(spool, request);
  let waitMs = timeoutMs;
  let isWithdrawn = false;
  for (let since = clock.monotonicMs(); clock.monotonicMs() - since < waitMs; ) {
    const report = await readReport(results, tag);
    if (report !== undefined) return report.result;
    if (giveUp?.aborted === true && !isWithdrawn) {
      isWithdrawn = true;
      waitMs = Math.min(waitMs, withdrawnMs);
      since = clock.monotonicMs();
      await withdrawRequest(spool);
    }
    await sleep(clock, lookMs);
  }
  // Else it would be carried out whenever an applier starts, against an agent that is well by then.
  await withdrawRequest(spool);
  const seen = `no result in ${results} within ${waitMs / 1000} s: does the applier run?`;
  throw new HostError('lock_held', seen);
}
