/**
 * Wazuh's `client.keys`: one agent a line, `ID NAME IP KEY`. A name that begins with `!` marks an
 * agent that was removed; lines that begin with `#` or a blank are comments (shared/keystore).
 */

export interface ClientKey {
  /** `001` */
  readonly id: string;
  readonly name: string;
  /** The agent's secret as it stands in the file. */
  readonly key: string;
}

const lineShape = /^([0-9]{1,12}) ([^ !][^ ]{0,254}) (\S{1,64}) (\S{1,256})\s*$/;

/** The living agents of the text; what is no such line is left out. The last one of an id wins. */
export function parseClientKeys(text: string): ReadonlyMap<string, ClientKey> {
  const found = new Map<string, ClientKey>();
  for (const line of text.split('\n')) {
    const [, id, name, , key] = lineShape.exec(line) ?? [];
    if (id === undefined || name === undefined || key === undefined) continue;
    found.set(id, { id, name, key });
  }
  return found;
}
