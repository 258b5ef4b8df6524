/**
 * The load balancers people put between agents and managers, as processes on loopback: HAProxy as
 * the Wazuh documentation shows it and at its best for this job, nginx's stream module as shown.
 */
import { existsSync, writeFileSync } from 'node:fs';

export interface BalancerPlace {
  /** Where agents dial, `HOST:PORT`. */
  readonly listen: string;
  /** The managers, `HOST:PORT`, in order of preference. */
  readonly targets: readonly string[];
  /** A folder of its own. */
  readonly folder: string;
}

export interface Balancer {
  readonly subject: string;
  /** Why it cannot run here, or undefined. */
  missing(): string | undefined;
  /** Writes its configuration and says how to start it. */
  prepare(place: BalancerPlace): readonly string[];
}

const haproxyProgram = '/usr/sbin/haproxy';
const nginxProgram = '/usr/sbin/nginx';
const streamModule = '/usr/lib/nginx/modules/ngx_stream_module.so';

function haproxyText(place: BalancerPlace, backend: string, serverOptions: string): string {
  const servers = place.targets.map((target, i) => `  server m${i} ${target} ${serverOptions}`);
  return `global
  maxconn 4000
defaults
  mode tcp
  timeout connect ${serverOptions.includes('shutdown-sessions') ? '700' : '10s'}
  timeout client 1m
  timeout server 1m
  retries 3
  option redispatch
frontend agents
  bind ${place.listen}
  default_backend managers
backend managers
  balance first
${backend}${servers.join('\n')}
`;
}

/** The framed #ping and its answer (agent-side.md 5.1). */
const pingCheck = `  option tcp-check
  tcp-check connect
  tcp-check send-binary 050000002370696e67
  tcp-check expect binary 0500000023706f6e67
  timeout check 800
`;

function haproxy(subject: string, backend: string, serverOptions: string): Balancer {
  return {
    subject,
    missing: () => (existsSync(haproxyProgram) ? undefined : 'apt-get install haproxy'),
    prepare(place) {
      const path = `${place.folder}/haproxy.cfg`;
      writeFileSync(path, haproxyText(place, backend, serverOptions));
      return [haproxyProgram, '-db', '-f', path];
    },
  };
}

/** One process: a killed master would leave its worker behind, and that one our output open. */
const nginxStream: Balancer = {
  subject: 'nginx-stream',
  missing: () =>
    existsSync(nginxProgram) && existsSync(streamModule)
      ? undefined
      : 'apt-get install nginx-light libnginx-mod-stream',
  prepare({ listen, targets, folder }) {
    const path = `${folder}/nginx.conf`;
    writeFileSync(
      path,
      `load_module ${streamModule};
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log ${folder}/nginx.err;
events { worker_connections 1024; }
stream {
  upstream managers { ${targets.map((target) => `server ${target};`).join(' ')} }
  server { listen ${listen}; proxy_pass managers; }
}
`,
    );
    return [nginxProgram, '-c', path, '-e', `${folder}/nginx.err`];
  },
};

export const balancers: readonly Balancer[] = [
  haproxy('haproxy-documented', '', 'check'),
  haproxy(
    'haproxy-best',
    pingCheck,
    'check inter 1s fall 2 rise 2 on-marked-down shutdown-sessions',
  ),
  nginxStream,
];
