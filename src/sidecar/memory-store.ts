/** The memory of a process that owns its state: read once, written only when it differs. */
import { equalBytes } from '../bytes.ts';
import { ConfigError, HostError } from '../errors.ts';
import { encodeMemory, type Memory, type MemoryFile, readMemory } from './memory.ts';
import type { MemoryStore } from './world.ts';

export interface OwnedMemory extends MemoryStore {
  /**
   * Somebody may remove the state under a running process: what is known goes back there, so that
   * the next start trusts no less. True when it had to.
   */
  mend(): Promise<boolean>;
}

export function buildMemoryStore(file: MemoryFile): OwnedMemory {
  /** `bytes`: what is on disk of it. */
  let known: { readonly memory: Memory; readonly bytes: Uint8Array } | undefined;
  let isBehind = false;
  const write = async (memory: Memory): Promise<void> => {
    if (memory === known?.memory && !isBehind) return;
    const bytes = encodeMemory(memory);
    if (known === undefined || !equalBytes(known.bytes, bytes)) await file.write(bytes);
    known = { memory, bytes };
    isBehind = false;
  };
  return {
    async read() {
      if (known !== undefined) return known.memory;
      const memory = await readMemory(file);
      if (memory === undefined) throw new ConfigError('not_joined', 'this host has not joined yet');
      known = { memory, bytes: encodeMemory(memory) };
      return memory;
    },
    write,
    async keep(memory) {
      try {
        await write(memory);
        return undefined;
      } catch (thrown) {
        if (!(thrown instanceof HostError) || known === undefined) throw thrown;
        const isNews = !isBehind;
        known = { memory, bytes: known.bytes };
        isBehind = true;
        return isNews ? thrown : undefined;
      }
    },
    async mend() {
      if (known === undefined || (await isThere(file))) return false;
      await file.write(known.bytes);
      return true;
    },
  };
}

/** What is there and damaged is as good as gone; what may not be opened is thrown (E704). */
async function isThere(file: MemoryFile): Promise<boolean> {
  try {
    return (await file.read()) !== undefined;
  } catch (thrown) {
    if (thrown instanceof HostError && thrown.reason === 'state_unreadable') return false;
    throw thrown;
  }
}
