/** Who gave this command: through sudo, the one behind it. */
import { userInfo } from 'node:os';

export function readUserName(): string {
  const behind = process.env.SUDO_USER;
  if (behind !== undefined && /^[\w.@-]{1,64}$/.test(behind)) return behind;
  try {
    return userInfo().username;
  } catch {
    return 'unknown'; // a container may know no name for its user
  }
}
