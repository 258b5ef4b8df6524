/**
 * ossec.conf on Windows: `ReplaceFileW` keeps the DACL, streams and creation time of the file that
 * is replaced. Node cannot call it, so PowerShell's `[IO.File]::Replace` does; the content lies in
 * a temp file that only SYSTEM and Administrators may read. Not shown here: behaviour on a real
 * NTFS under a kill in the middle of the call; the documented half states are recovered.
 */
import { open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type {
  BackupStore,
  ConfigFile,
  ConfigSnapshot,
  Replacement,
} from '../applier/config-file.ts';
import { equalBytes, sha256Tag } from '../bytes.ts';
import { type Clock, type Random, sleep } from '../clock.ts';
import { AgentError, HostError, PilotfishError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';
import { identityOf } from './config-folder.ts';
import { writeFully } from './two-generation-file.ts';
import { leftoverPattern, planRecovery, type RecoveryStep } from './windows-recovery.ts';

/** What Windows does for us; `host/windows-tools.ts` has the real one. */
export interface WindowsTools {
  /** Leaves `path` to SYSTEM and Administrators. */
  protect(path: string): Promise<void>;
  /** `ReplaceFileW(target, replacement, backup)`: undefined, or the Win32 error. */
  replaceFile(target: string, replacement: string, backup: string): Promise<number | undefined>;
}

export interface WindowsConfigFileOptions {
  readonly path: string;
  readonly maxBytes: number;
  readonly backups: BackupStore;
  readonly tools: WindowsTools;
  readonly clock: Clock;
  readonly random: Random;
}

/** ERROR_SHARING_VIOLATION and ERROR_LOCK_VIOLATION: virus scanners and editors let go soon. */
const passingErrors: readonly number[] = [32, 33];
const tries = 10;

export function openWindowsConfigFile(options: WindowsConfigFileOptions): ConfigFile {
  return {
    recover: () => explained(options, () => recover(options)),
    read: () => readSnapshot(options),
    replace: (before, bytes) => explained(options, () => replace(options, before, bytes)),
    create: (bytes) =>
      explained(options, async () => {
        await createTarget(options, bytes);
        return {
          kind: 'renamed',
          notes: ['made anew: only SYSTEM and Administrators may read it'],
        };
      }),
  };
}

async function readSnapshot({ path, maxBytes }: WindowsConfigFileOptions): Promise<ConfigSnapshot> {
  try {
    const stats = await stat(path, { bigint: true });
    if (!stats.isFile() || stats.nlink !== 1n) {
      throw new AgentError('not_regular', `${path} is not a plain file of one name`);
    }
    if (stats.size > maxBytes) throw new AgentError('not_regular', `${path} is too long`);
    const bytes = await readFile(path);
    return { bytes, hash: sha256Tag(bytes), identity: identityOf(stats) };
  } catch (error) {
    if (error instanceof PilotfishError) throw error;
    if (systemCodeOf(error) === 'ENOENT') {
      throw new AgentError('not_found', `${path} does not exist`, { cause: error });
    }
    throw new HostError('write_failed', `${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** protected temp -> bytes, flushed -> read back -> backup -> unchanged? ReplaceFileW -> read back */
async function replace(
  options: WindowsConfigFileOptions,
  before: ConfigSnapshot,
  bytes: Uint8Array,
): Promise<Replacement> {
  const folder = dirname(options.path);
  const nonce = Buffer.from(options.random.bytes(12)).toString('hex');
  const temp = join(folder, `pf-${nonce}.new`);
  const backup = join(folder, `pf-${nonce}.bak`);
  try {
    await writeTemp(options, temp, bytes);
    await options.backups.keep(before.bytes);
    const now = await readSnapshot(options);
    if (now.identity !== before.identity || now.hash !== before.hash) {
      throw new AgentError('changed_meanwhile', `${options.path} was changed since it was read`);
    }
    await callReplace(options, temp, backup);
    await refuseOtherThan(before, backup, options.path);
    if (!equalBytes(await readFile(options.path), bytes)) {
      throw new HostError('write_failed', 'the new file does not read back as it was written');
    }
    return { kind: 'renamed', notes: [] };
  } finally {
    await recover(options); // leftovers on success, the old file back after a half replace
  }
}

/** The call takes long enough for an editor to save: then what it replaced goes back. */
async function refuseOtherThan(
  before: ConfigSnapshot,
  backup: string,
  path: string,
): Promise<void> {
  const replaced = await readFile(backup).catch(() => undefined);
  if (replaced === undefined || sha256Tag(replaced) === before.hash) return;
  await rename(backup, path);
  throw new AgentError('changed_meanwhile', `${path} was changed while it was replaced`);
}

async function writeTemp(
  { tools }: WindowsConfigFileOptions,
  temp: string,
  bytes: Uint8Array,
): Promise<void> {
  const handle = await open(temp, 'wx');
  try {
    await tools.protect(temp); // before any content
    await writeFully(handle, bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
  if (!equalBytes(await readFile(temp), bytes)) {
    throw new HostError('write_failed', 'the new file does not read back as it was written');
  }
}

async function callReplace(
  { tools, path, clock, random }: WindowsConfigFileOptions,
  temp: string,
  backup: string,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const error = await tools.replaceFile(path, temp, backup);
    if (error === undefined) return;
    if (!passingErrors.includes(error) || attempt === tries) {
      throw new HostError('write_failed', `${path}: ReplaceFile failed with error ${error}`);
    }
    await sleep(clock, 50 + random.fraction() * 450);
  }
}

async function recover(options: WindowsConfigFileOptions): Promise<readonly string[]> {
  const folder = dirname(options.path);
  const names = (await readdir(folder)).filter((name) => leftoverPattern.test(name));
  const steps = planRecovery({
    target: await isThere(options.path),
    backups: names.filter((name) => name.endsWith('.bak')),
    temps: names.filter((name) => name.endsWith('.new')),
  });
  const notes: string[] = [];
  for (const step of steps) notes.push(await recoverStep(options, step));
  return notes;
}

async function recoverStep(options: WindowsConfigFileOptions, step: RecoveryStep): Promise<string> {
  const { path, backups } = options;
  const at = (name: string): string => join(dirname(path), name);
  switch (step.kind) {
    case 'remove':
      await unlink(at(step.name)).catch(() => undefined); // held open: the next run removes it
      return `removed ${step.name}`;
    case 'rename_to_target':
      await rename(at(step.name), path);
      return `${path} was missing: put back from ${step.name}`;
    default:
      await createTarget(options, await backups.read(1));
      return `${path} was missing: put back from the newest backup generation`;
  }
}

/** Whole or not at all: a rename onto a name that nobody has. */
async function createTarget(options: WindowsConfigFileOptions, bytes: Uint8Array): Promise<void> {
  const { path, random } = options;
  const nonce = Buffer.from(random.bytes(12)).toString('hex');
  const temp = join(dirname(path), `pf-${nonce}.new`);
  await writeTemp(options, temp, bytes);
  if (await isThere(path)) {
    await unlink(temp).catch(() => undefined); // the next recovery removes it
    throw new AgentError('changed_meanwhile', `${path} came back while it was made anew`);
  }
  await rename(temp, path);
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function explained<Value>(
  { path }: WindowsConfigFileOptions,
  work: () => Promise<Value>,
): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PilotfishError) throw error;
    throw new HostError('write_failed', `${path}: ${messageOf(error)}`, { cause: error });
  }
}
