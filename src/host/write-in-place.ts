/**
 * Overwriting ossec.conf where it is a mount point of its own (containers) and cannot be renamed
 * over. Journal first; the file grows by newlines before any byte changes, so a full disk is met
 * while the old content still stands (text after the root element means nothing to the agent).
 */
import { constants } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConfigSnapshot } from '../applier/config-file.ts';
import { equalBytes } from '../bytes.ts';
import { AgentError, HostError, PilotfishError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';
import { identityOf, readAll } from './config-folder.ts';
import { syncDirectory, writeDurably, writeFully } from './two-generation-file.ts';
import { decodeJournal, encodeJournal, judgeJournal } from './write-journal.ts';

const journalName = 'conf.journal';
const tornName = 'conf.torn';

/** Throws E502 when the file is no longer `before`, E506 with the old content put back. */
export async function writeInPlace(
  stateDirectory: string,
  original: FileHandle,
  before: ConfigSnapshot,
  bytes: Uint8Array,
): Promise<void> {
  const journal = join(stateDirectory, journalName);
  await writeDurably(journal, encodeJournal({ before: before.bytes, after: bytes }));
  const target = await openForWriting(original);
  try {
    if (identityOf(await target.stat({ bigint: true })) !== before.identity) {
      throw new AgentError('changed_meanwhile', 'ossec.conf was changed before it was overwritten');
    }
    await overwrite(target, before.bytes, bytes);
  } finally {
    await target.close();
  }
  await removeJournal(stateDirectory);
}

/**
 * Finishes an in-place write that a crash cut short. Returns notes; never touches foreign bytes. An
 * edit made since may look torn, byte for byte, so what is overwritten is kept beside.
 */
export async function replayJournal(
  stateDirectory: string,
  original: FileHandle,
): Promise<readonly string[]> {
  const path = join(stateDirectory, journalName);
  const written = await readOwn(path);
  if (written === undefined) return [`${path} is not ours alone: not believed`];
  const journal = decodeJournal(written);
  if (journal === undefined) return [];
  const { size } = await original.stat();
  const current = await readAll(original, size);
  const verdict = judgeJournal(current, journal);
  const notes = [`an interrupted in-place write was found: the file was ${verdict}`];
  if (verdict === 'torn') {
    notes.push(await keepTorn(stateDirectory, current));
    const target = await openForWriting(original);
    try {
      await overwrite(target, journal.before, journal.after);
    } finally {
      await target.close();
    }
  }
  await removeJournal(stateDirectory);
  return notes;
}

/** A disk that does not take it keeps no agent from a whole file: nearly always it is our own torso. */
async function keepTorn(stateDirectory: string, bytes: Uint8Array): Promise<string> {
  const path = join(stateDirectory, tornName);
  return writeDurably(path, bytes).then(
    () => `finished; should you have edited it since: what stood there is kept in ${path}`,
    (error: unknown) => `finished; what stood there could not be kept: ${messageOf(error)}`,
  );
}

/** The very file that was read, by its descriptor: no name is looked up again. */
async function openForWriting(original: FileHandle): Promise<FileHandle> {
  try {
    return await open(`/proc/self/fd/${original.fd}`, constants.O_RDWR);
  } catch (error) {
    throw new HostError('write_failed', `ossec.conf: ${messageOf(error)}`, { cause: error });
  }
}

async function overwrite(target: FileHandle, before: Uint8Array, after: Uint8Array): Promise<void> {
  try {
    await fill(target, after, before.length);
  } catch (error) {
    await fill(target, before, before.length).catch(() => undefined); // else the journal is replayed
    if (error instanceof PilotfishError) throw error;
    throw new HostError('write_failed', `ossec.conf: ${messageOf(error)}`, { cause: error });
  }
}

async function fill(target: FileHandle, bytes: Uint8Array, oldLength: number): Promise<void> {
  const growth = Math.max(0, bytes.length - oldLength);
  if (growth > 0) await writeAt(target, Buffer.alloc(growth, 0x0a), oldLength);
  await target.sync();
  await writeFully(target, bytes);
  await target.truncate(bytes.length);
  await target.sync();
  if (!equalBytes(await readAll(target, bytes.length), bytes)) {
    throw new HostError('write_failed', 'ossec.conf does not read back as it was written');
  }
}

async function writeAt(target: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let at = 0;
  while (at < bytes.length) {
    const { bytesWritten } = await target.write(bytes, at, bytes.length - at, position + at);
    if (bytesWritten <= 0) throw new Error(`wrote ${at} of ${bytes.length} bytes`);
    at += bytesWritten;
  }
}

/**
 * Empty without a journal; undefined for one that somebody else could have written: it says what
 * root puts into ossec.conf.
 */
async function readOwn(path: string): Promise<Uint8Array | undefined> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const stats = await handle.stat();
      const isOurs = stats.uid === process.getuid?.() && (stats.mode & 0o022) === 0;
      return stats.isFile() && stats.nlink === 1 && isOurs ? await handle.readFile() : undefined;
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return new Uint8Array();
    throw new HostError('write_failed', `${path}: ${messageOf(error)}`, { cause: error });
  }
}

async function removeJournal(stateDirectory: string): Promise<void> {
  await unlink(join(stateDirectory, journalName));
  await syncDirectory(stateDirectory);
}
