import {
  isErrorCode,
  isolations,
  isProxyMode,
  isReasonCode,
  limits,
  serverCardOf,
  workloadStatuses,
  type ProbeRun,
  type ProcessIdentity,
  type ServerContainer,
  type ServerIdentity,
  type ServerProcess,
} from '@thv/core'
import type { StatusError, StatusExtension, StatusRecord, WorkloadStatus } from '@thv/core'
import { isJsonObject, type JsonObject } from './parse-state-json.ts'
import { parseRepairedObject } from './repair-json.ts'

/**
 * Parses a status file. Undefined when `status` or `created_at` is missing or the
 * text is beyond repair (spec/local 2.3). A status of a later version reads as
 * `unknown`; whatever else is malformed is left out. Never throws.
 */
export function parseStatusRecord(text: string): StatusRecord | undefined {
  const raw = parseRepairedObject(text)
  if (raw === undefined) return undefined
  const created = timeOf(raw['created_at'])
  const status = statusOf(raw['status'])
  if (created === undefined || status === undefined) return undefined
  const context = textOf(raw['status_context'])
  const extension = isJsonObject(raw['thv']) ? extensionOf(raw['thv']) : undefined
  return {
    status,
    ...(context === undefined ? {} : { status_context: context }),
    created_at: created,
    updated_at: timeOf(raw['updated_at']) ?? created,
    process_id: pidOf(raw['process_id']) ?? 0,
    ...(extension === undefined ? {} : { thv: extension }),
  }
}

/** The text of a status file, keys in ToolHive's order. */
export function formatStatusRecord(record: StatusRecord): string {
  const whole = stringify(record)
  if (Buffer.byteLength(whole) <= limits.statusBytes || record.thv === undefined) return whole
  // What a reader would refuse as too large must not be written; the captured output is what grows.
  const { last_stderr: _, ...extension } = record.thv
  return stringify({ ...record, thv: extension })
}

function stringify(record: StatusRecord): string {
  const { status, status_context, created_at, updated_at, process_id, thv } = record
  return `${JSON.stringify({ status, status_context, created_at, updated_at, process_id, thv }, null, 2)}\n`
}

function extensionOf(raw: JsonObject): StatusExtension {
  const found: StatusExtension = {}
  const owner = ownerOf(raw['owner'])
  const server = serverOf(raw['server'])
  const lanes = raw['lanes']
  const isolation = isolations.find((known) => known === raw['isolation'])
  const since = timeOf(raw['since'])
  const started = timeOf(raw['started_at'])
  const restarts = countOf(raw['restarts'])
  const stopDeadline = timeOf(raw['stop_deadline'])
  const errorCode = raw['error_code']
  const stderr = raw['last_stderr']
  if (owner !== undefined) found.owner = owner
  if (server !== undefined) found.server = server
  if (Array.isArray(lanes)) {
    const servers = lanes.slice(0, limits.laneRecords).map((lane) => serverOf(lane))
    found.lanes = servers.filter((lane) => lane !== undefined)
  }
  if (isolation !== undefined) found.isolation = isolation
  if (since !== undefined) found.since = since
  if (started !== undefined) found.started_at = started
  if (restarts !== undefined) found.restarts = restarts
  if (stopDeadline !== undefined) found.stop_deadline = stopDeadline
  if (isErrorCode(errorCode)) found.error_code = errorCode
  addHealth(found, raw)
  if (Array.isArray(stderr)) {
    const lines = stderr.filter((line) => typeof line === 'string').slice(-limits.stderrLines)
    found.last_stderr = lines.map((line) => line.slice(0, limits.stderrLineLength))
  }
  return found
}

function addHealth(found: StatusExtension, raw: JsonObject): void {
  const { reason, transport, probes, wanted_scopes: scopes } = raw
  const error = errorOf(raw['last_error'])
  if (isReasonCode(reason)) found.reason = reason
  if (error !== undefined) found.last_error = error
  if (isProxyMode(transport)) found.transport = transport
  const card = serverCardOf(raw['server_card'])
  if (card !== undefined) found.server_card = card
  if (Array.isArray(scopes)) found.wanted_scopes = scopesOf(scopes)
  if (Array.isArray(probes)) {
    found.probes = probes.slice(-limits.probeRuns).flatMap((probe: unknown) => probeRunOf(probe) ?? [])
  }
}

function scopesOf(raw: readonly unknown[]): string[] {
  return raw.filter((scope) => typeof scope === 'string').slice(0, limits.wantedScopes)
}

function errorOf(raw: unknown): StatusError | undefined {
  if (!isJsonObject(raw)) return undefined
  const { at, reason, message } = raw
  const time = timeOf(at)
  if (time === undefined || !isReasonCode(reason) || typeof message !== 'string') return undefined
  return { at: time, reason, message: message.slice(0, limits.reasonLength) }
}

function probeRunOf(raw: unknown): ProbeRun | undefined {
  if (!isJsonObject(raw)) return undefined
  const { reason, message, since, count } = raw
  const [time, found] = [timeOf(since), countOf(count)]
  if (time === undefined || found === undefined || !isReasonCode(reason) || typeof message !== 'string')
    return undefined
  return { reason, message: message.slice(0, limits.reasonLength), since: time, count: found }
}

function ownerOf(raw: unknown): ProcessIdentity | undefined {
  const identity = identityOf(raw)
  if (identity === undefined || !isJsonObject(raw)) return undefined
  return raw['shared'] === true ? { ...identity, shared: true } : identity
}

function identityOf(raw: unknown): ProcessIdentity | undefined {
  if (!isJsonObject(raw)) return undefined
  const pid = pidOf(raw['pid'])
  const started = textOf(raw['started'])
  return pid === undefined || pid === 0 || started === undefined ? undefined : { pid, started }
}

function serverOf(raw: unknown): ServerIdentity | undefined {
  return containerOf(raw) ?? processOf(raw)
}

function containerOf(raw: unknown): ServerContainer | undefined {
  if (!isJsonObject(raw)) return undefined
  const container = textOf(raw['container'])
  const engine = textOf(raw['engine'])
  return container === undefined || engine === undefined ? undefined : { container, engine }
}

function processOf(raw: unknown): ServerProcess | undefined {
  const identity = identityOf(raw)
  if (identity === undefined || !isJsonObject(raw)) return undefined
  const group = pidOf(raw['group'])
  const marker = textOf(raw['marker'])
  // A signal to group 1 goes to every process there is, and a server is never init. Windows has group 0.
  return group === undefined || group === 1 || identity.pid === 1 || marker === undefined
    ? undefined
    : { ...identity, group, marker }
}

function statusOf(raw: unknown): WorkloadStatus | undefined {
  if (typeof raw !== 'string' || raw === '') return undefined
  return workloadStatuses.find((status) => status === raw) ?? 'unknown'
}

function timeOf(raw: unknown): string | undefined {
  return typeof raw === 'string' && !Number.isNaN(Date.parse(raw)) ? raw : undefined
}

function textOf(raw: unknown): string | undefined {
  return typeof raw === 'string' ? raw : undefined
}

function countOf(raw: unknown): number | undefined {
  return typeof raw === 'number' && Number.isSafeInteger(raw) && raw >= 0 ? raw : undefined
}

function pidOf(raw: unknown): number | undefined {
  const count = countOf(raw)
  return count !== undefined && count <= 0xffff_ffff ? count : undefined
}
