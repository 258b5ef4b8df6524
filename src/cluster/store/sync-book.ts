/**
 * The sync status of files on every node, on disk: what a node lacks, since when, why; what it
 * lacked and now has. A file with no line was never seen to differ. Bounded for each node.
 */
import type { Clock } from '../../clock.ts';
import type { FileState, FileStates } from '../calls/node-view.ts';
import type { ScanReport } from '../files/jobs.ts';
import type { Order } from '../files/manifest.ts';
import { keysName } from '../files/name.ts';
import type { NodeCheck, SyncWatcher } from '../tasks/sync-watcher.ts';
import { first, type Sql, type SqlRow, type SqlValue, textOf } from './embedded/sql.ts';
import { KeysGenerations } from './keys-generations.ts';

/** How far a node is behind, each as its own value; 0: not at all. */
export interface NodeLag {
  readonly keysMs: number;
  readonly filesMs: number;
  readonly files: number;
  /** Generation of client.keys that it has, and the newest one. */
  readonly keysGeneration: number;
  readonly newestKeysGeneration: number;
  readonly checkedAtMs: number;
}

const mostLacking = 5_000;
const mostHealed = 1_000;
const mostNodes = 4_096;
const mostReason = 512;

export class SyncBook implements SyncWatcher, FileStates {
  readonly #sql: Sql;
  readonly #clock: Clock;
  readonly #keys: KeysGenerations;

  constructor(sql: Sql, clock: Clock) {
    this.#sql = sql;
    this.#clock = clock;
    this.#keys = new KeysGenerations(sql);
  }

  scanned({ generation, keysHash }: ScanReport): void {
    if (keysHash !== undefined) this.#keys.scanned(generation, keysHash, this.#clock.nowMs());
  }

  checked(node: string, check: NodeCheck): void {
    const lacking = lackingOf(check.order);
    this.#sql.transaction(() => {
      this.#noteNode(node, check, lacking);
      this.#noteFiles(node, lacking);
    });
  }

  failed(node: string, reason: string): void {
    this.#sql.run(
      "UPDATE file_sync SET state = 'failed', why = ? WHERE node = ? AND state = 'pending'",
      reason.slice(0, mostReason),
      node,
    );
  }

  /** Undefined: it was never checked. */
  lagOf(node: string): NodeLag | undefined {
    const row = first(this.#sql, 'SELECT * FROM node_sync WHERE node = ?', node);
    if (row === undefined) return undefined;
    const nowMs = this.#clock.nowMs();
    const since = (atMs: SqlValue | undefined): number =>
      typeof atMs === 'number' ? Math.max(0, nowMs - atMs) : 0;
    const keysGeneration = Number(row.keys_generation);
    const lacking = first(
      this.#sql,
      "SELECT count(*) AS files FROM file_sync WHERE node = ? AND state <> 'synchronized'",
      node,
    );
    return {
      keysMs: since(this.#keys.lackingSinceMs(keysGeneration)),
      filesMs: since(row.behind_since_ms),
      files: Number(lacking?.files ?? 0),
      keysGeneration,
      newestKeysGeneration: this.#keys.newest,
      checkedAtMs: Number(row.checked_at_ms),
    };
  }

  /** Nodes that have every key given out so far: any of them may be promoted. */
  nodesWithAllKeys(): readonly string[] {
    return this.#sql
      .all('SELECT node FROM node_sync WHERE keys_generation >= ? ORDER BY node', this.#keys.newest)
      .map(({ node }) => textOf(node));
  }

  async page(query: {
    readonly nodes: readonly string[] | null;
    readonly states: readonly string[] | null;
    readonly offset: number;
    readonly limit: number;
  }): Promise<{ readonly rows: readonly FileState[]; readonly total: number }> {
    const where = `(?1 IS NULL OR node IN (SELECT value FROM json_each(?1)))
      AND (?2 IS NULL OR state IN (SELECT value FROM json_each(?2)))`;
    const lists = [query.nodes, query.states].map((list) => list && JSON.stringify(list));
    const total = first(
      this.#sql,
      `SELECT count(*) AS total FROM file_sync WHERE ${where}`,
      ...lists,
    );
    const rows = this.#sql.all(
      `SELECT * FROM file_sync WHERE ${where} ORDER BY node, file LIMIT ?3 OFFSET ?4`,
      ...lists,
      query.limit,
      query.offset,
    );
    return { rows: rows.map(stateOf), total: Number(total?.total ?? 0) };
  }

  #noteNode(node: string, { generation, files }: NodeCheck, lacking: Lacking): void {
    const nowMs = this.#clock.nowMs();
    const seen = this.#keys.ofScan(generation);
    const before = first(this.#sql, 'SELECT * FROM node_sync WHERE node = ?', node);
    const hasKeys = seen !== undefined && !lacking.has(keysName);
    const behindSince = lacking.size === 0 ? null : (before?.behind_since_ms ?? nowMs);
    this.#sql.run(
      'INSERT OR REPLACE INTO node_sync VALUES (?, ?, ?, ?, ?)',
      node,
      nowMs,
      behindSince,
      hasKeys ? seen : Number(before?.keys_generation ?? 0),
      files,
    );
    if (before !== undefined) return;
    this.#sql.run(
      `DELETE FROM node_sync WHERE node NOT IN
         (SELECT node FROM node_sync ORDER BY checked_at_ms DESC LIMIT ${mostNodes})`,
    );
    this.#sql.run('DELETE FROM file_sync WHERE node NOT IN (SELECT node FROM node_sync)');
  }

  #noteFiles(node: string, lacking: Lacking): void {
    const nowMs = this.#clock.nowMs();
    const open = this.#sql.all(
      "SELECT file FROM file_sync WHERE node = ? AND state <> 'synchronized'",
      node,
    );
    const heal = `UPDATE file_sync SET state = 'synchronized', since_ms = ?, why = ''
      WHERE node = ? AND file = ?`;
    for (const { file } of open) {
      if (!lacking.has(textOf(file))) this.#sql.run(heal, nowMs, node, file ?? null);
    }
    for (const [file, why] of lacking) {
      this.#sql.run(
        `INSERT INTO file_sync VALUES (?1, ?2, 'pending', ?3, ?4) ON CONFLICT (node, file) DO UPDATE
           SET state = 'pending', since_ms = ?3, why = ?4 WHERE state = 'synchronized'`,
        node,
        file,
        nowMs,
        why,
      );
    }
    if (open.length + lacking.size === 0) return;
    this.#sql.run(
      `DELETE FROM file_sync WHERE node = ?1 AND state = 'synchronized' AND file NOT IN
         (SELECT file FROM file_sync WHERE node = ?1 AND state = 'synchronized'
            ORDER BY since_ms DESC LIMIT ${mostHealed})`,
      node,
    );
  }
}

type Lacking = ReadonlyMap<string, string>;

/** File to reason; the keys of agents come first, whatever else is too much. */
function lackingOf(order: Order | undefined): Lacking {
  const lacking = new Map<string, string>();
  if (order === undefined) return lacking;
  const parts = [
    { names: order.missing, why: 'missing on the node' },
    { names: order.shared, why: 'another content on the node' },
    { names: order.extra.keys(), why: 'not on the master' },
  ];
  for (const { names, why } of parts) {
    for (const name of names) {
      if (lacking.size < mostLacking || name === keysName) lacking.set(name, why);
    }
  }
  return lacking;
}

function stateOf({ node, file, state, since_ms: sinceMs, why }: SqlRow): FileState {
  return {
    node: textOf(node),
    file: textOf(file),
    state: state === 'synchronized' || state === 'failed' ? state : 'pending',
    sinceMs: Number(sinceMs),
    reason: why === '' || why === null || why === undefined ? undefined : textOf(why),
  };
}
