import { ThvError } from '@thv/core'
import { engineUnreachable } from './engine-error.ts'

/**
 * The versions of the engine's API that this client speaks; the newest that both know is used.
 * Docker 29 refuses everything before 1.44.
 */
const apiVersions = { oldest: [1, 40], newest: [1, 44] } as const

/** The newest version that both sides know, by the header of a ping's answer. `engine-unreachable`, `engine-failed`. */
export function negotiateVersion(socketPath: string, header: string | string[] | undefined): string {
  const match = /^(\d+)\.(\d+)$/.exec(String(header ?? ''))
  if (match === null) throw engineUnreachable(socketPath, new Error('it is no container engine'))
  const theirs = [Number(match[1]), Number(match[2])] as const
  if (isOlder(theirs, apiVersions.oldest)) {
    throw new ThvError('engine-failed', `the container engine at ${socketPath} is too old: API ${String(header)}`, {
      hint: `update it to one with API ${apiVersions.oldest.join('.')} or later`,
    })
  }
  return (isOlder(theirs, apiVersions.newest) ? theirs : apiVersions.newest).join('.')
}

function isOlder(left: readonly [number, number], right: readonly [number, number]): boolean {
  return left[0] < right[0] || (left[0] === right[0] && left[1] < right[1])
}
