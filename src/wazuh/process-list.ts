/** Process ids from `tasklist /FO CSV /NH` (Windows); its messages for "none" are translated text. */
export function parseTasklist(text: string, image: string): readonly number[] {
  return text.split(/\r?\n/).flatMap((line) => {
    const match = /^"([^"]*)","(\d{1,10})"/.exec(line);
    return match?.[1]?.toLowerCase() === image.toLowerCase() ? [Number(match[2])] : [];
  });
}
