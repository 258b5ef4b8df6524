/** Real programs: a sidecar beside a stand-in agent reports to its publisher, which explains it. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { currentSession } from '../../scripts/demonstration/acts.ts';
import { Stage } from '../../scripts/demonstration/stage.ts';
import { control } from '../fakes/agent-home.ts';
import { ownAddress } from '../fakes/processes.ts';

const publisherMain = fileURLToPath(new URL('../../src/publisher-main.ts', import.meta.url));

test('a running sidecar tells its publisher what it holds and where its agent is', async () => {
  const addresses = [64, 65].map(ownAddress);
  const stage = Stage.make({ addresses, servers: addresses.map((address) => ({ address })) });
  after(() => stage.stop());
  await stage.startManagers();
  await stage.startPublisher();
  await stage.publisher?.kill();
  const config = join(stage.publisherDirectory, 'publisher.yml');
  const keys = join(stage.home.path, 'etc/client.keys');
  const text = readFileSync(config, 'utf8').replace(/^list:/m, `reports:\n  keys: ${keys}\nlist:`);
  writeFileSync(config, text);
  const argv = [process.execPath, publisherMain, 'run', '--dir', stage.publisherDirectory];
  stage.startProgram(argv);
  control(stage.home, 'start');
  await currentSession(stage);
  stage.writeSidecarConfig(stage.livelyConfig());
  stage.join();
  stage.startSidecar();
  const endAtMs = performance.now() + 60_000;
  let page = { lines: [] as { agent: string; manager: string; state: string; os: string }[] };
  while (page.lines[0]?.state !== 'on_target') {
    if (performance.now() > endAtMs) throw new Error(`not reported: ${JSON.stringify(page)}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
    page = JSON.parse(stage.publisherRun('agents', '--json'));
  }
  const [line] = page.lines;
  const told = stage.publisherRun('explain', line?.agent ?? '');
  assert.match(told, new RegExp(`on ${line?.manager}`));
});
