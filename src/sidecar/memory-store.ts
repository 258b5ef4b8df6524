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
  let known: { readonly memory: Memory; readonly bytes: Uint8Array } | undefined;
  return {
    async read() {
      if (known !== undefined) return known.memory;
      const memory = await readMemory(file);
      if (memory === undefined) throw new ConfigError('not_joined', 'this host has not joined yet');
      known = { memory, bytes: encodeMemory(memory) };
      return memory;
    },
    async write(memory) {
      if (memory === known?.memory) return;
      const bytes = encodeMemory(memory);
      if (known === undefined || !equalBytes(known.bytes, bytes)) await file.write(bytes);
      known = { memory, bytes };
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
