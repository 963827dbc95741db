import { dirname } from 'node:path'
import { isThvError, messageOf, systemCodeOf, ThvError } from '@thv/core'

/**
 * What a failed file operation means to a user: `state-denied`, `state-full` or
 * `state-failed`. Errors of our own pass through.
 *
 * @param action what was tried, as in "cannot <action> '<path>'"
 */
export function stateError(thrown: unknown, path: string, action: string): ThvError {
  if (isThvError(thrown)) return thrown
  const code = systemCodeOf(thrown)
  const directory = dirname(path)
  switch (code) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS': {
      const why = code === 'EROFS' ? 'the file system is read-only' : 'permission denied'
      return new ThvError('state-denied', `cannot ${action} '${path}': ${why}`, {
        hint: `make '${directory}' yours and writable (see 'ls -ld ${directory}'; it may have been created by another user)`,
        cause: thrown,
      })
    }
    case 'ENOSPC':
    case 'EDQUOT': {
      const why = code === 'EDQUOT' ? 'the disk quota is used up' : 'the disk is full'
      return new ThvError('state-full', `cannot ${action} '${path}': ${why}; nothing was changed`, {
        hint: `free some space on the file system of '${directory}' and try again`,
        cause: thrown,
      })
    }
    case undefined:
    default:
      return new ThvError('state-failed', `cannot ${action} '${path}': ${messageOf(thrown)}`, {
        hint: `look at '${directory}': something there is not what thv expects`,
        cause: thrown,
      })
  }
}
