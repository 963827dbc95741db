/**
 * The scopes that a 403 says are missing (RFC 6750, section 3.1); empty when it does not name them, undefined when it is about
 * something else. At most `mostScopes`, and only what a scope may be made of.
 */
export function missingScopes(header: string | string[] | undefined): string[] | undefined {
  const challenges = Array.isArray(header) ? header : [header ?? '']
  const found = challenges.map((text) => parametersOf(text)).find((one) => one.get('error') === 'insufficient_scope')
  if (found === undefined) return undefined
  const scopes = (found.get('scope') ?? '')
    .split(' ')
    .filter((scope) => /^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/.test(scope))
  return [...new Set(scopes)].slice(0, mostScopes)
}

/** A server that wants more than this in one call is not well. */
const mostScopes = 50

/**
 * `name=value` and `name="value"`, names in lower case. The first of a name counts. Names are looked for where they begin
 * only: from each of its characters, one word of 16 KiB takes seconds.
 */
function parametersOf(text: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const [, name = '', quoted, token] of text.matchAll(
    /(?<![\w-])([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/g,
  )) {
    const key = name.toLowerCase()
    if (!found.has(key)) found.set(key, quoted?.replaceAll(/\\(.)/g, '$1') ?? token ?? '')
  }
  return found
}
