/** Which Wazuh a manager's home holds: workers and masters compare it byte for byte. */
import { isJsonObject } from '../guards.ts';

/** `VERSION.json` of the home, `{"version": "4.14.8", …}`; undefined when it is not of that form. */
export function parseManagerVersion(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const version = isJsonObject(value) ? value.version : undefined;
    return typeof version === 'string' && isVersion(version) ? version : undefined;
  } catch {
    return undefined;
  }
}

/** `4.14.8`; no leading `v`, nothing that would break a hello. */
export function isVersion(text: string): boolean {
  return /^\d{1,4}(?:\.\d{1,4}){1,3}[A-Za-z0-9.-]{0,20}$/.test(text);
}
