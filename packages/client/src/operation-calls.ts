import { isErrorCode, ThvError } from '@thv/core'
import { invalidAnswer, objectOf, type AnswerObject } from './answer-shape.ts'
import { apiPath, type ApiCaller } from './call-api.ts'

/** How work that goes on behind its answer stands. */
export type OperationOutcome = { state: 'running' } | { state: 'succeeded' } | { state: 'failed'; error: ThvError }

/** The operations of a server; thv's addition to the API. Rejects as `ApiCaller` does, or with `api-answer-invalid`. */
export interface OperationCalls {
  /** Resolves when the operation has ended, or after `waitSeconds`. */
  wait(id: string, waitSeconds: number, signal: AbortSignal): Promise<OperationOutcome>
}

/** The operation calls over a caller. */
export function createOperationCalls(call: ApiCaller): OperationCalls {
  return {
    wait: async (id, waitSeconds, signal) => {
      const path = `/api/v1beta/operations${apiPath`/${id}`}`
      return parseOutcome(objectOf(await call({ method: 'GET', path, query: { wait: String(waitSeconds) } }, signal)))
    },
  }
}

function parseOutcome({ state, error }: AnswerObject): OperationOutcome {
  if (state === 'running' || state === 'succeeded') return { state }
  if (state !== 'failed' || typeof error !== 'object' || error === null) throw invalidAnswer("its 'state' is none")
  const { code, message, hint }: AnswerObject = { ...error }
  const words = typeof message === 'string' ? message : 'the operation failed'
  const isKnown = typeof code === 'string' && isErrorCode(code)
  return {
    state,
    error: new ThvError(isKnown ? code : 'api-error', words, typeof hint === 'string' ? { hint } : {}),
  }
}
