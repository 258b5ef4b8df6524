/** What a verb throws when the question itself is wrong, or asks for what we do not evaluate. */
import type { Fault } from '../wire/fault.ts';

export class CallFault extends Error {
  readonly fault: Fault;

  constructor(reason: Fault) {
    super(`Error ${reason.code}`);
    this.fault = reason;
  }
}
