/**
 * The installed agent's version, from whichever place has it: `VERSION.json` (4.12 and later),
 * the text file `VERSION`, or what `wazuh-control info` prints. Source: agent-side.md 3.3.
 */
import { isJsonObject } from '../guards.ts';

export interface AgentVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  /** `4.14.8`. */
  readonly text: string;
}

/** Reads any of the three forms; undefined when none of them is there. */
export function parseAgentVersion(text: string): AgentVersion | undefined {
  return parseNumbers(fromJson(text) ?? fromInfo(text) ?? text.trim());
}

/** Negative, zero or positive as `left` is older than, equal to or newer than `major.minor.patch`. */
export function compareVersion(
  left: AgentVersion,
  [major, minor, patch]: readonly [number, number, number],
): number {
  return left.major - major || left.minor - minor || left.patch - patch;
}

function fromJson(text: string): string | undefined {
  if (!text.trimStart().startsWith('{')) return undefined;
  try {
    const document: unknown = JSON.parse(text);
    if (!isJsonObject(document)) return undefined;
    return typeof document.version === 'string' ? document.version : undefined;
  } catch {
    return undefined; // half-written: the next place may know
  }
}

/** `WAZUH_VERSION="v4.14.8"` among other assignments; `info -v` prints the bare `v4.14.8`. */
function fromInfo(text: string): string | undefined {
  return /^(?:WAZUH_)?VERSION="?(v?[\d.]+)"?\s*$/m.exec(text)?.[1];
}

function parseNumbers(text: string): AgentVersion | undefined {
  const match = /^v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?(?:[^\d.].*)?$/.exec(text);
  if (match === null) return undefined;
  const [major = 0, minor = 0, patch = 0] = match.slice(1).map((part) => Number(part ?? 0));
  return { major, minor, patch, text: `${major}.${minor}.${patch}` };
}
