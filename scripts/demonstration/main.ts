/** `./scripts/demo`: the main job on loopback, told as a timeline. See --help. */
import { parseArgs } from 'node:util';
import { processTerminal } from '../../src/cli/process-terminal.ts';
import { paint, renderDuration, renderTable } from '../../src/cli/terminal.ts';
import { control } from '../../test/fakes/agent-home.ts';
import { type ActResult, listArrives, managerDrains, managerFails } from './acts.ts';
import { outsideServers } from './outside.ts';
import { Stage } from './stage.ts';
import { Timeline } from './timeline.ts';

const help = `Usage: ./scripts/demo [--crlf] [--keep] [--json]

One publisher, three stand-in managers and one sidecar beside one stand-in agent, all on loopback.
The manager in use is killed, the next is hung, the third is drained; each is healed again.
Exits 0 only if the agent was reconnected each time and every byte of ossec.conf outside the
server entries is as it was.

  --crlf   the agent's file has Windows line ends
  --keep   leave everything running and print how to poke at it
  --json   one JSON object instead of the timeline
  --help   this text
`;

const relaxed = [
  'restarts per hour 3 → 100, per day 6 → 100 (three faults in a minute)',
  'pause between moves of choice 5 min → none; planned moves spread over 2 min → at once',
  'pause between two writes 1 min → none; a connection is believed after 1 s → 0.3 s',
];

async function play(stage: Stage, timeline: Timeline): Promise<readonly ActResult[]> {
  timeline.heading('The stage');
  for (const text of relaxed) timeline.add('demo', `relaxed: ${text}`);
  await stage.startManagers();
  timeline.add('managers', stage.managers.map(({ id, address }) => `${id} ${address}`).join(', '));
  const url = await stage.startPublisher();
  timeline.add('publisher', `root, keys and certificate made; serves ${url}`);
  control(stage.home, 'start');
  timeline.add('agent', `started; ossec.conf knows only ${stage.managers[0]?.address}`);

  timeline.heading('A list arrives');
  stage.writeSidecarConfig(stage.impatientConfig({ stable: '300ms' }));
  const token = stage.join();
  timeline.add(
    'operator',
    `pilotfish join ${token.slice(0, 34)}… (${token.length} characters, no secret)`,
  );
  timeline.add('operator', 'pilotfish plan --diff');
  timeline.block(stage.sidecarRun('plan', '--diff').stdout);
  const results = [await listArrives(stage, timeline)];

  timeline.heading('The manager in use is killed');
  results.push(await managerFails(stage, timeline, 'killed'));
  timeline.heading('The manager in use hangs');
  results.push(await managerFails(stage, timeline, 'hung'));
  timeline.heading('The manager in use is drained');
  results.push(await managerDrains(stage, timeline));
  return results;
}

function howToPoke(stage: Stage): string {
  const sidecar = `./scripts/pilotfish --config ${stage.configPath}`;
  const publisher = `--dir ${stage.publisherDirectory}`;
  return [
    'Everything still runs. Try:',
    `  ${sidecar.replace(' --config', ' status --why --config')}`,
    `  ${sidecar.replace(' --config', ' list --config')}`,
    `  ./scripts/pilotfish-publisher nodes ${publisher}`,
    `  ./scripts/pilotfish-publisher drain ${stage.managers[0]?.id} ${publisher}`,
    `  kill -STOP ${stage.managers[1]?.process.pid}      # hangs ${stage.managers[1]?.id}; kill -CONT heals it`,
    `  tail -f ${stage.home.logPath}`,
    'Ctrl-C ends it.',
  ].join('\n');
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      crlf: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const terminal = processTerminal(process);
  if (values.help) {
    terminal.out(help);
    return 0;
  }
  const timeline = new Timeline(terminal, values.json);
  const startedAtMs = Date.now();
  const stage = Stage.make({ lineEnd: values.crlf ? '\r\n' : '\n' });
  const before = stage.home.readConfig();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void stage.stop().finally(() => process.exit(130)));
  }
  try {
    const results = await play(stage, timeline);
    const unchanged = outsideServers(before) === outsideServers(stage.home.readConfig());
    const tookMs = Date.now() - startedAtMs;
    if (values.json) {
      terminal.out(
        `${JSON.stringify({ ok: unchanged, unchangedOutside: unchanged, tookMs, results, moments: timeline.moments }, undefined, 2)}\n`,
      );
    } else {
      timeline.heading('What it came to');
      timeline.block(
        renderTable(
          ['manager in use', 'from', 'to', 'agent away', 'ossec.conf afterwards'],
          results.map(({ fault, from, to, awayMs, servers }) => [
            fault === 'none' ? 'list arrives' : fault,
            from,
            to,
            renderDuration(awayMs),
            servers.join(' '),
          ]),
        ),
      );
      const verdict = unchanged
        ? paint(terminal, 'green', 'every byte outside the server entries is as it was')
        : paint(terminal, 'red', 'bytes outside the server entries changed');
      timeline.block(`\n${verdict}; ${renderDuration(tookMs)} in all`);
    }
    if (values.keep) {
      terminal.out(`\n${howToPoke(stage)}\n`);
      await new Promise(() => undefined);
    }
    return unchanged ? 0 : 1;
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown.message : String(thrown);
    if (values.json)
      terminal.out(`${JSON.stringify({ ok: false, error, moments: timeline.moments })}\n`);
    else
      terminal.err(
        `\ndemo failed: ${error}\nsidecar: ${stage.sidecar?.errors.slice(-2_000) ?? ''}\n`,
      );
    return 1;
  } finally {
    await stage.stop();
  }
}

process.exitCode = await main();
