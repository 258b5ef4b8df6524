/**
 * Looks for what must stay secret wherever others can read: arguments, environments, the journal,
 * and every file that the world may read below our places.
 */
import type { Container } from './container.ts';

/** The key of the stand-in agent, and every private key of the publisher. */
function readSecrets(host: Container): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  found.set('key of the agent', '5a'.repeat(32));
  const files = host.run('find /var/lib/pilotfish-publisher -type f -size -64k').trim().split('\n');
  for (const file of files) {
    const text = host.run(`cat '${file}'`);
    for (const [, body] of text.matchAll(/-----BEGIN PRIVATE KEY-----\n([^-]+)-----END/g)) {
      // The end of the body: its beginning is the same in every key.
      found.set(`private key in ${file}`, (body ?? '').trim().slice(-40));
    }
    for (const [, secret] of text.matchAll(/"d"\s*:\s*"([A-Za-z0-9_-]{20,})"/g)) {
      found.set(`private key in ${file}`, secret ?? '');
    }
  }
  return found;
}

const places = {
  argv: "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '",
  environment: "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' ' '",
  journal: 'journalctl --no-pager --output=cat; cat /var/log/*.log 2>/dev/null',
  'world-readable files':
    'find /etc/pilotfish /var/lib/pilotfish* /run /usr/share/doc/pilotfish* -xdev -type f -perm -o=r -size -4096k -exec cat {} + 2>/dev/null',
} as const;

/** One line per place and secret; throws when there is nothing to look for. */
export function findSecrets(host: Container): readonly string[] {
  const secrets = readSecrets(host);
  if (secrets.size < 3) throw new Error(`only ${secrets.size} secrets are known to look for`);
  return Object.entries(places).flatMap(([place, command]) => {
    const { out } = host.try(command);
    return [...secrets].flatMap(([name, text]) =>
      out.includes(text) ? [`${place}: ${name}`] : [],
    );
  });
}
