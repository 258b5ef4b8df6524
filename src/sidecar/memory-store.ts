/** The memory of a process that owns its state: read once, written only when it differs. */
import { equalBytes } from '../bytes.ts';
import { ConfigError } from '../errors.ts';
import { encodeMemory, type Memory, type MemoryFile, readMemory } from './memory.ts';
import type { MemoryStore } from './world.ts';

export function buildMemoryStore(file: MemoryFile): MemoryStore {
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
  };
}
