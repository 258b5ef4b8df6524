/** What a peer's file, name or bundle did wrong, with the stock error that tells the peer. */
import { WireError } from '../../errors.ts';
import { type Fault, fault } from '../wire/fault.ts';

export class FileRefusal extends WireError {
  /** The stock error to answer with (cluster-protocol.md 11.2). */
  readonly fault: Fault;

  constructor(code: number, text: string, options?: ErrorOptions) {
    super(code === 3053 ? 'wire_limit' : 'wire_broken', text, options);
    this.fault = fault(code, text);
  }
}

/** Hostile text for people: at most 128 characters, control and bidi characters escaped. */
export function shown(text: string): string {
  const cut = text.length > 128 ? `${text.slice(0, 128)}…` : text;
  return JSON.stringify(cut).replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
