import { stat } from 'node:fs/promises'
import { ThvError, type Confinement, type DeploySpec } from '@thv/core'
import { withNodePermissions } from './node-permissions.ts'
import { findProgramPaths } from './program-paths.ts'
import { createSandboxDirectory } from './sandbox-directory.ts'
import { openOwnNetwork, type OwnNetwork } from './own-network.ts'
import { bubblewrapPath, currentUser, probeSandbox, type SandboxSupport } from './sandbox-probe.ts'
import { confineInSandbox, type ConfinedCommand, type SandboxOptions } from './sandbox.ts'

/** How servers are confined here. */
export interface ConfineOptions extends SandboxOptions {
  /** Told when a server gets less than a sandbox. */
  warn: (message: string) => void
  /** Default: bubblewrap is tried, once. */
  probe?: () => Promise<SandboxSupport>
}

/** Confines servers as far as their specs ask and this machine can. */
export interface Confiner {
  /**
   * Starts what confining a server will need, before its command is known: the trial, and when
   * the server will have a forwarder that one. Returns at once; a failure shows when it is needed.
   */
  prepare(wish: Confinement['wish'], needs: { forwarder: boolean }): void
  /** Confines one command. */
  confine(spec: DeploySpec, command: ConfinedCommand['command']): Promise<ConfinedCommand>
  /** Ends what was prepared and not needed. */
  close(): Promise<void>
}

/**
 * The best confinement there is: the sandbox, else Node's permission model, else none
 * with a warning. `isolation-unavailable` when a sandbox is required and does not work.
 */
export function createConfiner(options: ConfineOptions): Confiner {
  let support: Promise<SandboxSupport> | undefined
  let spare: Promise<OwnNetwork | undefined> | undefined
  // Who comes first needs what was prepared; nobody would take what is prepared after that.
  let hasBegun = false
  const tryOnce = async (): Promise<SandboxSupport> => await (support ??= (options.probe ?? probeSandbox)())
  const takeSpare = async (): Promise<OwnNetwork | undefined> => {
    const taken = spare
    spare = undefined
    return await taken
  }
  const close = async (): Promise<void> => await (await takeSpare())?.close()
  return {
    prepare(wish, needs) {
      if (wish === 'none' || hasBegun) return
      void tryOnce()
      if (needs.forwarder) spare ??= openForwarder(options, bubblewrapPath).catch(() => undefined)
    },
    close,
    async confine(spec, command) {
      hasBegun = true
      const { confinement } = spec
      if (confinement === undefined || confinement.wish === 'none') return unconfined(spec, command)
      try {
        const found = await tryOnce()
        if (!found.works) return await confineLess(options, found, { ...spec, confinement }, command)
        const { bubblewrap } = found
        const open = async (): Promise<OwnNetwork> => (await takeSpare()) ?? (await openForwarder(options, bubblewrap))
        return await confineInSandbox(options, { bubblewrap, openOwnNetwork: open }, { ...spec, confinement }, command)
      } finally {
        // Prepared for something else than what came.
        await close()
      }
    },
  }
}

async function openForwarder({ forwarder }: SandboxOptions, bubblewrap: string): Promise<OwnNetwork> {
  const { node, script } = forwarder
  return await openOwnNetwork({ bubblewrap, user: currentUser(), holder: [node, '--', script] })
}

async function confineLess(
  options: ConfineOptions,
  found: SandboxSupport & { works: false },
  spec: DeploySpec & { confinement: Confinement },
  command: ConfinedCommand['command'],
): Promise<ConfinedCommand> {
  if (spec.confinement.wish === 'required') {
    throw new ThvError('isolation-unavailable', `the server must be isolated, and cannot be: ${found.reason}`, {
      hint: `${found.hint}; or run it with '--isolation none' if you trust it`,
    })
  }
  const permitted = await underNode(options, spec, command)
  const instead = permitted === undefined ? 'without isolation' : "under Node's permission model only"
  options.warn(`the server runs ${instead}: ${found.reason}; ${found.hint}`)
  return permitted ?? unconfined(spec, command)
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
