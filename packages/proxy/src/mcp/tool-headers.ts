import { decodeHeaderValue, encodeHeaderValue } from './header-value.ts'
import { isRecord, type Message } from './message.ts'
import { applySplices, findValue } from './raw-message.ts'
import { rewriteArray } from './rewrite-object.ts'

/** One argument of a tool that a Modern request repeats as the header `Mcp-Param-<name>`. */
export interface ToolHeader {
  readonly name: string
  /** Keys that lead to the argument. */
  readonly path: readonly string[]
}

/** Headers of a request as Node gives them: by their names in lower case. */
export type HeaderValues = Readonly<Record<string, string | string[] | undefined>>

/** A header of a call that is not what the arguments say. */
export interface ToolHeaderProblem {
  /** What came in the header; empty without one. */
  readonly header: string
  readonly problem: string
}

/** What the tool lists of one server say about headers. */
export class ToolHeaderIndex {
  readonly #byTool = new Map<string, readonly ToolHeader[]>()
  readonly #maximum: number

  constructor(maximum: number) {
    this.#maximum = maximum
  }

  /**
   * Learns from an answer to `tools/list`. Returns its text without the tools whose
   * annotations break the rules, because no call of them could be sent, and their names.
   */
  learn(message: Message): { text: string; dropped: string[] } {
    const { text } = message
    // Without an annotation, the list can only take back what an earlier one said.
    const isOfUse = this.#byTool.size > 0 || text.includes('x-mcp-header')
    const span = isOfUse ? findValue(text, 0, ['result', 'tools']) : undefined
    if (span === undefined) return { text, dropped: [] }
    const dropped: string[] = []
    const tools = rewriteArray(text.slice(span.start, span.end), (toolText) => {
      const tool: unknown = JSON.parse(toolText)
      if (!isRecord(tool)) return toolText
      const name = String(tool['name'])
      const headers = readToolHeaders(tool['inputSchema'])
      this.#note(name, headers)
      if (headers !== undefined) return toolText
      dropped.push(name)
      return undefined
    })
    return { text: dropped.length === 0 ? text : applySplices(text, [{ ...span, text: tools }]), dropped }
  }

  /** Names and values of the headers for a call of a tool. */
  headersFor(tool: string, args: unknown): string[] {
    return (this.#byTool.get(tool) ?? []).flatMap(({ name, path }) => {
      const value = textOf(valueAt(args, path))
      return value === undefined ? [] : [`mcp-param-${name.toLowerCase()}`, encodeHeaderValue(value)]
    })
  }

  /** The first header of a call that is missing, cannot be decoded, or differs from its argument. */
  problemOf(tool: string, args: unknown, headers: HeaderValues): ToolHeaderProblem | undefined {
    for (const { name, path } of this.#byTool.get(tool) ?? []) {
      const value = valueAt(args, path)
      const text = textOf(value)
      // What has no header may still come with one, which then says nothing.
      if (text === undefined) continue
      const header = headers[`mcp-param-${name.toLowerCase()}`]
      if (typeof header !== 'string') return { header: '', problem: `the Mcp-Param-${name} header is required` }
      const decoded = decodeHeaderValue(header)
      if (decoded === undefined) return { header, problem: `the Mcp-Param-${name} header is not well encoded` }
      if (decoded !== text && !isSameNumber(decoded, value)) {
        return { header, problem: `the Mcp-Param-${name} header differs from its argument` }
      }
    }
    return undefined
  }

  #note(tool: string, headers: readonly ToolHeader[] | undefined): void {
    if (headers === undefined || headers.length === 0) this.#byTool.delete(tool)
    else if (this.#byTool.has(tool) || this.#byTool.size < this.#maximum) this.#byTool.set(tool, headers)
  }
}

/**
 * The annotations `x-mcp-header` in the input schema of a tool. Undefined when one
 * breaks the rules: not a token, there twice, not on a text, an integer or a boolean,
 * or on what is not reached by `properties` alone.
 */
export function readToolHeaders(inputSchema: unknown): ToolHeader[] | undefined {
  const headers: ToolHeader[] = []
  const names = new Set<string>()
  // A list instead of recursion: how deep a schema is nested is the server's choice, our stack is not.
  const open: Place[] = [{ schema: inputSchema, path: [], isReachable: true }]
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const { schema, path } = place
    if (!isRecord(schema)) continue
    if (path.length > deepestPath) return undefined
    const annotation = schema['x-mcp-header']
    if (annotation !== undefined) {
      const name = annotationName(place, schema, annotation)
      if (name === undefined || names.has(name.toLowerCase())) return undefined
      names.add(name.toLowerCase())
      headers.push({ name, path })
    }
    open.push(...placesBelow(place, schema))
  }
  return headers
}

interface Place {
  readonly schema: unknown
  readonly path: readonly string[]
  readonly isReachable: boolean
}

function annotationName(place: Place, schema: Record<string, unknown>, annotation: unknown): string | undefined {
  if (!place.isReachable || place.path.length === 0 || typeof annotation !== 'string') return undefined
  const isMirrored = schema['type'] === 'string' || schema['type'] === 'integer' || schema['type'] === 'boolean'
  return isMirrored && /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(annotation) ? annotation : undefined
}

function placesBelow({ path, isReachable }: Place, schema: Record<string, unknown>): Place[] {
  const places: Place[] = []
  const { properties } = schema
  if (isRecord(properties)) {
    for (const [key, value] of Object.entries(properties)) {
      places.push({ schema: value, path: [...path, key], isReachable })
    }
  }
  for (const keyword of otherKeywords) {
    const value = schema[keyword]
    for (const below of Array.isArray(value) ? value : [value]) {
      places.push({ schema: below, path: [...path, keyword], isReachable: false })
    }
  }
  for (const keyword of mapKeywords) {
    const map = schema[keyword]
    if (!isRecord(map)) continue
    for (const below of Object.values(map)) {
      places.push({ schema: below, path: [...path, keyword], isReachable: false })
    }
  }
  return places
}

function valueAt(args: unknown, path: readonly string[]): unknown {
  let value = args
  for (const key of path) {
    if (!isRecord(value) || !Object.hasOwn(value, key)) return undefined
    value = value[key]
  }
  return value
}

/** Undefined for what has no header: nothing, what is no text, number or boolean, and an integer that JavaScript cannot hold. */
function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean' || Number.isSafeInteger(value)) return String(value)
  // A fraction does not fit any annotation. That is the server's to refuse, and SDKs have a header for it.
  return Number.isFinite(value) && !Number.isInteger(value) ? String(value) : undefined
}

/** `5.0` and `5` are the same. */
function isSameNumber(text: string, value: unknown): boolean {
  return typeof value === 'number' && /^-?\d+(?:\.\d+)?$/.test(text) && Number(text) === value
}

/** Arguments are not nested deeper than this in any tool that a person wrote. */
const deepestPath = 64

/** Where JSON Schema 2020-12 nests schemas beside `properties`. */
const otherKeywords = [
  'additionalProperties',
  'allOf',
  'anyOf',
  'contains',
  'else',
  'if',
  'items',
  'not',
  'oneOf',
  'prefixItems',
  'propertyNames',
  'then',
  'unevaluatedItems',
  'unevaluatedProperties',
] as const
const mapKeywords = ['$defs', 'definitions', 'dependentSchemas', 'patternProperties'] as const
