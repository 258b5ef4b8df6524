/**
 * Structured events, one JSON object a line (pino underneath). Fields are an allow-list by
 * construction: callers name what they log; nothing logs whole documents or secrets.
 */
import { writeSync } from 'node:fs';
import { type DestinationStream, pino } from 'pino';

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** `event` is a dotted name such as `list.accepted`; it never contains data. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

/** A log that writes to file descriptor `fd` (default 2, standard error). */
export function buildLog(level: LogLevel, fd = 2): Log {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    openSink(fd),
  );
  const at =
    (name: 'debug' | 'info' | 'warn' | 'error') =>
    (event: string, fields: LogFields = {}): void =>
      logger[name]({ event, ...fields });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/**
 * A log is worth less than the work it tells of: a line that cannot be written (a full disk, nobody
 * who reads) is dropped, and nobody throws, least of all in the middle of a move.
 */
function openSink(fd: number): DestinationStream {
  let isTorn = false;
  return {
    write(line) {
      const bytes = Buffer.from(isTorn ? `\n${line}` : line);
      let at = 0;
      try {
        while (at < bytes.length) at += writeSync(fd, bytes, at);
        isTorn = false;
      } catch {
        isTorn ||= at > 0;
      }
    },
  };
}

const drop = (): void => undefined;
/** For callers that do not log. */
export const silentLog: Log = { debug: drop, info: drop, warn: drop, error: drop };
