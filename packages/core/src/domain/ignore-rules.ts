/** One entry at the root of a mounted directory. */
export interface RootEntry {
  name: string
  isDirectory: boolean
}

/**
 * Reads a `.thvignore`: one pattern per line, `#` comments, no negation and no
 * recursion (spec/local 3.7). A pattern with a path in it can match nothing at the
 * root, so it stands among the problems instead of being dropped.
 */
export function parseIgnoreFile(text: string): { patterns: string[]; problems: string[] } {
  const lines = text.split(/\r?\n/).map((line) => line.trim())
  const patterns: string[] = []
  const problems: string[] = []
  for (const line of lines) {
    if (line === '' || line.startsWith('#')) continue
    const name = line.replace(/^\.?\//, '').replace(/\/$/, '')
    if (line.startsWith('!')) problems.push(`'${line}': there is no negation`)
    else if (name === '' || name.includes('/')) problems.push(`'${line}': only names at the root are covered`)
    else patterns.push(line.replace(/^\.?\//, ''))
  }
  return { patterns, problems }
}

/** The entries that the patterns cover: `dir/`, an exact name, or a glob with `*`, `?` and `[…]`. Pure. */
export function coveredEntries<Entry extends RootEntry>(
  patterns: readonly string[],
  entries: readonly Entry[],
): Entry[] {
  return entries.filter((entry) =>
    patterns.some((pattern) => {
      if (!pattern.endsWith('/')) return matchesGlob(pattern, entry.name)
      return entry.isDirectory && matchesGlob(pattern.slice(0, -1), entry.name)
    }),
  )
}

/** Without backtracking: on a mismatch only the last star takes one more character. */
function matchesGlob(pattern: string, name: string): boolean {
  const tokens = tokensOf(pattern)
  let [token, at] = [0, 0]
  let star: { token: number; at: number } | undefined
  while (at < name.length) {
    const current = tokens[token]
    if (current === '*') {
      star = { token, at }
      token += 1
    } else if (current !== undefined && current(name.charAt(at))) {
      token += 1
      at += 1
    } else if (star !== undefined) {
      star.at += 1
      ;[token, at] = [star.token + 1, star.at]
    } else return false
  }
  return tokens.slice(token).every((rest) => rest === '*')
}

type Token = '*' | ((character: string) => boolean)

function tokensOf(pattern: string): Token[] {
  const parts = pattern.match(/\[[!^]?\]?[^\]]*\]|[\s\S]/g) ?? []
  return parts.map((part): Token => {
    if (part === '*') return '*'
    if (part === '?') return () => true
    return part.length > 2 ? classOf(part.slice(1, -1)) : (character) => character === part
  })
}

function classOf(inside: string): Token {
  const isNegated = /^[!^]/.test(inside)
  const ranges = (isNegated ? inside.slice(1) : inside).match(/[\s\S]-[\s\S]|[\s\S]/g) ?? []
  return (character) => {
    const isIn = ranges.some((range) => range.charAt(0) <= character && character <= range.charAt(range.length - 1))
    return isIn !== isNegated
  }
}
