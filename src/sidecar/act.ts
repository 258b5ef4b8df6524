/** A step becomes a request to the applier, which believes none of it and proves it again. */
import type { ApplyRequest } from '../applier/request.ts';
import type { ApplyResult } from '../applier/result.ts';
import type { Memory } from './memory.ts';
import type { Step } from './step.ts';
import type { Applier } from './world.ts';

/** Undefined when there was nothing to do. */
export async function act(
  applier: Applier,
  memory: Memory,
  step: Step,
): Promise<ApplyResult | undefined> {
  if (step.kind === 'restore') return applier.restoreNewest();
  if (step.kind !== 'write' && step.kind !== 'move') return undefined;
  const request = requestOf(memory, step.order, step.kind === 'move');
  return request === undefined ? undefined : applier.apply(request);
}

/** Undefined before the first list. */
export function requestOf(
  memory: Memory,
  order: readonly string[],
  move: boolean,
): ApplyRequest | undefined {
  const { list } = memory;
  if (list === undefined) return undefined;
  return {
    listEnvelope: list.envelope,
    rootEnvelopes: memory.roots,
    order,
    ...(list.receipt === undefined ? {} : { receipt: list.receipt }),
    move,
  };
}
