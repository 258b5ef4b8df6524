/** Configurations of the balancers of Debian as one loopback forwarder, tuned for this one job. */

export interface BalancerPlace {
  readonly listenPort: number;
  readonly targetPort: number;
  /** A folder of its own for pid and error files. */
  readonly folder: string;
}

/** One thread, splicing on, long timeouts: what HAProxy can do at its best with a single stream. */
export function haproxyConfig({ listenPort, targetPort }: BalancerPlace): string {
  return `global
  maxconn 200
  nbthread 1
defaults
  mode tcp
  option splice-auto
  timeout connect 800ms
  timeout client 10m
  timeout server 10m
listen relay
  bind 127.0.0.1:${listenPort}
  server manager 127.0.0.1:${targetPort}
`;
}

/** One process; the module is a package of its own in Debian (libnginx-mod-stream). */
export function nginxStreamConfig({ listenPort, targetPort, folder }: BalancerPlace): string {
  return `load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log ${folder}/nginx.err;
events { worker_connections 64; }
stream {
  proxy_timeout 10m;
  proxy_buffer_size 64k;
  tcp_nodelay on;
  server { listen 127.0.0.1:${listenPort}; proxy_pass 127.0.0.1:${targetPort}; }
}
`;
}
