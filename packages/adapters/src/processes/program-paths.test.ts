import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { findProgramPaths, installationOf } from './program-paths.ts'

let home: string

beforeEach(async () => {
  home = await realpath(await mkdtemp(join(tmpdir(), 'thv-program-')))
})

afterEach(async () => {
  await rm(home, { recursive: true, force: true })
})

async function file(path: string): Promise<string> {
  const whole = join(home, path)
  await mkdir(dirname(whole), { recursive: true })
  await writeFile(whole, '')
  return whole
}

async function pathsOf(command: [string, ...string[]], workingDirectory = home): Promise<string[]> {
  const found = await findProgramPaths({ command, workingDirectory, home })
  return found.map((path) => path.replace(home, '~')).toSorted()
}

it('a script comes with its project', async () => {
  await file('projects/notes/package.json')
  const script = await file('projects/notes/src/server.js')
  expect(await pathsOf(['/usr/bin/node', script])).toEqual(['~/projects/notes'])
  expect(await pathsOf(['/usr/bin/node', '--flag', 'src/server.js'], join(home, 'projects/notes'))).toContain(
    '~/projects/notes',
  )
})

it('a script without a project comes with its directory, and one in the home directory alone', async () => {
  expect(await pathsOf(['/usr/bin/node', await file('projects/a.js')])).toEqual(['~/projects'])
  expect(await pathsOf(['/usr/bin/node', await file('a.js')])).toEqual(['~/a.js'])
  expect(await pathsOf(['/usr/bin/node', await file('.ssh/a.js')])).toEqual(['~/.ssh/a.js'])
})

it('the working directory is part of it, but not home, not above it, and no hidden one in it', async () => {
  await mkdir(join(home, 'projects'))
  await mkdir(join(home, '.ssh'))
  expect(await pathsOf(['/usr/bin/true'], join(home, 'projects'))).toEqual(['~/projects'])
  expect(await pathsOf(['/usr/bin/true'], home)).toEqual([])
  expect(await pathsOf(['/usr/bin/true'], dirname(home))).toEqual([])
  expect(await pathsOf(['/usr/bin/true'], '/')).toEqual([])
  expect(await pathsOf(['/usr/bin/true'], join(home, '.ssh'))).toEqual([])
})

it('home is known also when the way to it, or to the program, is a link', async () => {
  await mkdir(join(home, 'me'))
  await writeFile(join(home, 'me/a.js'), '')
  await symlink(join(home, 'me'), join(home, 'link'))
  const find = async (of: string, from: string): Promise<string[]> =>
    await findProgramPaths({
      command: ['/usr/bin/node', join(home, from, 'a.js')],
      workingDirectory: join(home, from),
      home: join(home, of),
    })
  expect(await find('link', 'me')).toEqual([join(home, 'me/a.js')])
  expect(await find('me', 'link')).toEqual(['link/a.js', 'me/a.js'].map((path) => join(home, path)))
})

it.each(['/proc', '/proc/1/root', '/run/user', '/home/another', '/var/lib', '/dev'])(
  '%s is never part of a program',
  async (workingDirectory) => {
    expect(await pathsOf(['/usr/bin/true'], workingDirectory)).toEqual([])
  },
)

it('a project that is the home directory itself is not taken', async () => {
  await mkdir(join(home, '.git'))
  expect(await pathsOf(['/usr/bin/node', await file('projects/a.js')])).toEqual(['~/projects'])
})

it('an executable comes with its installation, as typed and as it really is', async () => {
  const node = await file('.nvm/versions/node/v22/bin/node')
  expect(await installationOf(node, home)).toEqual([join(home, '.nvm/versions/node/v22')])
  const local = join(home, '.local/bin/tool')
  await mkdir(dirname(local), { recursive: true })
  await symlink(await file('.local/share/uv/tools/tool/bin/tool'), local)
  expect(await installationOf(local, home)).toEqual([local, join(home, '.local/share/uv/tools/tool')])
  expect(await installationOf(await file('bin/alone'), home)).toEqual([join(home, 'bin/alone')])
  expect(await installationOf('/usr/bin/env', home)).toEqual([])
})
