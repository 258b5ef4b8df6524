/** What a verb of the closed table is, and the results it makes. */
import type { JsonObject, JsonValue } from '../../guards.ts';
import { type Fault, fault } from '../wire/fault.ts';
import type { CallResult, FailedItems } from '../wire/result-json.ts';
import { CallFault } from './call-fault.ts';
import type { NodeView } from './node-view.ts';
import { DeniedError, type Permissions } from './rbac.ts';

export interface VerbContext {
  readonly kwargs: JsonObject;
  readonly permissions: Permissions;
  /** Nodes of the system as the asker told. */
  readonly nodes: readonly string[];
  readonly isBroadcast: boolean;
  readonly view: NodeView;
  readonly nowMs: number;
  readonly signal: AbortSignal;
}

export type Verb = (context: VerbContext) => Promise<CallResult>;

export interface ItemsWish {
  readonly items: readonly JsonValue[];
  readonly totalItems?: number;
  readonly failed?: readonly FailedItems[];
  readonly all: string;
  readonly some?: string;
  readonly none: string;
  readonly casting?: readonly string[];
}

export function itemsResult(wish: ItemsWish): CallResult {
  const { items, all, some = '', none } = wish;
  return {
    kind: 'items',
    items,
    totalItems: wish.totalItems ?? items.length,
    sortFields: null,
    sortCasting: wish.casting ?? ['int'],
    sortAscending: [true],
    failed: wish.failed ?? [],
    messages: { all, some, none },
  };
}

/** Ids without the right to them, as failed items; none when there are none. */
export function deniedItems(resource: string, ids: readonly string[]): readonly FailedItems[] {
  if (ids.length === 0) return [];
  return [{ fault: { ...fault(4000, `Resource type: ${resource}`), ids }, ids }];
}

export function failedItems(code: number, ids: readonly string[]): readonly FailedItems[] {
  return ids.length === 0 ? [] : [{ fault: fault(code), ids }];
}

/** Whatever a verb throws becomes an error that a stock node decodes. */
export function faultOf(error: unknown): Fault | undefined {
  if (error instanceof CallFault || error instanceof DeniedError) return error.fault;
  return undefined;
}

/** A list of texts, one text, or null. Throws `CallFault`. */
export function textsOf(value: JsonValue | undefined, name: string): readonly string[] | undefined {
  if (value === undefined || value === null || value === '*') return undefined;
  if (typeof value === 'string') return [value];
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) {
    return value as readonly string[];
  }
  throw new CallFault(fault(1000, `${name} is not a list of texts`));
}
