/** A request whose body is already sealed: the same bytes can go to many peers. */
import { type CommandName, encodePayload, type Payload } from '../wire/command.ts';
import type { Seal, SealSalt } from '../wire/seal.ts';

export interface SealedMessage {
  readonly command: CommandName;
  readonly token: Buffer;
  /** Length before sealing; decides whether the message is divided. */
  readonly plainBytes: number;
}

export function sealMessage<Name extends CommandName>(
  seal: Seal,
  command: Name,
  value: Payload<Name>,
  salt: SealSalt,
): SealedMessage {
  const plain = encodePayload(command, value);
  return { command, token: seal.seal(plain, salt), plainBytes: plain.length };
}
