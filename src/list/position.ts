/** Lists are ordered by (epoch, term, version); what is not newer is refused or nothing new. */
import { ListError } from '../errors.ts';
import { listLimits, type Position } from './model.ts';

/** The newest list a host has accepted. */
export interface KnownList {
  readonly position: Position;
  /** `sha256:` tag of its payload. */
  readonly hash: string;
}

/** Below 0 when `left` is older, 0 when equal, above 0 when newer. */
export function comparePositions(left: Position, right: Position): number {
  return left.epoch - right.epoch || left.term - right.term || left.version - right.version;
}

/** `3/12/4211` */
export function renderPosition({ epoch, term, version }: Position): string {
  return `${epoch}/${term}/${version}`;
}

/**
 * Is the offered list newer than, or the very same as, the newest known one? A new epoch starts the
 * counters anew; within one, a leap that would make every later list look old is refused.
 * @throws ListError `rolled_back`, `equivocation`, `version_jump`
 */
export function judgePosition(offered: KnownList, known: KnownList | undefined): 'new' | 'same' {
  if (known === undefined) return 'new';
  const seen = `list ${renderPosition(offered.position)}`;
  const order = comparePositions(offered.position, known.position);
  if (order < 0) {
    const newest = renderPosition(known.position);
    throw new ListError('rolled_back', `${seen} is older than ${newest}, already accepted here`);
  }
  if (order === 0) {
    if (offered.hash === known.hash) return 'same';
    throw new ListError('equivocation', `${seen} exists twice: ${known.hash}, ${offered.hash}`);
  }
  if (offered.position.epoch === known.position.epoch) checkLeap(offered.position, known.position);
  return 'new';
}

function checkLeap(offered: Position, known: Position): void {
  const terms = offered.term - known.term;
  const versions = offered.version - known.version;
  if (terms <= listLimits.maxTermStep && versions <= listLimits.maxVersionStep) return;
  throw new ListError(
    'version_jump',
    `from ${renderPosition(known)} to ${renderPosition(offered)}; allowed at once: ` +
      `${listLimits.maxTermStep} terms, ${listLimits.maxVersionStep} versions`,
  );
}
