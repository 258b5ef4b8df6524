/** Names of signed files that travel in a folder without folders in it, such as etc/shared of an agent. */

/** In the shared folder of a group, and below etc/shared of its agents. */
export const sharedListName = 'pilotfish.list';

/** Root N that goes with a list file of this name or path. */
export function sharedRootName(list: string, version: number): string {
  return `${list}.root.${version}`;
}

/** Where root N may lie for a list file at `path`: in a folder of roots beside it, or flat. */
export function rootPathsOf(path: string, version: number): readonly string[] {
  const folder = path.replace(/[^/\\]*$/, '');
  return [`${folder}root/${version}`, sharedRootName(path, version)];
}
