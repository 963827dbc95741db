import { messageOf, systemCodeOf, ThvError } from '@thv/core'

/** An error of a login: what happened and why in one sentence, what to do in another. */
export function loginFailed(message: string, hint: string): ThvError {
  return new ThvError('login-failed', message, { hint })
}

/** What went wrong on the way to a server, in words that hold no secret. */
export function networkReason(error: unknown): string {
  const message = messageOf(error)
  return message === '' ? (systemCodeOf(error) ?? 'it cannot be reached') : message
}

/** A URL that a server named, for a message. */
export function shownUrl(text: string): string {
  return URL.canParse(text) ? new URL(text).href.slice(0, 200) : 'that it names'
}
