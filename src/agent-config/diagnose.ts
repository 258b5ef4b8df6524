/** What is usually behind a complaint of the scanner, so that the way out names the real cause. */
import { isSpace, latin1 } from './element.ts';
import type { Complaint } from './refusal.ts';

interface Cause {
  readonly ruleNumber: number;
  readonly fix: string;
  readonly applies: (bytes: Uint8Array, complaint: Complaint) => boolean;
}

const NOT_CLOSED_COMMENT = 27;
const ATTRIBUTES = 33;
const LESS = 0x3c;
const QUESTION_MARK = 0x3f;

const causes: readonly Cause[] = [
  {
    ruleNumber: 13,
    fix: 'the file is UTF-16: save it as UTF-8 or plain ASCII',
    applies: (bytes) => /^(?:\xff\xfe|\xfe\xff|.\0.\0|\0.\0.)/s.test(latin1(bytes, 0, 4)),
  },
  {
    ruleNumber: 66,
    fix: 'remove CDATA and DOCTYPE: to the agent they are comments that end at --> or !>',
    applies: (bytes, { ruleNumber, offset }) =>
      ruleNumber === NOT_CLOSED_COMMENT &&
      /^<!(?:\[CDATA\[|DOCTYPE)/i.test(latin1(bytes, offset, offset + 9)),
  },
  {
    ruleNumber: 11,
    fix: 'remove the <?xml …?> declaration, the agent takes it for an element',
    applies: (bytes, complaint) => tagAround(bytes, complaint) === QUESTION_MARK,
  },
  {
    ruleNumber: 30,
    fix: 'remove the blank behind <',
    applies: (bytes, complaint) => isSpace(tagAround(bytes, complaint)),
  },
];

/** The complaint with cause and way out made exact where the cause is a known one. */
export function diagnose(bytes: Uint8Array, complaint: Complaint): Complaint {
  const cause = causes.find(({ applies }) => applies(bytes, complaint));
  if (cause === undefined) return complaint;
  return { ...complaint, ruleNumber: cause.ruleNumber, fix: cause.fix };
}

/** First byte behind the `<` of the tag whose attributes are complained about. */
function tagAround(bytes: Uint8Array, { ruleNumber, offset }: Complaint): number | undefined {
  if (ruleNumber !== ATTRIBUTES) return undefined;
  return bytes[bytes.lastIndexOf(LESS, offset - 1) + 1];
}
