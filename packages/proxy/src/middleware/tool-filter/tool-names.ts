/** What clients are told about one tool in place of what its server says. */
export interface ToolOverride {
  readonly name?: string
  readonly description?: string
}

/** Which tools clients see, and how. */
export interface ToolRules {
  /** Names that clients see, after overrides; empty for all tools. */
  readonly filter: readonly string[]
  /** By the name that the server gives the tool. */
  readonly overrides: Readonly<Record<string, ToolOverride>>
}

/** Translates between the names that a server gives its tools and those that clients see. */
export class ToolNames {
  readonly #overrides: ReadonlyMap<string, ToolOverride>
  readonly #originals = new Map<string, string>()
  readonly #visible: ReadonlySet<string> | undefined

  /** @throws TypeError when two tools would get the same name */
  constructor({ filter, overrides }: ToolRules) {
    this.#overrides = new Map(Object.entries(overrides))
    this.#visible = filter.length === 0 ? undefined : new Set(filter)
    for (const [original, { name }] of this.#overrides) {
      if (name === undefined || name === '') continue
      if (this.#originals.has(name)) throw new TypeError(`two tools are renamed to "${name}"`)
      this.#originals.set(name, original)
    }
  }

  /** The server's name for the name of a client's call; undefined when clients see no such tool. */
  originalOf(visible: string): string | undefined {
    if (this.#visible?.has(visible) === false) return undefined
    const original = this.#originals.get(visible)
    if (original !== undefined) return original
    return this.#isRenamed(visible) ? undefined : visible
  }

  /** The name that clients see for the server's; undefined when they do not see the tool. */
  visibleOf(original: string): string | undefined {
    const renamed = this.#isRenamed(original) ? this.#overrides.get(original)?.name : undefined
    // A tool that another one took the name of could not be called.
    if (renamed === undefined && this.#originals.has(original)) return undefined
    const visible = renamed ?? original
    return this.#visible?.has(visible) === false ? undefined : visible
  }

  /** The description in place of the server's; undefined to leave it. */
  descriptionOf(original: string): string | undefined {
    const description = this.#overrides.get(original)?.description
    return description === '' ? undefined : description
  }

  #isRenamed(original: string): boolean {
    const name = this.#overrides.get(original)?.name
    return name !== undefined && name !== ''
  }
}
