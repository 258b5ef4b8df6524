/** Light or dark: as the system has it, until the reader says otherwise. */
import { lastingMemory } from './browser.ts';

type Theme = 'auto' | 'light' | 'dark';
const next: Readonly<Record<Theme, Theme>> = { auto: 'light', light: 'dark', dark: 'auto' };
const memoryName = 'pilotfish.theme';

export function currentTheme(): Theme {
  const kept = document.documentElement.dataset.theme;
  return kept === 'light' || kept === 'dark' ? kept : 'auto';
}

export function applyKeptTheme(): void {
  const kept = lastingMemory.read(memoryName);
  if (kept === 'light' || kept === 'dark') document.documentElement.dataset.theme = kept;
}

export function switchTheme(): Theme {
  const theme = next[currentTheme()];
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  lastingMemory.write(memoryName, theme);
  return theme;
}

/** `changed` when the system goes to the other one. */
export function watchSystemTheme(changed: () => void): void {
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', changed);
}
