/**
 * Keeping a running HAProxy in step over its runtime API, without a reload: what it has (from `show
 * servers state`), what it shall have, and the commands between. Pure. HAProxy 2.6 management guide.
 */
import { type BalancedServer, endpointText } from './balanced-server.ts';
import { checkOptions } from './haproxy-config.ts';

export interface RunningServer {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  readonly state: 'ready' | 'drain' | 'maint';
  /** From the file: cannot be deleted while HAProxy runs. */
}

const adminBits = { maint: 0x01 | 0x02 | 0x04 | 0x20, drain: 0x08 | 0x10 } as const;
const columns = ['be_name', 'srv_name', 'srv_addr', 'srv_admin_state', 'srv_uweight', 'srv_port'];

/** Throws TypeError when it is no such table, or of a version without the needed columns. */
export function parseServersState(text: string, backend: string): readonly RunningServer[] {
  const lines = text.split('\n').map((line) => line.trim());
  const header = lines.find((line) => line.startsWith('# ')) ?? '';
  const names = header.slice(2).split(' ');
  const missing = columns.filter((column) => !names.includes(column));
  if (missing.length > 0) {
    throw new TypeError(`no table of servers: ${text.trim().slice(0, 120) || 'empty answer'}`);
  }
  return lines
    .filter((line) => /^\d+ /.test(line))
    .map((line) => line.split(' '))
    .filter((cells) => cells[names.indexOf('be_name')] === backend)
    .map((cells) => {
      const cell = (name: string): string => cells[names.indexOf(name)] ?? '';
      return {
        name: cell('srv_name'),
        address: cell('srv_addr'),
        port: Number(cell('srv_port')),
        weight: Number(cell('srv_uweight')),
        state: stateOf(Number(cell('srv_admin_state'))),
      };
    });
}

function stateOf(admin: number): RunningServer['state'] {
  if ((admin & adminBits.maint) !== 0) return 'maint';
  return (admin & adminBits.drain) !== 0 ? 'drain' : 'ready';
}

/** One command, and whether its refusal means that a reload is needed instead. */
export interface RuntimeCommand {
  readonly text: string;
  readonly isVital: boolean;
}

const vital = (text: string): RuntimeCommand => ({ text, isVital: true });
const optional = (text: string): RuntimeCommand => ({ text, isVital: false });

/**
 * In an order that never leaves the backend without a ready server that it could have: additions
 * and returns first, then drains, then removals.
 */
export function runtimeCommands(
  backend: string,
  running: readonly RunningServer[],
  wanted: readonly BalancedServer[],
): readonly RuntimeCommand[] {
  const known = new Map(running.map((server) => [server.name, server]));
  const changes = wanted.flatMap((server) => {
    const is = known.get(server.name);
    return is === undefined ? additions(backend, server) : corrections(backend, is, server);
  });
  const names = new Set(wanted.map(({ name }) => name));
  const leaving = running.filter(({ name, state }) => !names.has(name) && state !== 'maint');
  const isDrain = ({ text }: RuntimeCommand): boolean => text.endsWith(' state drain');
  return [
    ...changes.filter((one) => !isDrain(one)),
    ...changes.filter(isDrain),
    ...leaving.flatMap(({ name }) => removals(`${backend}/${name}`)),
  ];
}

function additions(backend: string, server: BalancedServer): readonly RuntimeCommand[] {
  const path = `${backend}/${server.name}`;
  const { weight, isBackup, state } = server;
  const options = `weight ${weight} ${checkOptions}${isBackup ? ' backup' : ''}`;
  return [
    vital(`add server ${path} ${endpointText(server)} ${options}`),
    vital(`enable health ${path}`),
    vital(`set server ${path} state ${state}`),
  ];
}

function corrections(
  backend: string,
  is: RunningServer,
  server: BalancedServer,
): readonly RuntimeCommand[] {
  const path = `${backend}/${server.name}`;
  const { address, port, weight, state } = server;
  const moved = is.port !== port || (isLiteral(address) && is.address !== address);
  return [
    ...(moved ? [vital(`set server ${path} addr ${address} port ${port}`)] : []),
    ...(state === 'ready' && is.weight !== weight
      ? [vital(`set server ${path} weight ${weight}`)]
      : []),
    ...(is.state === state ? [] : [vital(`set server ${path} state ${state}`)]),
  ];
}

/** Its agents are cut, as the list no longer knows it; one from the file stays in maintenance. */
function removals(path: string): readonly RuntimeCommand[] {
  return [
    vital(`set server ${path} state maint`),
    optional(`shutdown sessions server ${path}`),
    optional(`del server ${path}`),
  ];
}

/** A name is shown resolved, so it says nothing about a change. */
function isLiteral(address: string): boolean {
  return address.includes(':') || /^[0-9.]+$/.test(address);
}
