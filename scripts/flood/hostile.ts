/**
 * Hostile sockets as a process of their own: so many at once, from many addresses of 127/8, each of a
 * kind that holds a server up; whoever is cut off comes again. Tells twice a second how many stand.
 */
import { createConnection, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

const [portText = '0', countText = '0', addressesText = '64'] = process.argv.slice(2);
const port = Number(portText);
const count = Number(countText);
const addresses = Number(addressesText);
/** Eight addresses in a network, so that none of them is over the cap of its network. */
const addressOf = (at: number): string =>
  `127.77.${Math.floor((at % addresses) / 8)}.${1 + ((at % addresses) % 8)}`;

const open = new Set<Socket>();
let opened = 0;
let cut = 0;

type Kind = (at: number) => Socket;

function plain(at: number): Socket {
  return createConnection({ host: '127.0.0.1', port, localAddress: addressOf(at) });
}

function secured(at: number, then: (socket: Socket) => void): Socket {
  const socket = plain(at);
  const tls = connectTls({ socket, rejectUnauthorized: false });
  tls.on('error', () => socket.destroy());
  tls.once('secureConnect', () => then(tls));
  tls.once('close', () => socket.destroy());
  tls.resume();
  return socket;
}

/** One piece after the other, until the socket ends. */
function drip(socket: Socket, pieces: Iterator<string>, everyMs: number): void {
  const timer = setInterval(() => {
    const { value, done } = pieces.next();
    if (done === true || socket.destroyed) return clearInterval(timer);
    socket.write(value);
  }, everyMs);
  socket.once('close', () => clearInterval(timer));
}

function* headers(): Generator<string> {
  yield 'GET /v1/list HTTP/1.1\r\nHost: x\r\n';
  for (let at = 0; ; at += 1) yield `X-${at}: ${at}\r\n`;
}

function* again(text: string): Generator<string> {
  for (;;) yield text;
}

const request = (path: string, more = ''): string =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;
const wrong = request(
  '/api/v1/overview',
  `Authorization: Bearer pfa1.AAAAAAAA.${'B'.repeat(43)}\r\n`,
);

const kinds: readonly Kind[] = [
  plain,
  (at) => {
    const socket = plain(at);
    drip(socket, again('\x16'), 400);
    return socket;
  },
  (at) => secured(at, () => undefined),
  (at) => secured(at, (socket) => drip(socket, headers(), 500)),
  (at) => secured(at, (socket) => drip(socket, again(wrong), 200)),
  (at) => secured(at, (socket) => drip(socket, again(request('/')), 100)),
  (at) =>
    secured(at, (socket) => {
      socket.pause();
      socket.write(request('/v1/list').repeat(20));
    }),
];

function start(at: number): void {
  const socket = kinds[at % kinds.length]?.(at) ?? plain(at);
  open.add(socket);
  opened += 1;
  socket.on('error', () => socket.destroy());
  socket.once('close', () => {
    open.delete(socket);
    cut += 1;
    setTimeout(() => start(at), 500 + Math.random() * 1_000).unref();
  });
}

for (let at = 0; at < count; at += 1) setTimeout(() => start(at), at / 2);
setInterval(() => process.send?.({ kind: 'state', open: open.size, opened, cut }), 500);
process.once('disconnect', () => process.exit(0));
