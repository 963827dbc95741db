import { ThvError } from '@thv/core'
import type { ApiAnswer } from './call-api.ts'

/** An object as it came; nothing is known about its members. */
export type AnswerObject = Record<string, unknown>

/** The JSON object of an answer. Throws `api-answer-invalid`. */
export function objectOf(answer: ApiAnswer): AnswerObject {
  const value = parse(answer.text)
  if (isObject(value)) return value
  throw invalidAnswer('it is not a JSON object')
}

/** A list of objects, each with a `name`. `null` is an empty one: Go writes it so. Throws `api-answer-invalid`. */
export function namedObjectsOf(answer: ApiAnswer, key: string): (AnswerObject & { name: string })[] {
  const list = objectOf(answer)[key] ?? []
  if (!Array.isArray(list)) throw invalidAnswer(`its '${key}' is no list`)
  return list.map((item: unknown) => {
    if (isObject(item) && hasName(item)) return item
    throw invalidAnswer(`a member of its '${key}' has no name`)
  })
}

/** A text member. Throws `api-answer-invalid`. */
export function textIn(value: AnswerObject, key: string): string {
  const text = value[key]
  if (typeof text === 'string') return text
  throw invalidAnswer(`its '${key}' is no text`)
}

/** A list of texts. Throws `api-answer-invalid`. */
export function textsIn(value: AnswerObject, key: string): string[] {
  const list: unknown = value[key]
  if (Array.isArray(list) && list.every((item) => typeof item === 'string')) return list
  throw invalidAnswer(`its '${key}' is no list of texts`)
}

/** The error for an answer that says nothing usable. */
export function invalidAnswer(why: string): ThvError {
  return new ThvError('api-answer-invalid', `the answer of the ToolHive API server cannot be used: ${why}`, {
    hint: 'check that the server and this program are of one version',
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw invalidAnswer('it is not JSON')
  }
}

/** Whether a value is an object, and no list. */
export function isObject(value: unknown): value is AnswerObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function hasName(value: AnswerObject): value is AnswerObject & { name: string } {
  return typeof value['name'] === 'string'
}
