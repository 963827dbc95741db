/**
 * A member name as parsers compare it that ignore case, Go's `encoding/json` among them:
 * the long s (U+017F) is an `s` to them, and the Kelvin sign (U+212A) a `k`.
 */
export function foldName(name: string): string {
  return name.toUpperCase().toLowerCase()
}
