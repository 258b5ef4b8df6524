/**
 * Everything a sidecar needs, as files that any web server can serve at the paths of a publisher:
 * the roots first, then the list, so that whoever sees a list finds the root it needs. The bytes are
 * the signed ones: who serves them can withhold, never change. Pure.
 */
import type { FlatForm } from '../list/flat.ts';
import type { PublishedList } from './history.ts';

export interface SiteFile {
  /** Below the site, `/` between the parts. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface SiteGround {
  readonly newest: PublishedList;
  /** Root envelopes by version. */
  readonly roots: ReadonlyMap<number, Uint8Array>;
  /** Of the newest list; absent where a follower got none. */
  readonly flat?: FlatForm | undefined;
}

export function siteFiles({ newest, roots, flat }: SiteGround): readonly SiteFile[] {
  const inOrder = [...roots].sort(([left], [right]) => left - right);
  return [
    ...inOrder.map(([version, bytes]) => ({ name: `v1/root/${version}`, bytes })),
    ...(flat === undefined
      ? []
      : [
          { name: 'v1/list.txt.sig', bytes: flat.signature },
          { name: 'v1/list.txt', bytes: flat.text },
        ]),
    { name: 'v1/list', bytes: newest.envelope },
  ];
}

/** For `include` in nginx's `server`: the types that sidecars insist on, nothing else served. */
export function nginxSnippet(folder: string): string {
  return `# Pilotfish: signed lists and roots, as they are. ssl_certificate must chain to the pinned authority:
# \`pilotfish-publisher export --certificate FILE --host NAME\` makes one.
root ${folder};
ssl_protocols TLSv1.3;
location ^~ /v1/ {
  limit_except GET { deny all; }
  default_type application/jose+json;
  types { }
  add_header Cache-Control no-cache always;
}
location ~ ^/v1/list\\.txt {
  default_type text/plain;
  types { }
}
location / { return 404; }
`;
}
