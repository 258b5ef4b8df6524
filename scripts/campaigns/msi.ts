/** Installs the MSI under Wine and lives through everything; see `--help`. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configText } from '../../test/fakes/agent-home-config.ts';
import { ownAddress } from '../../test/fakes/processes.ts';
import { Stage } from '../demonstration/stage.ts';
import { MsiLife } from '../install/msi-life.ts';
import { Wine } from '../install/wine.ts';
import { buildWineBinary } from '../install/wine-binary.ts';
import {
  makeTestSigner,
  type Signer,
  signAuthenticode,
  verifyAuthenticode,
} from '../package/authenticode.ts';
import { buildBundles, readStamp, root } from '../package/bundles.ts';
import { compileServiceHost, packMsi } from '../package/msi.ts';
import { missingPackages } from '../package/run.ts';

const usage = `usage: npm run campaign -- msi [--logs DIR]

  --logs DIR   where the logs of msiexec, Wine and the service stay (default dist/wine-logs)
Needs wine, wixl, msitools, osslsigncode, faketime, gcc-mingw-w64-x86-64; five minutes. The sidecar runs on Node
22.23.2 there, because later ones do not start in Wine 8; the service host is the one that ships.
Agent, tasklist and netstat are stand-ins; what Wine cannot show: installers/windows/README.md.`;

export const campaign = {
  name: 'msi',
  summary: 'the MSI under Wine: install, rewrite, stop, upgrade, repair, downgrade, uninstall',
  usage,
  run,
};

async function run(args: readonly string[], print: (line: string) => void): Promise<number> {
  const missing = missingPackages([
    'wine',
    'osslsigncode',
    'wixl',
    'msibuild',
    'faketime',
    compiler,
  ]);
  if (missing.length > 0) {
    print(`these Debian packages are needed: apt-get install ${missing.join(' ')}`);
    return 1;
  }
  const index = args.indexOf('--logs');
  const logs = (index < 0 ? undefined : args[index + 1]) ?? join(root, 'dist/wine-logs');
  const folder = mkdtempSync(join(tmpdir(), 'pilotfish-msi-'));
  const stage = Stage.make({ addresses: [1, 2, 3].map(ownAddress), lineEnd: '\r\n' });
  const wine = new Wine(folder);
  mkdirSync(logs, { recursive: true });
  try {
    await live({ folder, logs, stage, wine, print });
    return 0;
  } finally {
    copyFileSync(wine.log, join(logs, 'wine.log'));
    copyIfThere(wine.path('ProgramData/Pilotfish/pilotfish.log'), join(logs, 'pilotfish.log'));
    wine.stop();
    await stage.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

const compiler = 'x86_64-w64-mingw32-gcc';

interface Ground {
  readonly folder: string;
  readonly logs: string;
  readonly stage: Stage;
  readonly wine: Wine;
  readonly print: (line: string) => void;
}

async function live({ folder, logs, stage, wine, print }: Ground): Promise<void> {
  print('building two packages, signed with a test certificate …');
  const signer = makeTestSigner(folder);
  const first = await packageOf(join(folder, 'first'), '1.0.0', signer);
  const later = await packageOf(join(folder, 'later'), '1.0.1', signer);
  await stage.startManagers();
  const url = await stage.startPublisher();
  const former = ownAddress(9);
  const manager = join(root, 'test/fakes/manager.ts');
  const flags = ['--listen', `${former}:1514`];
  await stage.startProgram([process.execPath, manager, ...flags]).waitFor({ event: 'mode' });
  const tunnels: string[] = [];
  const proxy = await startProxy(ownAddress(8), tunnels);
  const servers = [{ address: former, port: 1514 }];
  wine.setUp(configText({ servers, lineEnd: '\r\n', enrollment: 'no' }));
  try {
    await new MsiLife({
      ...{ wine, folder: logs, first, later, tunnels, print },
      managers: stage.managers.map(({ address }) => address),
      properties: {
        JOIN_TOKEN: stage.publisherRun('token').trim().split('\n').at(-1) ?? '',
        PUBLISHER_URLS: url,
        ZONE: 'eu',
        APPLY_MODE: 'service',
        MAINTENANCE_WINDOW: 'mon-sun 00:00-12:00,mon-sun 12:00-00:00',
        PROXY: `http://${proxy.address}`,
      },
    }).live();
  } finally {
    proxy.server.close();
  }
}

async function packageOf(folder: string, version: string, signer: Signer): Promise<string> {
  const stamp = { ...readStamp(), version };
  await buildBundles(stamp);
  const programs = ['pilotfish.exe', 'pilotfish-service.exe'].map((name) => join(folder, name));
  const [sidecar = '', host = ''] = programs;
  buildWineBinary(sidecar);
  compileServiceHost(host);
  for (const path of programs) signAuthenticode(path, signer, stamp.epoch);
  const made = packMsi(folder, stamp);
  signAuthenticode(made, signer, stamp.epoch);
  for (const path of [...programs, made]) verifyAuthenticode(path, signer.certificate);
  return made;
}

interface Proxy {
  readonly server: Server;
  readonly address: string;
}

/** CONNECT and nothing else; every one is noted. */
async function startProxy(host: string, tunnels: string[]): Promise<Proxy> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (bytes) => {
      const [, name = '', port = ''] = /^CONNECT (\S+):(\d+) /.exec(bytes.toString()) ?? [];
      tunnels.push(`CONNECT ${name}:${port}`);
      const onward = connect({ host: name, port: Number(port) }, () =>
        socket.write('HTTP/1.1 200 OK\r\n\r\n'),
      );
      onward.on('error', () => socket.destroy());
      onward.on('close', () => socket.destroy());
      socket.on('close', () => onward.destroy());
      onward.pipe(socket).pipe(onward);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  return { server, address: `${host}:${port}` };
}

function copyIfThere(from: string, to: string): void {
  try {
    copyFileSync(from, to);
  } catch {
    // the installation did not come so far
  }
}
