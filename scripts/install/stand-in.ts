/**
 * Runs inside the container: a stand-in agent laid out and owned as the agent's own package does,
 * under a unit like its own, and three stand-in managers. `--no-systemd`: as services of SysV or OpenRC.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { makeAgentHome } from '../../test/fakes/agent-home.ts';

export const managers = ['127.0.0.11', '127.0.0.12', '127.0.0.13'] as const;
/** What the agent was installed with: no manager of the list, so that it must be moved. */
export const firstManager = '127.0.0.10';

const sh = (line: string): void => void execFileSync('/bin/sh', ['-ec', line]);

function main(): void {
  sh('getent group wazuh || groupadd --system wazuh');
  sh('getent passwd wazuh || useradd --system -g wazuh -d /var/ossec -s /usr/sbin/nologin wazuh');
  makeAgentHome({
    directory: '/var/ossec',
    servers: [{ address: firstManager, port: 1514 }],
    lineEnd: '\n',
    enrollment: 'no',
    ownerPid: undefined,
    agentFlags: ['--retry-interval-unit-ms', '100', '--state-interval-ms', '1000'],
  });
  // As the real one, it does not stay root.
  sh(
    `sed -i "s|^set -- |set -- /usr/bin/setpriv --reuid=wazuh --regid=wazuh --clear-groups |" /var/ossec/bin/wazuh-agentd`,
  );
  sh('chown -R root:wazuh /var/ossec && chown wazuh:wazuh /var/ossec/etc /var/ossec/logs');
  sh(
    'chmod 0750 /var/ossec && chmod 0770 /var/ossec/etc /var/ossec/var/run /var/ossec/queue /var/ossec/queue/sockets /var/ossec/logs',
  );
  sh('chmod 0660 /var/ossec/etc/ossec.conf && chmod 0640 /var/ossec/etc/client.keys');
  if (process.argv.includes('--no-systemd')) startWithoutSystemd();
  else startUnits();
}

const managerMain = fileURLToPath(new URL('../../test/fakes/manager.ts', import.meta.url));
const managerWords = [firstManager, ...managers].map((address) => [
  ...[process.execPath, managerMain, '--listen', `${address}:1514`, '--keep'],
]);

function startUnits(): void {
  writeFileSync('/etc/systemd/system/wazuh-agent.service', agentUnit);
  sh('systemctl daemon-reload');
  for (const [index, words] of managerWords.entries()) {
    execFileSync('systemd-run', ['--quiet', `--unit=manager-${index}`, ...words]);
  }
  sh('systemctl start wazuh-agent');
}

/** Two services that start at boot: the managers, and the agent, as the agent's own package has it. */
function startWithoutSystemd(): void {
  const start = managerWords.map(
    (words) => `setsid ${words.join(' ')} >/dev/null 2>&1 </dev/null &`,
  );
  // Its own network has nothing but a loopback, which nobody else brings up there.
  service('stand-in-managers', ['ip link set lo up', ...start], []);
  service(
    'wazuh-agent',
    ['/var/ossec/bin/wazuh-control start'],
    ['/var/ossec/bin/wazuh-control stop'],
  );
}

/** The same lines for SysV and for OpenRC, whichever is there. */
function service(name: string, start: readonly string[], stop: readonly string[]): void {
  const isOpenRc = existsSync('/sbin/openrc-run');
  const needs = name === 'wazuh-agent' ? 'stand-in-managers' : '';
  const bodies = `start() {\n${start.join('\n')}\ntrue\n}\nstop() {\n${stop.join('\n')}\ntrue\n}\n`;
  const text = isOpenRc
    ? `#!/sbin/openrc-run\ndepend() {\nafter ${needs}\ntrue\n}\n${bodies}`
    : `#!/bin/sh\n${lsbHeader(name, needs)}${bodies}case $1 in start) start ;; stop) stop ;; esac\n`;
  writeFileSync(`/etc/init.d/${name}`, text, { mode: 0o755 });
  sh(isOpenRc ? `rc-update add ${name}` : `update-rc.d ${name} defaults`);
  sh(`/etc/init.d/${name} start`);
}

function lsbHeader(name: string, needs: string): string {
  return `### BEGIN INIT INFO
# Provides: ${name}
# Required-Start: $remote_fs ${needs}
# Required-Stop: $remote_fs ${needs}
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
### END INIT INFO
`;
}

/** The lines of the stock unit that matter to us; `sleep` stands for the agent's other daemons. */
const agentUnit = `[Unit]
Description=stand-in agent
[Service]
Type=forking
ExecStart=/bin/sh -c 'sleep infinity & exec /var/ossec/bin/wazuh-control start'
ExecStop=/usr/bin/env /var/ossec/bin/wazuh-control stop
ExecReload=/usr/bin/env /var/ossec/bin/wazuh-control reload
KillMode=process
[Install]
WantedBy=multi-user.target
`;

if (import.meta.main) main();
