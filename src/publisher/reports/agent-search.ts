/**
 * One page of the agents for those who look at a running publisher: filtered, searched and sorted
 * without holding all of them at once, in slices that keep nobody waiting.
 */
import type { Clock } from '../../clock.ts';
import { walkInSlices } from '../slices.ts';
import type { AgentRow } from './agent-book.ts';
import {
  type AgentLine,
  type AgentPage,
  type AgentQuery,
  compileQuery,
  lineOf,
} from './agent-table.ts';
import type { Target } from './standing.ts';

export interface AgentSearch extends AgentQuery {
  /** A part of any column, in any case; empty: everybody. */
  readonly text: string;
}

/** Throws ConfigError `usage` for an unknown column. */
export async function searchAgents(
  rows: Iterable<AgentRow>,
  target: Target,
  search: AgentSearch,
  clock: Clock,
): Promise<AgentPage> {
  const { matches, compare } = compileQuery(search);
  const wanted = search.text.toLowerCase();
  const nowMs = clock.nowMs();
  const start = (search.page - 1) * search.limit;
  const first = new First(start + search.limit, compare);
  const states: Record<string, number> = {};
  let total = 0;
  await walkInSlices(
    rows,
    (row) => {
      const line = lineOf(row, target, nowMs);
      if (!matches(line) || !(wanted === '' || hasText(line, wanted))) return;
      total += 1;
      states[line.state] = (states[line.state] ?? 0) + 1;
      first.offer(line);
    },
    clock,
  );
  const pages = Math.max(1, Math.ceil(total / search.limit));
  return { lines: first.inOrder().slice(start), total, pages, states };
}

function hasText(line: AgentLine, wanted: string): boolean {
  const { agent, manager, site, group, zone, os, version, state, reason, errors } = line;
  const words = [agent, manager, site, group, zone, os, version, state, reason, errors];
  return words.join('\n').toLowerCase().includes(wanted);
}

/** The first `limit` of all that are offered: a heap whose top is the last one of them. */
class First {
  readonly #limit: number;
  readonly #compare: (left: AgentLine, right: AgentLine) => number;
  readonly #heap: AgentLine[] = [];

  constructor(limit: number, compare: (left: AgentLine, right: AgentLine) => number) {
    this.#limit = limit;
    this.#compare = compare;
  }

  offer(line: AgentLine): void {
    const [last] = this.#heap;
    if (this.#heap.length < this.#limit) this.#rise(line);
    else if (last !== undefined && this.#compare(line, last) < 0) this.#sink(line);
  }

  inOrder(): readonly AgentLine[] {
    return this.#heap.toSorted(this.#compare);
  }

  #rise(line: AgentLine): void {
    let at = this.#heap.push(line) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = this.#heap[above];
      if (parent === undefined || this.#compare(parent, line) >= 0) break;
      this.#heap[at] = parent;
      at = above;
    }
    this.#heap[at] = line;
  }

  /** In place of the top. */
  #sink(line: AgentLine): void {
    let at = 0;
    for (;;) {
      const next = this.#later(2 * at + 1, 2 * at + 2);
      const child = this.#heap[next];
      if (child === undefined || this.#compare(child, line) <= 0) break;
      this.#heap[at] = child;
      at = next;
    }
    this.#heap[at] = line;
  }

  #later(left: number, right: number): number {
    const one = this.#heap[left];
    const other = this.#heap[right];
    return one !== undefined && other !== undefined && this.#compare(other, one) > 0 ? right : left;
  }
}
