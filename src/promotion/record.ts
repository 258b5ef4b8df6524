/**
 * Who is the master, as it lies in the engine: written by the holder of the role only, in one
 * transaction with the proof that it still holds it. Every node reads it and dials what it names.
 */
import * as z from 'zod';
import { isNodeName } from '../cluster/session/hello.ts';

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

const keys = z.object({
  count,
  greatestId: count,
  digest,
  /** Grows with every content that a master ever recorded. */
  generation: count,
  steps: z
    .array(z.object({ from: digest, to: digest, at: count, drop: count, sealed: z.string() }))
    .max(64),
});

const record = z.object({
  node: z.string().refine(isNodeName),
  /** Where the other nodes reach its cluster port. */
  address: z.string().regex(/^[A-Za-z0-9._:-]{1,253}$/),
  port: z.number().int().min(1).max(65_535),
  /** The fencing token under which it was written first. */
  token: count,
  /** When this node became the master, by its own clock. */
  sinceAtMs: z.number(),
  /** When the role last went to another node, by the clock of that one; 0: never. */
  movedAtMs: z.number(),
  keys,
  /** Connected to it; `follows`: a node of ours that goes with the role. */
  workers: z
    .array(z.object({ name: z.string(), follows: z.boolean() }))
    .max(1_000)
    .default([]),
});

export type RoleRecord = z.output<typeof record>;
export type KeysRecord = RoleRecord['keys'];
export type WorkerSeen = RoleRecord['workers'][number];

export const maxRecordBytes = 512 * 1024;

export function encodeRecord(value: RoleRecord): Buffer {
  return Buffer.from(JSON.stringify(value));
}

/** Undefined: not a record of this version of the program. */
export function parseRecord(bytes: Uint8Array): RoleRecord | undefined {
  if (bytes.length > maxRecordBytes) return undefined;
  try {
    return record.safeParse(JSON.parse(Buffer.from(bytes).toString('utf8'))).data;
  } catch {
    return undefined;
  }
}
