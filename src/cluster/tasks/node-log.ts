/**
 * The lines of cluster.log, as the stock daemon words them: `[tag] [sub-tag] message`. Existing
 * log monitoring keeps working; what writes them (file, structured log) is a port.
 */
export type ClusterLevel = 'DEBUG2' | 'DEBUG' | 'INFO' | 'WARNING' | 'ERROR' | 'CRITICAL';

export interface ClusterLine {
  readonly level: ClusterLevel;
  readonly tag: string;
  readonly subTag: string;
  readonly message: string;
}

/** Where lines go. Must not throw. */
export interface ClusterLog {
  line(line: ClusterLine): void;
}

const longestMessage = 8_192;

/** A log under one tag and sub-tag; `at` gives the same tag under another sub-tag. */
export class NodeLog {
  readonly #log: ClusterLog;
  readonly #tag: string;
  readonly #subTag: string;

  constructor(log: ClusterLog, tag: string, subTag = 'Main') {
    this.#log = log;
    this.#tag = tag;
    this.#subTag = subTag;
  }

  at(subTag: string): NodeLog {
    return new NodeLog(this.#log, this.#tag, subTag);
  }

  debug2(message: string): void {
    this.#write('DEBUG2', message);
  }

  debug(message: string): void {
    this.#write('DEBUG', message);
  }

  info(message: string): void {
    this.#write('INFO', message);
  }

  warning(message: string): void {
    this.#write('WARNING', message);
  }

  error(message: string): void {
    this.#write('ERROR', message);
  }

  #write(level: ClusterLevel, message: string): void {
    const text = message.length > longestMessage ? `${message.slice(0, longestMessage)}…` : message;
    this.#log.line({ level, tag: this.#tag, subTag: this.#subTag, message: text });
  }
}

/** Seconds as stock prints them: `0.045`. */
export function seconds(ms: number): string {
  return (Math.max(0, ms) / 1000).toFixed(3);
}
