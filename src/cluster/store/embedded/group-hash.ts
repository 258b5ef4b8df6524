/** Checksums of group membership (cluster-protocol.md 6.2), equal on every node that agrees. */
import { createHash } from 'node:crypto';
import type { Sql } from './sql.ts';

/** Of one agent: the first eight hex digits of the SHA-256 of its groups in order. */
export function groupHashOf(groups: readonly string[]): string | null {
  if (groups.length === 0) return null;
  return createHash('sha256').update(groups.join(',')).digest('hex').slice(0, 8);
}

/** Of the whole table, counted once until something changes; null: no agent has groups. */
export class GlobalGroupHash {
  readonly #sql: Sql;
  #known: { readonly hash: string | null } | undefined;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  clear(): void {
    this.#known = undefined;
  }

  get(): string | null {
    this.#known ??= { hash: this.#count() };
    return this.#known.hash;
  }

  #count(): string | null {
    const rows = this.#sql.all(
      'SELECT group_hash FROM agent WHERE id > 0 AND group_hash IS NOT NULL ORDER BY id',
    );
    if (rows.length === 0) return null;
    const hash = createHash('sha1');
    for (const { group_hash } of rows) hash.update(String(group_hash));
    return hash.digest('hex');
  }
}
