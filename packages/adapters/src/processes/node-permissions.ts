import { basename } from 'node:path'
import type { Confinement } from '@thv/core'

/** What Node's permission model is to let a server do. */
export interface NodePermissionPlan {
  command: readonly [executable: string, ...args: string[]]
  /** Of the Node that runs the server, `v22.13.0`. */
  nodeVersion: string
  confinement: Confinement
  /** What the program is made of. */
  programPaths: readonly { path: string; isDirectory: boolean }[]
  /** Its own. */
  temporaryDirectory: string
}

/**
 * The command with Node's permission model switched on: files of the program and
 * temporary ones, no child processes and no native add-ons. It confines what
 * the server's JavaScript does; it knows no network and no limits. Undefined when the
 * command is not Node, or a Node that is too old. Pure.
 */
export function withNodePermissions(plan: NodePermissionPlan): [executable: string, ...args: string[]] | undefined {
  const [executable, ...args] = plan.command
  const flag = flagOf(plan.nodeVersion)
  if (!/^node(?:\.exe)?$/.test(basename(executable)) || flag === undefined) return undefined
  // Who asks for mounts requires a sandbox; the model could not show them elsewhere than they are.
  if (plan.confinement.mounts.length > 0) return undefined
  // Both forms of one path end Node 20 with a failed assertion: each is there once.
  const below = `${plan.temporaryDirectory}/*`
  const readable = plan.programPaths.map(({ path, isDirectory }) => (isDirectory ? `${path}/*` : path))
  const allowed = [...new Set([...readable, below])].map((path) => `--allow-fs-read=${path}`)
  allowed.push(`--allow-fs-write=${below}`)
  return [executable, flag, ...allowed, '--allow-worker', ...args]
}

/** The model is stable since 22.13 and 23.5; before, from 20.0, it has another name. */
function flagOf(version: string): string | undefined {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number)
  if (major < 20) return undefined
  const isStable = major >= 24 || (major === 22 && minor >= 13) || (major === 23 && minor >= 5)
  return isStable ? '--permission' : '--experimental-permission'
}
