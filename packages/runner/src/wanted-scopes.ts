import { limits } from '@thv/core'

/** Scopes that calls have turned out to need, until a login has them. What is known of it is written down by somebody else. */
export class WantedScopes {
  readonly #lacking = new Set<string>()
  #granted: readonly string[] = []
  #hasNews = false

  /** The server has refused a call for want of these. */
  lacks(scopes: readonly string[]): void {
    for (const scope of scopes) {
      if (this.#lacking.has(scope) || this.#lacking.size >= limits.wantedScopes) continue
      this.#lacking.add(scope)
      this.#hasNews = true
    }
  }

  /** A login has these. */
  granted(scopes: readonly string[]): void {
    this.#granted = scopes
    for (const scope of scopes) this.#lacking.delete(scope)
    this.#hasNews = true
  }

  /** Whether something has changed since the last question. */
  takeNews(): boolean {
    const had = this.#hasNews
    this.#hasNews = false
    return had
  }

  /** What is to be written down, in the place of what was. */
  mergeInto(known: readonly string[]): string[] {
    const missing = known.filter((scope) => !this.#granted.includes(scope))
    return [...new Set([...missing, ...this.#lacking])].slice(0, limits.wantedScopes)
  }
}
