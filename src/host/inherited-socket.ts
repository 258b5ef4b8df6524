/**
 * Listening sockets that the service manager opened and keeps (sd_listen_fds(3)): descriptors from
 * 3 on, their number and names in the environment, meant for the process with that pid only.
 */

const firstFd = 3;
const maxFds = 64;

/** The descriptor of the socket unit whose name holds `name`, or the only one there is. */
export function inheritedSocket(
  name: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
  pid: number = process.pid,
): number | undefined {
  const count = Number(environment.LISTEN_FDS ?? 0);
  if (environment.LISTEN_PID !== String(pid)) return undefined;
  if (!Number.isInteger(count) || count < 1 || count > maxFds) return undefined;
  const names = (environment.LISTEN_FDNAMES ?? '').split(':').slice(0, count);
  const place = names.findIndex((one) => one.includes(name));
  if (place >= 0) return firstFd + place;
  return count === 1 ? firstFd : undefined;
}
