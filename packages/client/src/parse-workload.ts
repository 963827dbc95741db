import {
  isolations,
  isReasonCode,
  isProxyMode,
  isTransportType,
  reasonOfStatus,
  serverCardOf,
  statusReasons,
  workloadStatuses,
  zeroTime,
  type Workload,
  type WorkloadStatus,
} from '@thv/core'
import { textIn, type AnswerObject } from './answer-shape.ts'

/**
 * A workload out of an answer. Members that this version does not know are dropped, and those that another server leaves
 * out get the values that stand for "not known". Throws `api-answer-invalid`.
 */
export function parseWorkload(raw: AnswerObject): Workload {
  const status = parseStatus(raw['status'])
  const reason = isReasonCode(raw['reason']) ? raw['reason'] : reasonOfStatus[status]
  // Members in the order of core's `buildWorkload`: what is printed of both is the same.
  const workload: Workload = {
    name: textIn(raw, 'name'),
    package: textOr(raw['package'], ''),
    url: textOr(raw['url'], ''),
    port: countOf(raw['port']) ?? 0,
    transport_type: isTransportType(raw['transport_type']) ? raw['transport_type'] : 'stdio',
    ...(isProxyMode(raw['proxy_mode']) ? { proxy_mode: raw['proxy_mode'] } : {}),
    status,
    reason,
    reason_message: textOr(raw['reason_message'], statusReasons[reason].says),
    since: textOr(raw['since'], zeroTime),
    created_at: textOr(raw['created_at'], zeroTime),
    started_at: textOr(raw['started_at'], zeroTime),
  }
  const isolation = isolations.find((known) => known === raw['isolation'])
  if (isolation !== undefined) workload.isolation = isolation
  if (typeof raw['status_context'] === 'string') workload.status_context = raw['status_context']
  const error = parseError(raw['last_error'])
  if (error !== undefined) workload.last_error = error
  if (raw['remote'] === true) workload.remote = true
  const card = serverCardOf(raw['server_card'])
  if (card !== undefined) workload.server_card = card
  if (typeof raw['labels'] === 'object' && raw['labels'] !== null) workload.labels = textsIn(raw['labels'])
  if (typeof raw['group'] === 'string') workload.group = raw['group']
  const [pid, restarts] = [countOf(raw['supervisor_pid']), countOf(raw['restarts'])]
  if (pid !== undefined) workload.supervisor_pid = pid
  if (restarts !== undefined) workload.restarts = restarts
  if (Array.isArray(raw['last_stderr'])) {
    workload.last_stderr = raw['last_stderr'].filter((line) => typeof line === 'string')
  }
  return workload
}

function parseError(raw: unknown): Workload['last_error'] {
  if (typeof raw !== 'object' || raw === null || !('reason' in raw && 'message' in raw && 'at' in raw)) return undefined
  const { at, reason, message } = raw
  if (!isReasonCode(reason) || typeof at !== 'string' || typeof message !== 'string') return undefined
  return { at, reason, message }
}

/** A status word; one that this version does not know is `unknown`. */
export function parseStatus(value: unknown): WorkloadStatus {
  return workloadStatuses.find((known) => known === value) ?? 'unknown'
}

/** A whole number of zero and above. */
export function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise
}

function textsIn(labels: object): Record<string, string> {
  const entries = Object.entries(labels).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  return Object.fromEntries(entries)
}
