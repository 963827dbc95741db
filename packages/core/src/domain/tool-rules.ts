import { ThvError } from '../errors.ts'
import { isRecord } from './is-record.ts'

/** What clients are told about one tool in place of what its server says. At least one of the two. */
export interface ToolOverride {
  name?: string
  description?: string
}

/** Which tools clients see, and how. */
export interface ToolRules {
  /** Names that clients see, after overrides; empty for all. */
  filter: string[]
  /** By the name that the server gives the tool. */
  overrides: Record<string, ToolOverride>
}

/** Reads a list of tool names; `where` is named in the error. Throws `invalid-run-config`. */
export function parseToolFilter(value: unknown, where: string): string[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw invalid(`${where} is not a list of tool names`)
  return value.map((name) => {
    if (typeof name !== 'string' || name === '') throw invalid(`${where} is not a list of tool names`)
    return name
  })
}

/** Reads a map of tool overrides; `where` is named in the error. Throws `invalid-run-config`. */
export function parseToolOverrides(value: unknown, where: string): Record<string, ToolOverride> {
  if (value === undefined || value === null) return {}
  if (!isRecord(value)) throw invalid(`${where} is not a map of tool names to overrides`)
  const taken = new Set<string>()
  const entries = Object.entries(value).map(([tool, given]): [string, ToolOverride] => {
    const override = parseOverride(given, `${where}: the override of '${tool}'`)
    if (override.name !== undefined && taken.has(override.name)) {
      throw invalid(`${where} gives the name '${override.name}' to two tools`)
    }
    if (override.name !== undefined) taken.add(override.name)
    return [tool, override]
  })
  // Not assignment: a tool may be named __proto__.
  return Object.fromEntries(entries)
}

function parseOverride(value: unknown, where: string): ToolOverride {
  if (!isRecord(value)) throw invalid(`${where} is not an object`)
  const override: ToolOverride = {}
  for (const key of ['name', 'description'] as const) {
    const text = value[key]
    if (text === undefined || text === null || text === '') continue
    if (typeof text !== 'string') throw invalid(`${where}: '${key}' is not a string`)
    override[key] = text
  }
  if (override.name === undefined && override.description === undefined) {
    throw invalid(`${where} has neither a name nor a description`)
  }
  return override
}

function invalid(why: string): ThvError {
  return new ThvError('invalid-run-config', why, {
    hint: 'write ["name"] for a filter and {"tool":{"name":"new","description":"new"}} for overrides',
  })
}
