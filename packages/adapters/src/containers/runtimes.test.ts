import { chown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startScriptedEngine, type ScriptedEngine } from '../../../../test/fixtures/engines/scripted-engine.ts'
import { engineCandidates, findEngine } from './runtimes.ts'

const never = new AbortController().signal
let directory: string
let engine: ScriptedEngine

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'thv-sockets-'))
  engine = await startScriptedEngine([])
})
afterEach(async () => {
  await engine.stop()
  await rm(directory, { recursive: true, force: true })
})

describe('the search for an engine', () => {
  it('looks at Podman, Docker, Colima, in this order and at their usual places', async () => {
    await mkdir(join(directory, 'podman'))
    for (const name of ['b-api.sock', 'a-api.sock', 'other']) await writeFile(join(directory, 'podman', name), '')
    const environment = { XDG_RUNTIME_DIR: '/run/user/1', TMPDIR: directory }
    const found = await engineCandidates({ environment, home: '/home/me' })
    expect(found.map(({ kind, socketPath }) => `${kind} ${socketPath.replace(directory, '$TMPDIR')}`)).toEqual([
      'podman /var/run/podman/podman.sock',
      'podman /run/user/1/podman/podman.sock',
      'podman /home/me/.local/share/containers/podman/machine/podman.sock',
      'podman $TMPDIR/podman/a-api.sock',
      'podman $TMPDIR/podman/b-api.sock',
      'docker /var/run/docker.sock',
      'docker /home/me/.docker/run/docker.sock',
      'docker /home/me/.docker/desktop/docker.sock',
      'docker /home/me/.rd/docker.sock',
      'docker /home/me/.orbstack/run/docker.sock',
      'colima /home/me/.colima/default/docker.sock',
    ])
  })

  it('takes the user at their word when a variable names a socket', async () => {
    const environment = { TOOLHIVE_COLIMA_SOCKET: '/c.sock', TOOLHIVE_PODMAN_SOCKET: '/p.sock', TMPDIR: '' }
    expect(await engineCandidates({ environment, home: '/home/me' })).toEqual([
      { kind: 'podman', socketPath: '/p.sock' },
      { kind: 'colima', socketPath: '/c.sock' },
    ])
  })

  it('ends at the first that answers', async () => {
    const environment = {
      TOOLHIVE_PODMAN_SOCKET: join(directory, 'none.sock'),
      TOOLHIVE_DOCKER_SOCKET: engine.socketPath,
    }
    const found = await findEngine({ environment, home: directory }, never)
    expect(found).toEqual({ kind: 'docker', socketPath: engine.socketPath })
  })

  it.runIf(process.getuid?.() === 0)('passes over a socket that another user has put at a usual place', async () => {
    const home = join(directory, 'home')
    const socketPath = join(home, '.docker/run/docker.sock')
    await mkdir(join(home, '.docker/run'), { recursive: true })
    await symlink(engine.socketPath, socketPath)
    await chown(engine.socketPath, 12_345, 12_345)
    const found: unknown = await findEngine({ environment: {}, home }, never).catch((error: unknown) => error)
    expect(found).not.toMatchObject({ socketPath })
    // Named, it is the user's word.
    const environment = { TOOLHIVE_DOCKER_SOCKET: socketPath }
    expect(await findEngine({ environment, home }, never)).toEqual({ kind: 'docker', socketPath })
  })

  it('passes over a file that is no socket, and an engine that is too old', async () => {
    await writeFile(join(directory, 'file.sock'), '')
    engine.script = {
      fault(_what, _request, answer) {
        answer.setHeader('Api-Version', '1.12').end('OK')
        return true
      },
    }
    const environment = {
      TOOLHIVE_PODMAN_SOCKET: join(directory, 'file.sock'),
      TOOLHIVE_DOCKER_SOCKET: engine.socketPath,
    }
    await expect(findEngine({ environment, home: directory }, never)).rejects.toMatchObject({
      code: 'engine-unreachable',
      detail: [expect.stringContaining('does not run'), expect.stringContaining('too old: API 1.12')],
    })
  })
})
