import { remoteErrorText } from '@thv/core'

/** The OAuth error in the body of an answer (RFC 6749 5.2), fit for a message; undefined when it holds none. */
export async function readOAuthError(response: Response): Promise<string | undefined> {
  try {
    const answer: unknown = await response.json()
    if (typeof answer !== 'object' || answer === null || !('error' in answer)) return undefined
    if (typeof answer.error !== 'string' || answer.error === '') return undefined
    return remoteErrorText(answer.error, 'error_description' in answer ? answer.error_description : undefined)
  } catch {
    return undefined
  }
}

/** Throws what an answer other than a success says of itself. */
export async function assertSuccess(response: Response): Promise<void> {
  if (response.ok) return
  throw new Error((await readOAuthError(response)) ?? `it answers with the status ${response.status}`)
}
