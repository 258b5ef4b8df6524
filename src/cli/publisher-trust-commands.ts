/** Commands around keys and trust: `init`, `token`, `root renew`. */
import { type Command, Option } from 'commander';
import { encodeBase64Url } from '../bytes.ts';
import { ConfigError } from '../errors.ts';
import { publisherUrl } from '../list/members.ts';
import { renderToken } from '../list/token.ts';
import type { InitRequest } from '../publisher/init.ts';
import {
  addCommand,
  audited,
  auditedAfterwards,
  type CommandParts,
  type Common,
  readNumber,
  withOffice,
} from './publisher-command.ts';
import { parsePublisherConfig } from './publisher-config.ts';
import { parseManagers } from './publisher-endpoint.ts';
import type { PublisherHost } from './publisher-host.ts';
import { initText, rootText } from './publisher-output.ts';
import { renderPublisherConfig } from './publisher-template.ts';
import { show } from './terminal.ts';

export function addInit(program: Command, { terminal, host }: CommandParts): void {
  addCommand(program, 'init', 'make keys, root, certificate and configuration')
    .requiredOption('--org <name>', 'organisation: 1 to 64 of A-Z a-z 0-9 _ -')
    .addOption(
      new Option(
        '--manager <endpoint...>',
        'a manager as [ID=]HOST[:PORT], port 1514 by default; the root will allow exactly these',
      ).makeOptionMandatory(),
    )
    .option('--url <url...>', 'where sidecars reach publishers (default: this host, port 8443)')
    .option(
      '--listen <host:port>',
      'where to listen (default: all addresses, port of the first URL)',
    )
    .option('--root-keys <n>', 'how many root keys (a ceremony takes 3)', '1')
    .option('--threshold <m>', 'how many of them must sign', '1')
    .option('--static', 'lists travel as files: no sidecar misses proof of freshness', false)
    .addHelpText('after', initHelp)
    .action(async (flags: Common & InitFlags) => {
      const request = readInitFlags(flags, host);
      const init = () => host.init(flags.dir, request);
      const outcome = await auditedAfterwards(
        { host },
        flags.dir,
        'init',
        init,
        ({ kind }) => kind !== 'exists',
      );
      const value = { ...outcome, directory: flags.dir };
      show(terminal, flags.json, value, () => initText(outcome, request, flags.dir));
    });
}

const initHelp = `
A second run with the same flags changes nothing; with other flags it refuses (E040).
An interrupted run is started over by running it again.
`;

interface InitFlags {
  readonly org: string;
  readonly manager: readonly string[];
  readonly url?: readonly string[];
  readonly listen?: string;
  readonly rootKeys: string;
  readonly threshold: string;
  readonly static: boolean;
}

const maxRootKeys = 8;

function readInitFlags(flags: InitFlags, host: PublisherHost): InitRequest {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(flags.org)) {
    throw new ConfigError('usage', `--org ${flags.org}: expected 1 to 64 of A-Z a-z 0-9 _ -`);
  }
  const urls = flags.url ?? [`https://${host.hostName()}:8443`];
  const wrong = urls.find((url) => !publisherUrl.safeParse(url).success);
  if (wrong !== undefined) {
    throw new ConfigError('usage', `--url ${wrong}: expected https://HOST:PORT, nothing after it`);
  }
  const rootKeys = readNumber('--root-keys', flags.rootKeys, maxRootKeys);
  const port = new URL(urls[0] ?? '').port || '443';
  const request: InitRequest = {
    org: flags.org,
    managers: parseManagers(flags.manager),
    urls,
    listen: flags.listen ?? `0.0.0.0:${port}`,
    rootKeys,
    threshold: readNumber('--threshold', flags.threshold, rootKeys),
    ...(flags.static ? { isStatic: true } : {}),
  };
  parsePublisherConfig(renderPublisherConfig(request), 'the publisher.yml to be made');
  return request;
}

export function addToken(program: Command, parts: CommandParts): void {
  const { terminal, host } = parts;
  addCommand(program, 'token', 'print the join token for a group and a site')
    .option('--group <name>', 'group of the agents', 'default')
    .option('--site <name>', 'site of the agents', 'default')
    .action(async (flags: Common & { readonly group: string; readonly site: string }) => {
      for (const name of ['group', 'site'] as const) {
        if (/^[A-Za-z0-9_-]{1,64}$/.test(flags[name])) continue;
        const seen = `--${name} ${flags[name]}`;
        throw new ConfigError('usage', `${seen}: expected 1 to 64 of A-Z a-z 0-9 _ -`);
      }
      await withOffice(host, flags.dir, async ({ roots }) => {
        const { root, hash } = roots.newest;
        const pin = root.publishers[0]?.spki[0];
        const token = renderToken({
          org: root.org,
          publishers: root.publishers.map((publisher) => publisher.url),
          ...(pin === undefined ? {} : { ca: pin }),
          rootHash: hash,
          rootVersion: root.version,
          kids: root.roles.root.kids,
          threshold: root.roles.root.threshold,
          group: flags.group,
          site: flags.site,
          notBefore: new Date(root.issuedAtMs).toISOString().slice(0, 10),
          id: `tok-${encodeBase64Url(host.random.bytes(6))}`,
        });
        const { group, site } = flags;
        const action = `token ${group} ${site}`;
        await auditedAfterwards({ host }, flags.dir, action, () => Promise.resolve());
        show(terminal, flags.json, { token, org: root.org, group, site }, () => token);
      });
    });
}

export function addRoot(program: Command, { terminal, host }: CommandParts): void {
  const root = program.command('root').description('the root document that every list obeys');
  addCommand(root, 'renew', 'sign the next root: new dates, and more managers if named')
    .option('--manager <endpoint...>', '[ID=]HOST[:PORT] that lists may name from now on')
    .option('--root-key <file...>', 'root key that does not lie in root-keys of the directory')
    .option('--new-list-key', 'replace the key that signs lists; stop the publisher first', false)
    .addHelpText('after', renewHelp)
    .action(async (flags: Common & RenewWords) => {
      const managers = parseManagers(flags.manager ?? []);
      const { newListKey, rootKey: keyFiles = [] } = flags;
      const action = newListKey ? 'root renew, new list key' : 'root renew';
      const { root: next } = await audited({ host }, flags.dir, action, () =>
        host.renewRoot(flags.dir, { managers, keyFiles, newListKey }),
      );
      const isRunning = (await host.announce(flags.dir)) !== undefined;
      const { value, text } = rootText(next, isRunning);
      show(terminal, flags.json, value, () => text);
    });
}

interface RenewWords {
  readonly manager?: readonly string[];
  readonly rootKey?: readonly string[];
  readonly newListKey: boolean;
}

const renewHelp = `
Every sidecar follows the new root by itself; no token has to be given out again. The list is
signed anew under it: at once by a running publisher, else by the next run or publish.
After --new-list-key nothing that the old list key signs is believed by a sidecar that knows the root.
`;
