/** Light or dark: as the system has it, until the reader says otherwise. */
import { lastingMemory } from './browser.ts';

type Theme = 'auto' | 'light' | 'dark';
const next: Readonly<Record<Theme, Theme>> = { auto: 'light', light: 'dark', dark: 'auto' };
const memoryName = 'pilotfish.theme';
const system = matchMedia('(prefers-color-scheme: dark)');

let chosen: Theme = 'auto';

export function currentTheme(): Theme {
  return chosen;
}

/** As it was chosen before; `changed` when the system goes to the other one. */
export function startTheme(changed: () => void): void {
  const kept = lastingMemory.read(memoryName);
  choose(kept === 'light' || kept === 'dark' ? kept : 'auto');
  system.addEventListener('change', () => {
    choose(chosen);
    changed();
  });
}

export function switchTheme(): void {
  choose(next[chosen]);
  lastingMemory.write(memoryName, chosen);
}

function choose(theme: Theme): void {
  chosen = theme;
  const ofSystem = system.matches ? 'dark' : 'light';
  document.documentElement.dataset.theme = theme === 'auto' ? ofSystem : theme;
}
