/** One finished exchange of agents' data, for status and `get_health`. */
export interface Round {
  /** Wall-clock milliseconds; undefined: none yet. */
  readonly startAtMs: number | undefined;
  readonly endAtMs: number | undefined;
  readonly chunks: number;
}

export const noRound: Round = { startAtMs: undefined, endAtMs: undefined, chunks: 0 };
