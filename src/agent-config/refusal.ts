/**
 * What the agent would object to, and where. Inside this folder a refusal travels as a thrown
 * `Refusal`; `readConfig` turns it into a value, so nothing outside ever catches it.
 */
import { lineOf } from './position.ts';

/** The agent's buffer for one message of its scanner. */
const MAX_ERROR_CHARS = 126;

export interface Problem {
  /** Where the trouble starts: 1-based line, 1-based column in bytes, 0-based byte offset. */
  readonly line: number;
  readonly column: number;
  readonly offset: number;
  /** What the agent writes to its log; the file is called `ossec.conf` in it. */
  readonly said: string;
  /** What somebody can do about it. */
  readonly fix: string;
  /** Number of the case in agent-side.md 8.2 that describes it. */
  readonly ruleNumber?: number;
}

export interface Complaint {
  readonly offset: number;
  readonly said: string;
  readonly fix: string;
  readonly ruleNumber?: number;
}

export class Refusal extends Error {
  readonly complaint: Complaint;

  constructor(complaint: Complaint) {
    super(complaint.said);
    this.complaint = complaint;
  }
}

/** A complaint of the scanner: `consumed` bytes were read when the agent noticed. */
export function brokenSyntax(
  bytes: Uint8Array,
  trouble: Omit<Complaint, 'said'> & { readonly what: string; readonly consumed: number },
): Refusal {
  const { what, consumed, ...rest } = trouble;
  const { line } = lineOf(bytes, Math.min(consumed, bytes.length));
  const shown = `XMLERR: ${what}`.slice(0, MAX_ERROR_CHARS);
  const said = `(1226): Error reading XML file 'ossec.conf': ${shown} (line ${line}).`;
  return new Refusal({ ...rest, said });
}
