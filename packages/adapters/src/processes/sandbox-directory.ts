import { mkdir, mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { keyringFilter } from './keyring-filter.ts'
import { createProcessList } from './process-list.ts'

/** What one sandbox needs beside the server: sockets, files for bubblewrap, and something empty to cover with. */
export interface SandboxDirectory {
  path: string
  empty: { file: string; directory: string }
  resolvConf: string
  keyringFilter: string
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
  const path = await mkdtemp(join(parent, `${prefix}${process.pid}-${await readPidSpace()}-`))
  const empty = { file: join(path, 'empty'), directory: join(path, 'empty.d') }
  const resolvConf = join(path, 'resolv.conf')
  const filter = join(path, 'keyring-filter')
  await mkdir(empty.directory)
  await Promise.all([
    writeFile(empty.file, '', { mode: 0o400 }),
    writeFile(resolvConf, 'nameserver 127.0.0.1\noptions timeout:5 attempts:1\n'),
    writeFile(filter, keyringFilter()),
  ])
  return {
    path,
    empty,
    resolvConf,
    keyringFilter: filter,
    remove: async () => await rm(path, { recursive: true, force: true }),
  }
}

async function sweep(parent: string): Promise<void> {
  // Another user's is not ours to remove, and fails.
  for (const name of await listLeftovers(parent)) {
    await rm(join(parent, name), { recursive: true, force: true }).catch(() => {})
  }
}

/** What sandboxes whose supervisor is gone have left in a directory. */
export async function listLeftovers(parent: string): Promise<string[]> {
  const processes = createProcessList()
  const ours = new RegExp(`^${prefix}(\\d+)-${await readPidSpace()}-\\w+$`)
  const found = (await readdir(parent).catch(() => [])).map(async (name) => {
    const pid = Number(ours.exec(name)?.[1])
    if (!(pid > 0)) return []
    const owner = await processes.one(pid)
    return owner === undefined || owner.dead ? [name] : []
  })
  return (await Promise.all(found)).flat()
}

/** Containers may share /tmp or /sys/fs/cgroup, and a pid of theirs says nothing here; short, for the names of sockets. */
async function readPidSpace(): Promise<string> {
  const link = await readlink('/proc/self/ns/pid').catch(() => '')
  return Number(/\d+/.exec(link)?.[0] ?? 0).toString(36)
}
