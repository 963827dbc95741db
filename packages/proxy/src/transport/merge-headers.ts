import type { Dispatcher } from 'undici'

/** A flat list of the given headers and the added ones, which take the place of those of the same name. */
export function mergeHeaders(
  given: Dispatcher.DispatchOptions['headers'],
  added: Readonly<Record<string, string>>,
): string[] {
  const names = new Set(Object.keys(added).map((name) => name.toLowerCase()))
  const flat = Array.isArray(given) ? given : Object.entries(given ?? {}).flat()
  const merged: string[] = []
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const [name, value] = [String(flat[index]), flat[index + 1]]
    if (!names.has(name.toLowerCase()) && typeof value === 'string') merged.push(name, value)
  }
  return [...merged, ...Object.entries(added).flat()]
}
