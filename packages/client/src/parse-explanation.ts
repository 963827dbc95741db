import { isReasonCode, type Cause, type Explanation, type ProbeRun } from '@thv/core'
import { invalidAnswer, isObject, textIn, type AnswerObject } from './answer-shape.ts'
import { countOf, parseWorkload } from './parse-workload.ts'

/** Why a workload is as it is, out of an answer; what this version does not know is left out. Throws `api-answer-invalid`. */
export function parseExplanation(raw: AnswerObject): Explanation {
  const workload = parseWorkload(raw)
  const { name, status, reason, reason_message, since, last_error, server_card, last_stderr, supervisor_pid } = workload
  return {
    name,
    status,
    reason,
    reason_message,
    since,
    causes: objectsIn(raw, 'causes').map(parseCause),
    probes: objectsIn(raw, 'probes').flatMap(parseProbe),
    ...(supervisor_pid === undefined ? {} : { supervisor_pid }),
    ...(last_error === undefined ? {} : { last_error }),
    ...(server_card === undefined ? {} : { server_card }),
    ...(last_stderr === undefined ? {} : { last_stderr }),
    todo: textIn(raw, 'todo'),
  }
}

function parseCause(raw: AnswerObject): Cause {
  const { at } = raw
  const message = textIn(raw, 'message')
  return typeof at === 'string' ? { at, message } : { message }
}

function parseProbe(raw: AnswerObject): ProbeRun[] {
  const { reason } = raw
  if (!isReasonCode(reason)) return []
  return [{ reason, message: textIn(raw, 'message'), since: textIn(raw, 'since'), count: countOf(raw['count']) ?? 1 }]
}

function objectsIn(raw: AnswerObject, key: string): AnswerObject[] {
  const list = raw[key]
  if (!Array.isArray(list)) throw invalidAnswer(`its '${key}' is no list`)
  return list.filter(isObject)
}
