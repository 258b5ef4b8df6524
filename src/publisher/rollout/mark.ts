/** What an operator says of the rollout that is under way: pause, resume, abort. */
import { ConfigError } from '../../errors.ts';
import type { History, RolloutMark } from '../history.ts';
import type { PublishDesk } from '../publish.ts';
import { buildLocalWriter } from '../writer.ts';

/** The last word counts, wherever the next writer sits. Throws what `Writer.mark` throws. */
export async function markRollout(
  { history, writer }: Pick<PublishDesk, 'history' | 'writer'>,
  mark: RolloutMark,
): Promise<void> {
  await (writer ?? buildLocalWriter(history)).mark(mark);
  const stands = history.markOf(mark.id);
  if (stands?.kind !== 'aborted' || mark.kind === 'aborted') return;
  throw new ConfigError('conflict', `${mark.id} was aborted by ${stands.who} meanwhile`);
}

const maxWhyChars = 200;

export interface MarkWish extends Omit<RolloutMark, 'id'> {
  /** The rollout that the operator looked at; undefined: whichever runs. Another one is a `conflict`. */
  readonly id?: string;
}

/** Not written yet. Throws ConfigError `no_rollout` where none runs, or it was aborted. */
export function markNewest(history: History, { id, kind, who, why, atMs }: MarkWish): RolloutMark {
  const record = history.newest()?.rollout;
  if (record === undefined) {
    throw new ConfigError('no_rollout', 'nothing is rolled out in waves now');
  }
  if (id !== undefined && id !== record.id) {
    throw new ConfigError('conflict', `${record.id} is under way now, not ${id}`);
  }
  const before = history.markOf(record.id);
  if (before?.kind === 'aborted') {
    throw new ConfigError('no_rollout', `${record.id} was aborted by ${before.who} already`);
  }
  return { id: record.id, kind, who, why: why.slice(0, maxWhyChars), atMs };
}
