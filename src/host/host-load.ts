/** How busy the processors of this host were since the last look. */
import { cpus } from 'node:os';

/** 0 to 1 of all processors; undefined at the first look, and where the system tells no times. */
export function watchHostLoad(): { busy(): number | undefined } {
  let before: { readonly idle: number; readonly all: number } | undefined;
  return {
    busy() {
      const now = { idle: 0, all: 0 };
      for (const { times } of cpus()) {
        now.idle += times.idle;
        now.all += times.idle + times.user + times.nice + times.sys + times.irq;
      }
      const was = before;
      before = now;
      const all = now.all - (was?.all ?? now.all);
      return was === undefined || all <= 0 ? undefined : 1 - (now.idle - was.idle) / all;
    },
  };
}
