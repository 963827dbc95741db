import { isAbsolute, join } from 'node:path'
import type { PasswordKeeper } from '@thv/core'
import { createKernelKeyring } from './secrets/kernel-keyring.ts'
import { createOsKeyring } from './secrets/os-keyring.ts'
import { createKeyFile } from './state/key-file.ts'

/** What {@link createPasswordKeepers} needs. */
export interface PasswordKeeperOptions {
  platform: NodeJS.Platform
  /** The user's number; undefined where there are none. */
  uid: number | undefined
  environment: Readonly<Record<string, string | undefined>>
  /** Starts `keyringMain`. */
  keyringCommand: readonly string[]
}

/** Every place of this machine that can keep the password of the secret store, the best first. */
export function createPasswordKeepers(options: PasswordKeeperOptions): PasswordKeeper[] {
  const { TOOLHIVE_SECRETS_PASSWORD: _password, ...environment } = options.environment
  const keyring = createOsKeyring({ command: options.keyringCommand, environment: definedOf(environment) })
  if (options.platform !== 'linux' || options.uid === undefined) return [keyring]
  return [
    keyring,
    createKernelKeyring(environment['PATH'] ?? '/usr/bin:/bin'),
    createKeyFile(memoryDirectories(options.uid, environment['XDG_RUNTIME_DIR'])),
  ]
}

/** Also where the variable would point: a job without a session finds what the session has kept. */
function memoryDirectories(uid: number, runtimeDirectory = ''): string[] {
  const session = [runtimeDirectory, `/run/user/${uid}`].filter(isAbsolute).map((base) => join(base, 'thv'))
  const ofRoot = uid === 0 ? ['/run/thv-0'] : []
  return [...new Set([...session, ...ofRoot, `/dev/shm/thv-${uid}`])]
}

function definedOf(environment: PasswordKeeperOptions['environment']): Record<string, string> {
  const entries = Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return Object.fromEntries(entries)
}
