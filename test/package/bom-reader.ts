/** A reader of bills of materials by rules of its own: walks the blocks as `lsbom` does. */

export interface BomPath {
  readonly path: string;
  readonly mode: number;
  readonly owner: string;
  readonly time: number;
  readonly size: number;
  readonly sum: number;
  readonly to: string;
}

interface Store {
  block(number: number): Buffer;
  root(name: string): Buffer;
}

function openStore(file: Buffer): Store {
  if (file.toString('latin1', 0, 8) !== 'BOMStore') throw new Error('no BOMStore');
  const [table, tableBytes, names] = [16, 20, 24].map((at) => file.readUInt32BE(at));
  if (table === undefined || tableBytes === undefined || names === undefined) throw new Error();
  if (table + tableBytes !== file.length) throw new Error('the table is not the end of the file');
  const block = (number: number): Buffer => {
    const at = table + 4 + number * 8;
    if (number < 1 || number >= file.readUInt32BE(table)) throw new Error(`no block ${number}`);
    const [from, length] = [file.readUInt32BE(at), file.readUInt32BE(at + 4)];
    if (from + length > table) throw new Error(`block ${number} leaves its room`);
    return file.subarray(from, from + length);
  };
  const roots = new Map<string, number>();
  let at = names + 4;
  for (let left = file.readUInt32BE(names); left > 0; left -= 1) {
    const length = file.readUInt8(at + 4);
    roots.set(file.toString('latin1', at + 5, at + 5 + length), file.readUInt32BE(at));
    at += 5 + length;
  }
  return { block, root: (name) => block(roots.get(name) ?? 0) };
}

/** In the order of the tree. Throws where a block is missing or a tree is not one. */
export function readBom(file: Buffer): readonly BomPath[] {
  const store = openStore(file);
  for (const name of ['HLIndex', 'Size64']) leafOf(store, store.root(name));
  leafOf(store, store.block(store.root('VIndex').readUInt32BE(4)));
  const paths = new Map<number, string>();
  const tree = store.root('Paths');
  const leaf = leafOf(store, tree);
  const count = leaf.readUInt16BE(2);
  if (count !== tree.readUInt32BE(16)) throw new Error('the tree and its leaf count differently');
  if (store.root('BomInfo').readUInt32BE(4) !== count + 1) throw new Error('BomInfo miscounts');
  return Array.from({ length: count }, (_, index) => {
    const key = store.block(leaf.readUInt32BE(12 + index * 8 + 4));
    const value = store.block(leaf.readUInt32BE(12 + index * 8));
    const name = key.toString('utf8', 4, key.length - 1);
    const parent = key.readUInt32BE(0);
    const path = parent === 0 ? name : `${paths.get(parent)}/${name}`;
    paths.set(value.readUInt32BE(0), path);
    return { path, ...readRecord(store.block(value.readUInt32BE(4))) };
  });
}

function leafOf(store: Store, tree: Buffer): Buffer {
  if (tree.toString('latin1', 0, 4) !== 'tree') throw new Error('no tree');
  const leaf = store.block(tree.readUInt32BE(8));
  if (leaf.readUInt16BE(0) !== 1 || leaf.length !== tree.readUInt32BE(12)) throw new Error('leaf');
  return leaf;
}

function readRecord(record: Buffer) {
  const linkBytes = record.readUInt32BE(27);
  return {
    mode: record.readUInt16BE(4),
    owner: `${record.readUInt32BE(6)}:${record.readUInt32BE(10)}`,
    time: record.readUInt32BE(14),
    size: record.readUInt32BE(18),
    sum: record.readUInt32BE(23),
    to: record.toString('utf8', 31, 31 + Math.max(0, linkBytes - 1)),
  };
}
