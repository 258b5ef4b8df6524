/**
 * The judge of "every byte outside the server entries is unchanged". It shares no code with the
 * editor: it cuts `<server>…</server>` with the line it stands on out of both files and compares.
 */

/** Everything of `config` but its server entries. */
export function outsideServers(config: Buffer): string {
  return config.toString('latin1').replace(/[ \t]*<server>[\s\S]*?<\/server>[ \t]*\r?\n?/g, '');
}

/** The addresses of the server entries, in order. */
export function serverAddresses(config: Buffer): readonly string[] {
  const text = config.toString('latin1').replace(/<!--[\s\S]*?-->|<! [\s\S]*?!>/g, '');
  return [...text.matchAll(/<server>[\s\S]*?<address>([^<]*)<\/address>/g)].map(
    (match) => match[1] ?? '',
  );
}
