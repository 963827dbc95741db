import { clientUrl, effectiveProxyMode, type ProxyMode, type TransportType } from './transport-type.ts'
import type { Isolation } from './confinement.ts'
import { clientPath } from './remote-url.ts'
import { isRemote, type RunConfig } from './run-config.ts'
import type { ServerCard } from './server-card.ts'
import type { WorkloadStatus } from './state-machine.ts'
import { statusReasons, type ReasonCode } from './status-reason.ts'
import { assessStatus, type StatusError, type StatusRecord } from './workload-status.ts'

/** A workload as lists, `status` and the API show it: spec/local 2.2. */
export interface Workload {
  name: string
  package: string
  url: string
  port: number
  transport_type: TransportType
  proxy_mode?: ProxyMode
  status: WorkloadStatus
  status_context?: string
  reason: ReasonCode
  /** The reason as a sentence; never empty. */
  reason_message: string
  /** When the status began, RFC 3339. */
  since: string
  last_error?: StatusError
  /** What a remote server says about itself; unproven. */
  server_card?: ServerCard
  /** Whether the server is at a URL, and not started here. */
  remote?: boolean
  created_at: string
  labels?: Record<string, string>
  group?: string
  /** RFC 3339; the zero time when it never started (always present, as ToolHive prints it). */
  started_at: string
  /** What the server of the last start really had. Absent before, and when another program runs the server. */
  isolation?: Isolation
  /** Pid of the supervisor, absent when none lives. */
  supervisor_pid?: number
  restarts?: number
  last_stderr?: string[]
}

/** Go's zero time, which ToolHive prints for "never". */
export const zeroTime = '0001-01-01T00:00:00Z'

const unreadablePackage = 'unknown (run config unreadable)'

/** Joins what is saved and what is alive into one view. Pure. */
export function buildWorkload(parts: {
  name: string
  config: RunConfig | undefined
  record: StatusRecord
  ownerAlive: boolean
}): Workload {
  const { name, config, record } = parts
  const assessed = assessStatus(name, record, parts.ownerAlive)
  const spoken = record.thv?.transport ?? config?.transport ?? 'stdio'
  const mode = config === undefined ? 'streamable-http' : effectiveProxyMode(spoken, config.proxy_mode)
  const port = config?.port ?? 0
  const labels = config === undefined ? {} : userLabels(config)
  const workload: Workload = {
    name,
    package: config === undefined ? unreadablePackage : packageOf(config),
    url: config === undefined ? clientUrl(name, '', port, mode) : clientUrlOf(config, mode),
    port,
    transport_type: spoken,
    proxy_mode: mode,
    status: assessed.status,
    reason: assessed.reason,
    reason_message: isSaid(assessed.context) ? assessed.context : statusReasons[assessed.reason].says,
    since: assessed.since,
    created_at: record.created_at,
    started_at: record.thv?.started_at ?? zeroTime,
  }
  if (config?.thv !== undefined && record.thv?.isolation !== undefined) workload.isolation = record.thv.isolation
  if (isSaid(assessed.context)) workload.status_context = assessed.context
  if (record.thv?.last_error !== undefined) workload.last_error = record.thv.last_error
  if (config !== undefined && isRemote(config)) workload.remote = true
  if (record.thv?.server_card !== undefined) workload.server_card = record.thv.server_card
  if (Object.keys(labels).length > 0) workload.labels = labels
  if (config?.group !== undefined && config.group !== '') workload.group = config.group
  if (parts.ownerAlive && record.process_id > 0) workload.supervisor_pid = record.process_id
  if (record.thv?.restarts !== undefined && record.thv.restarts > 0) workload.restarts = record.thv.restarts
  if (record.thv?.last_stderr !== undefined && record.thv.last_stderr.length > 0)
    workload.last_stderr = record.thv.last_stderr
  return workload
}

/** The URL handed to clients of a workload. `mode`: what they speak. */
export function clientUrlOf(config: RunConfig, mode: ProxyMode): string {
  const { name, host, port } = config
  if (!isRemote(config)) return clientUrl(name, host, port, mode)
  const origin = new URL(clientUrl(name, host, port, mode)).origin
  return `${origin}${clientPath(config.remote_url)}${mode === 'sse' ? `#${name}` : ''}`
}

/** What runs, in one word: the image or package, or the command as typed. */
export function packageOf(config: RunConfig): string {
  const command = config.thv?.command
  if (command !== undefined) {
    const script = config.cmd_args?.[0]
    // Arguments may carry what should not be shown: only what looks like a script stands in lists.
    return script === undefined || !isScript(script) ? command.typed : `${command.typed} ${script}`
  }
  if (config.image !== '') return config.image
  return isRemote(config) ? 'remote' : ''
}

function isSaid(context: string | undefined): context is string {
  return context !== undefined && context !== ''
}

function isScript(argument: string): boolean {
  return !argument.startsWith('-') && !argument.includes('=') && !argument.includes('://')
}

/** Labels the user gave, without the ones that ToolHive keeps for itself. */
export function userLabels(config: RunConfig): Record<string, string> {
  const entries = Object.entries(config.container_labels ?? {})
  return Object.fromEntries(entries.filter(([key]) => key !== 'toolhive' && !key.startsWith('toolhive-')))
}
