/**
 * Parts of agent-info on their way: one goes up while the master stores the one before it. What
 * went up and was not asked for serves the next round of the same link, so a master that cannot
 * store never gathers unread strings.
 */
import type { Link } from '../link.ts';
import type { JournalPart } from '../store/agent-info-journal.ts';
import { encodeInfoEnvelope } from '../store/data-envelope.ts';
import { sendString } from '../upload.ts';

interface Ahead {
  readonly link: Link;
  readonly number: number;
  readonly id: Promise<string>;
}

export class PartUploads {
  #ahead: Ahead | undefined;

  /** The id under which the peer holds the part. Rejects as `sendString` does. */
  async take(part: JournalPart, link: Link, signal: AbortSignal): Promise<string> {
    const ahead = this.#ahead;
    if (ahead?.link !== link || ahead.number !== part.number) return upload(part, link, signal);
    this.#ahead = undefined;
    return ahead.id;
  }

  /** Begin with the next part; a failure shows when it is taken. */
  begin(part: JournalPart | undefined, link: Link, signal: AbortSignal): void {
    const { number } = part ?? {};
    if (part === undefined || (this.#ahead?.link === link && this.#ahead.number === number)) return;
    const id = upload(part, link, signal);
    id.catch(() => undefined);
    this.#ahead = { link, number: part.number, id };
  }
}

function upload({ body }: JournalPart, link: Link, signal: AbortSignal): Promise<string> {
  return sendString(link, encodeInfoEnvelope(body), { signal });
}
