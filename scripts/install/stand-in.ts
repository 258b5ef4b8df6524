/**
 * Runs inside the container: a stand-in agent laid out and owned as the agent's own package does,
 * under a unit like its own, and three stand-in managers.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
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
  writeFileSync('/etc/systemd/system/wazuh-agent.service', agentUnit);
  sh('systemctl daemon-reload');
  const managerMain = fileURLToPath(new URL('../../test/fakes/manager.ts', import.meta.url));
  for (const [index, address] of [firstManager, ...managers].entries()) {
    const words = [process.execPath, managerMain, '--listen', `${address}:1514`, '--keep'];
    execFileSync('systemd-run', ['--quiet', `--unit=manager-${index}`, ...words]);
  }
  sh('systemctl start wazuh-agent');
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
