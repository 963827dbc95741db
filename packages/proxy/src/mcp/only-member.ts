import { foldName } from './fold-name.ts'
import { scanMembers } from './raw-message.ts'

/** Where a value is in a text. */
export interface Span {
  readonly start: number
  readonly end: number
}

/**
 * Where the member of a name is, in the object at `at` whose parsed value is given.
 * `ambiguous` when it is there twice, or another key is the same to a parser that
 * ignores case: two parsers would read two different values.
 */
export function findOnlyMember(
  value: Readonly<Record<string, unknown>>,
  { text, at }: { text: string; at: number },
  name: string,
): Span | 'ambiguous' | undefined {
  const folded = foldName(name)
  if (Object.keys(value).some((key) => key !== name && foldName(key) === folded)) return 'ambiguous'
  if (!Object.hasOwn(value, name)) return undefined
  const found: Span[] = []
  scanMembers(text, at, (key, start, end) => {
    if (key === name) found.push({ start, end })
  })
  return found.length === 1 ? found[0] : 'ambiguous'
}
