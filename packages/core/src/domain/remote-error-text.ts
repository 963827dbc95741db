import { limits } from '../limits.ts'

/**
 * What an authorization server says of an error, made fit for one line of a message: `CODE` or `CODE: DESCRIPTION`, only
 * printable ASCII and what else RFC 6749 5.2 allows, cut at the limit. Empty when there is nothing left.
 */
export function remoteErrorText(error: unknown, description?: unknown): string {
  const [code, more] = [plainText(error), plainText(description)]
  return more === '' ? code : `${code}: ${more}`
}

/** Scopes of a list separated by spaces, each once and well formed (RFC 6749 3.3), up to the limit. */
export function readScopes(text: unknown): string[] {
  const found = typeof text === 'string' ? text.split(' ') : Array.isArray(text) ? text : []
  const scopes = found.filter((scope): scope is string => typeof scope === 'string' && /^[!#-[\]-~]+$/.test(scope))
  return [...new Set(scopes)].slice(0, limits.remoteScopes)
}

function plainText(value: unknown): string {
  if (typeof value !== 'string') return ''
  const shown = value
    .slice(0, limits.remoteErrorLength)
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()
  return value.length > limits.remoteErrorLength ? `${shown}…` : shown
}
