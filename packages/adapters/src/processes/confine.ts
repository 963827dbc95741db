import { stat } from 'node:fs/promises'
import { ThvError, type Confinement, type DeploySpec } from '@thv/core'
import { withNodePermissions } from './node-permissions.ts'
import { findProgramPaths } from './program-paths.ts'
import { createSandboxDirectory } from './sandbox-directory.ts'
import { probeSandbox, type SandboxSupport } from './sandbox-probe.ts'
import { confineInSandbox, type ConfinedCommand, type SandboxOptions } from './sandbox.ts'

/** How servers are confined here. */
export interface ConfineOptions extends SandboxOptions {
  /** Told when a server gets less than a sandbox. */
  warn: (message: string) => void
  /** Default: bubblewrap is tried, once. */
  probe?: () => Promise<SandboxSupport>
}

/** Confines one command as far as its spec asks and this machine can. */
export type Confine = (
  spec: DeploySpec,
  command: readonly [executable: string, ...args: string[]],
) => Promise<ConfinedCommand>

/**
 * The best confinement there is: the sandbox, else Node's permission model, else none
 * with a warning. `isolation-unavailable` when a sandbox is required and does not work.
 */
export function createConfine(options: ConfineOptions): Confine {
  let support: Promise<SandboxSupport> | undefined
  return async (spec, command) => {
    const { confinement } = spec
    if (confinement === undefined || confinement.wish === 'none') return unconfined(spec, command)
    support ??= (options.probe ?? probeSandbox)()
    const found = await support
    if (found.works) return await confineInSandbox(options, found.bubblewrap, { ...spec, confinement }, command)
    if (confinement.wish === 'required') {
      throw new ThvError('isolation-unavailable', `the server must be isolated, and cannot be: ${found.reason}`, {
        hint: `${found.hint}; or run it with '--isolation none' if you trust it`,
      })
    }
    const permitted = await underNode(options, { ...spec, confinement }, command)
    const instead = permitted === undefined ? 'without isolation' : "under Node's permission model only"
    options.warn(`the server runs ${instead}: ${found.reason}; ${found.hint}`)
    return permitted ?? unconfined(spec, command)
  }
}

/** The command as it is. */
export function unconfined(spec: DeploySpec, command: ConfinedCommand['command']): ConfinedCommand {
  return { command, environment: spec.environment, isolation: 'none', depth: 0, release: async () => {} }
}

async function underNode(
  options: SandboxOptions,
  spec: DeploySpec & { confinement: Confinement },
  command: ConfinedCommand['command'],
): Promise<ConfinedCommand | undefined> {
  // Which version another Node has would have to be asked; the one that runs thv is known.
  // Nobody has tried it on Windows.
  if (command[0] !== process.execPath || process.platform === 'win32') return undefined
  const { workingDirectory, confinement } = spec
  const { programPaths } = confinement
  const { home } = options
  const paths = programPaths === 'discover' ? await findProgramPaths({ command, workingDirectory, home }) : programPaths
  const parts = paths.map(async (path) => ({ path, isDirectory: (await stat(path)).isDirectory() }))
  const own = await createSandboxDirectory(options.temporaryDirectory)
  const permitted = withNodePermissions({
    command,
    nodeVersion: process.version,
    confinement,
    programPaths: await Promise.all(parts),
    temporaryDirectory: own.path,
  })
  if (permitted === undefined) {
    await own.remove()
    return undefined
  }
  const environment = { ...spec.environment, TMPDIR: own.path }
  return {
    command: permitted,
    environment,
    isolation: 'node-permissions',
    depth: 0,
    release: async () => await own.remove(),
  }
}
