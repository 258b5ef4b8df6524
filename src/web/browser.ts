/** Time, chance and memory of the browser: the only place of the page that reads them. */

export function nowMs(): number {
  return Date.now();
}

/** Undo for something scheduled. */
export type Cancel = () => void;

export function after(delayMs: number, task: () => void): Cancel {
  const timer = setTimeout(task, delayMs);
  return () => clearTimeout(timer);
}

/** Uniform in [0, 1). */
export function fraction(): number {
  return Math.random();
}

/** Survives a reload of this tab, and nothing else does. */
export const tabMemory = {
  read: (name: string): string | null => sessionStorage.getItem(name),
  write: (name: string, value: string): void => sessionStorage.setItem(name, value),
  drop: (name: string): void => sessionStorage.removeItem(name),
};

/** Survives the tab. */
export const lastingMemory = {
  read: (name: string): string | null => localStorage.getItem(name),
  write: (name: string, value: string): void => localStorage.setItem(name, value),
};
