import { readdir, stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { isThvError, messageOf, systemCodeOf, ThvError } from '@thv/core'
import { EngineClient } from './engine-client.ts'
import { engineUnreachable } from './engine-error.ts'

/** The engines that thv looks for, in this order: spec/local 3.10. Rancher Desktop and OrbStack offer Docker's API. */
export const engineKinds = ['podman', 'docker', 'colima'] as const
export type EngineKind = (typeof engineKinds)[number]

/** A socket where an engine may listen. */
export interface FoundEngine {
  kind: EngineKind
  socketPath: string
}

/** What decides where to look. */
export interface EngineSearch {
  environment: Readonly<Record<string, string | undefined>>
  home: string
}

/**
 * The first engine that answers. A socket named by the environment
 * (`TOOLHIVE_PODMAN_SOCKET`, `TOOLHIVE_DOCKER_SOCKET`, `TOOLHIVE_COLIMA_SOCKET`) is the
 * user's word: when one is set, no other place is looked at. At the usual places, some of which everybody
 * may write to, only sockets of this user and of root count. `engine-unreachable` when none answers.
 */
export async function findEngine(search: EngineSearch, signal: AbortSignal): Promise<FoundEngine> {
  const problems: string[] = []
  for (const candidate of await engineCandidates(search)) {
    try {
      if (!isNamed(search)) await assertOurs(candidate.socketPath)
      await new EngineClient(candidate.socketPath).ping(signal)
      return candidate
    } catch (error) {
      signal.throwIfAborted()
      // A socket that is not there is no news, but for one that the user has named.
      const cause = isThvError(error) ? error.cause : undefined
      if (systemCodeOf(cause) !== 'ENOENT' || isNamed(search)) problems.push(messageOf(error))
    }
  }
  throw new ThvError('engine-unreachable', 'no container runtime available: no Docker, Podman or Colima answers', {
    hint: 'start one of them, or name its socket with TOOLHIVE_DOCKER_SOCKET',
    detail: problems,
  })
}

/** Whoever owns the engine sees variables and files of every server: never any other user but root. */
async function assertOurs(socketPath: string): Promise<void> {
  const { uid } = await stat(socketPath).catch((error: unknown) => {
    throw engineUnreachable(socketPath, error)
  })
  if (uid === 0 || uid === userInfo().uid) return
  throw new ThvError('engine-unreachable', `the container engine at ${socketPath} belongs to another user`, {
    hint: 'name its socket with TOOLHIVE_DOCKER_SOCKET if you trust that user',
  })
}

/** Where to look, in order. Reads the directory of Podman's machines, nothing else. */
export async function engineCandidates(search: EngineSearch): Promise<FoundEngine[]> {
  const named = engineKinds.flatMap((kind) => {
    const socketPath = search.environment[variables[kind]] ?? ''
    return socketPath === '' ? [] : [{ kind, socketPath }]
  })
  if (named.length > 0) return named
  const usual = await Promise.all(
    engineKinds.map(async (kind) => {
      const paths = kind === 'podman' ? await podmanSockets(search) : usualSockets[kind]
      return paths.map((path) => ({ kind, socketPath: path.replace(/^~/, search.home) }))
    }),
  )
  return usual.flat()
}

const variables: Readonly<Record<EngineKind, string>> = {
  podman: 'TOOLHIVE_PODMAN_SOCKET',
  docker: 'TOOLHIVE_DOCKER_SOCKET',
  colima: 'TOOLHIVE_COLIMA_SOCKET',
}

const usualSockets: Readonly<Record<Exclude<EngineKind, 'podman'>, readonly string[]>> = {
  docker: [
    '/var/run/docker.sock',
    '~/.docker/run/docker.sock',
    '~/.docker/desktop/docker.sock',
    '~/.rd/docker.sock',
    '~/.orbstack/run/docker.sock',
  ],
  colima: ['~/.colima/default/docker.sock'],
}

async function podmanSockets({ environment }: EngineSearch): Promise<string[]> {
  const runtime = environment['XDG_RUNTIME_DIR'] ?? ''
  const temporary = environment['TMPDIR'] ?? ''
  return [
    '/var/run/podman/podman.sock',
    ...(isAbsolute(runtime) ? [join(runtime, 'podman/podman.sock')] : []),
    '~/.local/share/containers/podman/machine/podman.sock',
    ...(isAbsolute(temporary) ? await machineSockets(join(temporary, 'podman')) : []),
  ]
}

async function machineSockets(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => [])
  const sockets = names.filter((name) => name.endsWith('-api.sock')).sort()
  return sockets.map((name) => join(directory, name))
}

function isNamed({ environment }: EngineSearch): boolean {
  return engineKinds.some((kind) => (environment[variables[kind]] ?? '') !== '')
}
