/**
 * A TCP connection to a publisher through an HTTP proxy (CONNECT, RFC 9110 9.3.6). The proxy sees
 * name and port, nothing else: TLS with our pins runs inside. Only what the configuration names is
 * used, never a proxy of the environment; the answer is bounded in bytes, the wait by the signal.
 */
import { connect, type Socket } from 'node:net';
import { PeerError } from '../errors.ts';
import { messageOf } from '../guards.ts';

export interface Endpoint {
  /** Name or IP literal without brackets. */
  readonly host: string;
  readonly port: number;
}

const maxAnswerBytes = 8 * 1024;
const endOfHead = '\r\n\r\n';

/** `http://HOST:PORT`, the port 3128 when it is not named. */
export function parseProxy(text: string): Endpoint {
  const { hostname, port } = new URL(text);
  return { host: bare(hostname), port: port === '' ? 3128 : Number(port) };
}

/** Throws PeerError `connect_failed`, and what `signal` aborts with. */
export function openTunnel(proxy: Endpoint, to: Endpoint, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(proxy);
    let head = '';
    const settle = (): void => {
      signal.removeEventListener('abort', onAbort);
      socket.removeAllListeners();
    };
    const fail = (error: unknown): void => {
      settle();
      socket.on('error', () => undefined); // it is being destroyed
      socket.destroy();
      reject(error);
    };
    const refuse = (why: string): void =>
      fail(new PeerError('connect_failed', `proxy ${proxy.host}:${proxy.port}: ${why}`));
    const onAbort = (): void => fail(signal.reason);
    socket.on('connect', () => socket.write(requestFor(to)));
    socket.on('error', (error) => refuse(messageOf(error)));
    socket.on('close', () => refuse('closed before it answered'));
    socket.on('data', (bytes) => {
      head += bytes.toString('latin1');
      const end = head.indexOf(endOfHead);
      if (end < 0) return head.length > maxAnswerBytes ? refuse('too long an answer') : undefined;
      const [line = ''] = head.split('\r\n');
      if (!/^HTTP\/1\.[01] 2\d\d\b/.test(line)) return refuse(line.slice(0, 100));
      // A TLS server never speaks first: bytes behind the head are not from one.
      if (head.length > end + endOfHead.length) return refuse('bytes that nobody asked for');
      settle();
      socket.pause();
      resolve(socket);
    });
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

function requestFor({ host, port }: Endpoint): string {
  const target = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`;
}

function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}
