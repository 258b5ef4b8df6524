/** Files of ours that the master lacks and wants, of items that both mark `extra_valid`. */
import type { Clock } from '../../clock.ts';
import { messageOf } from '../../guards.ts';
import type { FileJobs } from '../files/jobs.ts';
import type { FileName } from '../files/name.ts';
import type { Link } from '../link.ts';
import type { NodeLog } from '../tasks/node-log.ts';
import { extraValidKind, type SendingTasks } from '../tasks/sending.ts';
import { sendFile } from '../upload.ts';

export interface ExtraValidParts {
  readonly link: Link;
  readonly clock: Clock;
  readonly jobs: FileJobs;
  readonly sending: SendingTasks;
  readonly log: NodeLog;
  uploadPath(): string;
}

/** Never rejects; what does not arrive is wished again by a later check. */
export async function sendExtraValid(
  parts: ExtraValidParts,
  names: readonly FileName[],
): Promise<void> {
  const { link, clock, jobs, sending, log, uploadPath } = parts;
  log.info(`Files to send: ${names.length}`);
  try {
    await sending.run(link, extraValidKind, clock, async (signal) => {
      const path = uploadPath();
      const { sentBytes } = await sendFile(link, path, jobs.packFiles(names), { signal });
      return { path, sentBytes };
    });
  } catch (error) {
    if (link.isOpen) log.error(`Error sending extra valid files: ${messageOf(error)}`);
  }
}
