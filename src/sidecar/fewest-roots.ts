/**
 * Which root an applier behind a spool trusts is known by a copy that may be old. So it is offered as
 * many as it seems to lack, then one more, then another …, until the list proves itself there. A
 * refused request moves nobody, and roots are few and rare.
 */
import type { ApplyRequest } from '../applier/request.ts';
import type { ApplyResult } from '../applier/result.ts';
import type { ReasonName } from '../errors.ts';

const wantsOtherRoots: readonly ReasonName[] = [
  'not_joined', // an applier that learns its first root from us, and proves it by its own token
  'wrong_epoch',
  'unknown_key',
  'threshold',
  'root_gap',
  'root_threshold',
];

/** `first`: so many of the newest roots in the first offer; one for an applier that trusts nothing yet. */
export async function applyWithFewestRoots(
  request: ApplyRequest,
  submit: (request: ApplyRequest) => Promise<ApplyResult>,
  first = 0,
): Promise<ApplyResult> {
  const { rootEnvelopes } = request;
  for (let count = Math.min(first, rootEnvelopes.length); ; count += 1) {
    const offered = rootEnvelopes.slice(rootEnvelopes.length - count);
    const result = await submit({ ...request, rootEnvelopes: offered });
    const reason = result.reason?.name;
    const mayHelp = reason !== undefined && wantsOtherRoots.includes(reason);
    if (!mayHelp || count >= rootEnvelopes.length) return result;
  }
}
