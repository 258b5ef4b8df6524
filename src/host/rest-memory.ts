/**
 * What starting up leaves behind is given back while the program is at rest: V8 by itself collects
 * only when it needs room, which a program that does next to nothing never does.
 */
import type { Cancel, Clock } from '../clock.ts';

/** By then a start is over; later looks cost some thousandths of a per cent of a core. */
const everyMs = 600_000;
const firstMs = 10_000;

/** Works where the program was started with `--expose-gc`, as the packages do; else nothing happens. */
export function restMemory(clock: Clock): Cancel {
  const { gc } = globalThis;
  if (gc === undefined) return () => undefined;
  const rest = (): void => {
    gc({ type: 'major', flavor: 'last-resort' });
    cancel = clock.after(everyMs, rest);
  };
  let cancel = clock.after(firstMs, rest);
  return () => cancel();
}
