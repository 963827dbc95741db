import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What one sandbox needs beside the server: sockets, and something empty to cover with. */
export interface SandboxDirectory {
  path: string
  empty: { file: string; directory: string }
  resolvConf: string
  remove(): Promise<void>
}

const prefix = 'thv-sandbox-'

/**
 * Makes the directory, 0700, below `parent`; the name of a unix socket may have about a
 * hundred characters, so that should be short. What killed processes left there is
 * removed first.
 */
export async function createSandboxDirectory(parent: string): Promise<SandboxDirectory> {
  await sweep(parent)
  const path = await mkdtemp(join(parent, `${prefix}${process.pid}-`))
  const empty = { file: join(path, 'empty'), directory: join(path, 'empty.d') }
  const resolvConf = join(path, 'resolv.conf')
  await mkdir(empty.directory)
  await Promise.all([
    writeFile(empty.file, '', { mode: 0o400 }),
    writeFile(resolvConf, 'nameserver 127.0.0.1\noptions timeout:5 attempts:1\n'),
  ])
  return {
    path,
    empty,
    resolvConf,
    remove: async () => await rm(path, { recursive: true, force: true }),
  }
}

async function sweep(parent: string): Promise<void> {
  for (const name of await readdir(parent).catch(() => [])) {
    // Another user's is not ours to remove, and fails.
    if (isLeftover(name)) await rm(join(parent, name), { recursive: true, force: true }).catch(() => {})
  }
}

/** Whether a name is that of a sandbox whose supervisor is gone. */
export function isLeftover(name: string): boolean {
  const pid = Number(new RegExp(`^${prefix}(\\d+)-\\w+$`).exec(name)?.[1])
  return pid > 0 && !isAlive(pid)
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
