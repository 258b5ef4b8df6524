/** Verbs of our own: what stock has no word for. */
import type { JsonObject } from '../../guards.ts';
import { fault } from '../wire/fault.ts';
import { CallFault } from './call-fault.ts';
import { namesOf } from './node-query.ts';
import { textsOf, type Verb } from './verb.ts';

const mostRows = 500;

/** The sync status of files on nodes: which node lacks what, since when, why. */
const fileStates: Verb = async ({ kwargs, permissions, view }) => {
  if (view.files === undefined) {
    throw new CallFault(fault(1000, 'this node keeps no states of files'));
  }
  const all = view.nodes().map(({ name }) => name);
  const ids = namesOf(kwargs.nodes ?? null) ?? all;
  const nodes = permissions.allowed({ action: 'cluster:read', resource: 'node:id', ids });
  const { rows, total } = await view.files.page({
    nodes: [...nodes],
    states: textsOf(kwargs.states, 'states') ?? null,
    offset: wholeOf(kwargs.offset, 0),
    limit: Math.min(mostRows, Math.max(1, wholeOf(kwargs.limit, mostRows))),
  });
  const items = rows.map(
    ({ sinceMs, ...row }): JsonObject => ({
      ...row,
      since: new Date(sinceMs).toISOString(),
      reason: row.reason ?? null,
    }),
  );
  return { kind: 'document', document: { items, totalItems: total } };
};

function wholeOf(value: unknown, fallback: number): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : fallback;
}

export const ownVerbs: Readonly<Record<string, Verb>> = {
  'pilotfish.cluster.file_states': fileStates,
};
