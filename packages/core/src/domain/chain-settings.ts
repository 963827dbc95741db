import { ThvError } from '../errors.ts'
import type { RunConfig } from './run-config.ts'
import { parseToolFilter, parseToolOverrides, type ToolRules } from './tool-rules.ts'
import { isRecord } from './is-record.ts'

/** One member of a stored chain, as ToolHive writes it: spec/local 4.8. */
export interface MiddlewareConfig {
  type: string
  parameters?: unknown
}

/** What a run config asks of the chain of its proxy, by its own keys or by a stored chain. */
export interface ChainSettings {
  /** Undefined when clients see all tools as they are. */
  tools?: ToolRules
  /** Undefined for the default of the proxy. */
  allowedOrigins?: string[]
  /** Largest request body; undefined for the default of the proxy. */
  bodyBytes?: number
  /** Whether the proxy counts, and shows `/metrics`. */
  hasMetrics: boolean
  /** What stands in the stored chain and cannot be done here, for people. */
  unsupported: string[]
}

/**
 * Reads the chain of a run config. A stored chain says again what the keys
 * `tools_filter`, `tools_override` and `allowed_origins` say; where the two differ
 * nobody knows which one was meant, and the config is refused. Throws `invalid-run-config`.
 */
export function readChainSettings(config: RunConfig): ChainSettings {
  const found: Found = { tools: [], origins: [], unsupported: telemetryProblems(config['telemetry_config']) }
  const filter = parseToolFilter(config.tools_filter, "'tools_filter'")
  const overrides = parseToolOverrides(config.tools_override, "'tools_override'")
  addTools(found, { filter, overrides })
  if (config.allowed_origins !== undefined && config.allowed_origins.length > 0)
    found.origins.push(config.allowed_origins)
  for (const [index, member] of storedChain(config).entries()) readMember(found, member, index)
  const [tools, ...otherTools] = found.tools
  const [allowedOrigins, ...otherOrigins] = found.origins
  if (otherTools.some((other) => toolsKey(other) !== toolsKey(tools))) throw differing('tools')
  if (otherOrigins.some((other) => originsKey(other) !== originsKey(allowedOrigins))) throw differing('origins')
  return {
    ...(tools === undefined ? {} : { tools }),
    ...(allowedOrigins === undefined ? {} : { allowedOrigins }),
    ...(found.bodyBytes === undefined ? {} : { bodyBytes: found.bodyBytes }),
    hasMetrics: asksForMetrics(config['telemetry_config']),
    unsupported: found.unsupported,
  }
}

interface Found {
  tools: ToolRules[]
  origins: string[][]
  bodyBytes?: number
  unsupported: string[]
}

function storedChain(config: RunConfig): MiddlewareConfig[] {
  return ['middleware_configs', 'additional_middleware_configs'].flatMap((key) => {
    const list = config[key] ?? []
    if (!Array.isArray(list)) throw invalid(`'${key}' is not a list`)
    return list.map((member: unknown) => {
      if (!isRecord(member) || typeof member['type'] !== 'string') throw invalid(`'${key}' has a member without a type`)
      return { type: member['type'], parameters: member['parameters'] }
    })
  })
}

function readMember(found: Found, { type, parameters }: MiddlewareConfig, index: number): void {
  const given = isRecord(parameters) ? parameters : {}
  switch (type) {
    case 'recovery':
    case 'mcp-parser':
    case 'usagemetrics':
      // The proxy recovers and parses without being told, and counts where somebody can read it.
      return
    case 'bodylimit':
      found.bodyBytes = parseBytes(given['max_bytes'])
      return
    case 'origin': {
      const origins = parseOrigins(given['allowed_origins'])
      if (origins.length > 0) found.origins.push(origins)
      return
    }
    case 'tool-filter':
    case 'tool-call-filter': {
      const where = `'middleware_configs[${index}]'`
      const filter = parseToolFilter(given['filter_tools'], where)
      const overrides = parseToolOverrides(given['tools_override'], where)
      addTools(found, { filter, overrides })
      return
    }
    case 'auth':
      if (isSet(given['oidc_config'])) found.unsupported.push('incoming authentication')
      return
    case 'telemetry':
      found.unsupported.push(...telemetryProblems(given['config']))
      return
    default:
      found.unsupported.push(`the middleware '${type}'`)
  }
}

/** Rules that change nothing would still have every message read. */
function addTools(found: Found, rules: ToolRules): void {
  if (rules.filter.length > 0 || Object.keys(rules.overrides).length > 0) found.tools.push(rules)
}

/** Only what Prometheus asks for is served here; an export to somebody else's server is not. */
function telemetryProblems(value: unknown): string[] {
  if (!isRecord(value)) return []
  const problems = isSet(value['endpoint']) ? ['an export of telemetry'] : []
  if (!asksForMetrics(value)) return problems
  if (isSet(value['prometheusPort'])) problems.push('a port of their own for metrics')
  if (value['metricsOnTransportPort'] === false) problems.push('metrics anywhere but on the port of the proxy')
  return problems
}

function asksForMetrics(value: unknown): boolean {
  return isRecord(value) && value['enablePrometheusMetricsPath'] === true
}

function parseBytes(value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= largestBody) return value
  throw invalid(`'max_bytes' of the member bodylimit is not a whole number from 1 to ${largestBody}`)
}

const largestBody = 2 ** 31 - 1

function parseOrigins(value: unknown): string[] {
  if (value === undefined || value === null) return []
  if (Array.isArray(value) && value.every((origin) => typeof origin === 'string')) return value
  throw invalid("'allowed_origins' of the member origin is not a list of strings")
}

function toolsKey(rules: ToolRules | undefined): string {
  const overrides = Object.entries(rules?.overrides ?? {}).map(([tool, { name, description }]) => [
    tool,
    name ?? '',
    description ?? '',
  ])
  return JSON.stringify([[...(rules?.filter ?? [])].sort(), overrides.map((entry) => JSON.stringify(entry)).sort()])
}

function originsKey(origins: readonly string[] | undefined): string {
  return JSON.stringify([...(origins ?? [])].sort())
}

function differing(what: string): ThvError {
  return new ThvError('invalid-run-config', `the run config says two different things about ${what}`, {
    hint: "keep either the keys 'tools_filter', 'tools_override' and 'allowed_origins', or 'middleware_configs'",
  })
}

function invalid(why: string): ThvError {
  return new ThvError('invalid-run-config', why, { hint: "compare it with the output of 'thv export'" })
}

function isSet(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === '' || value === 0) return false
  if (Array.isArray(value)) return value.length > 0
  return typeof value !== 'object' || Object.keys(value).length > 0
}
