/**
 * `<node_type>` of a manager's own configuration, changed by one splice: no other byte moves, and
 * the result must read as the same block with another type, or nothing is changed. Pure.
 */
import { readClusterBlock } from './manager-cluster-block.ts';

/** The new text, the same when it says so already; undefined: no such element was found. */
export function withNodeType(
  text: string,
  type: 'master' | 'worker',
  root = 'ossec_config',
): string | undefined {
  const before = readClusterBlock(text, '', root);
  if (before === undefined) return undefined;
  if (before.options.node_type === type) return text;
  const found = findType(text);
  if (found === undefined) return undefined;
  const changed = text.slice(0, found.start) + type + text.slice(found.end);
  const after = readClusterBlock(changed, '', root);
  const wanted = JSON.stringify({ ...before.options, node_type: type });
  return JSON.stringify(after?.options) === wanted ? changed : undefined;
}

/** Of the last block, which is the one that counts; comments are blanked, offsets stay. */
function findType(text: string): { readonly start: number; readonly end: number } | undefined {
  const bare = text.replace(/<!--[\s\S]*?-->/g, (comment) => ' '.repeat(comment.length));
  const block = [...bare.matchAll(/<cluster>[\s\S]*?<\/cluster>/gi)].at(-1);
  if (block === undefined) return undefined;
  const element = [...block[0].matchAll(/(<node_type>)([^<]*)<\/node_type>/gi)].at(-1);
  if (element === undefined) return undefined;
  const start = block.index + element.index + (element[1] ?? '').length;
  return { start, end: start + (element[2] ?? '').length };
}
