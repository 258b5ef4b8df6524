/** One thing that the API does. */
import type * as z from 'zod';
import type { Role, TokenRecord } from './token.ts';
import type { ApiWorld } from './world.ts';

export interface Operation {
  readonly method: 'GET' | 'POST';
  /** Behind `/api/v1/`. */
  readonly path: string;
  readonly role: Role;
  readonly summary: string;
  readonly query: z.ZodObject;
  readonly answer: z.ZodType;
  /** It walks over all agents: all callers together get few of them a second. */
  readonly isHeavy?: boolean;
  /** It tells of what agents reported, which a follower does not know. */
  readonly isOfAgents?: boolean;
  /** What the audit log says of it; absent for what only reads. */
  audited?(query: Readonly<Record<string, unknown>>): string;
  run(
    world: ApiWorld,
    query: Readonly<Record<string, unknown>>,
    who: TokenRecord,
  ): Promise<unknown>;
}
