import { realpath, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { isSystemPath, isWithin } from './sandbox-layout.ts'

/** What marks the directory that a program belongs to. */
const projectFiles = ['package.json', 'pyproject.toml', 'go.mod', 'Cargo.toml', 'deno.json', '.git']

/**
 * What a local command is made of, as far as that can be seen from outside: the place
 * its executable is installed in, the project of its script, and the directory it runs
 * in. Never the home directory as a whole, nor anything above it.
 */
export async function findProgramPaths(program: {
  command: readonly [executable: string, ...args: string[]]
  workingDirectory: string
  home: string
}): Promise<string[]> {
  const { command, workingDirectory, home } = program
  const [executable, ...args] = command
  const script = await firstFile(args, workingDirectory)
  const found = [
    ...(await installationOf(executable, home)),
    ...(script === undefined ? [] : await projectOf(script, home)),
    ...((await isBroad(workingDirectory, home)) ? [] : [workingDirectory]),
  ]
  return found.filter((path) => !isSystemPath(path))
}

/**
 * Where an executable and what it loads are: `…/node/v20` of `…/node/v20/bin/node`. The
 * path as typed and the place it really is, because both are looked up.
 */
export async function installationOf(executable: string, home: string): Promise<string[]> {
  const real = await realpath(executable).catch(() => executable)
  const places = [executable, real].map(async (path) => {
    const prefix = dirname(dirname(path))
    return dirname(path).endsWith('/bin') && !(await isBroad(prefix, home)) ? prefix : path
  })
  return [...new Set(await Promise.all(places))].filter((path) => !isSystemPath(path))
}

async function projectOf(script: string, home: string): Promise<string[]> {
  const real = await realpath(script)
  const places = [script, real].map(async (path) => (await nearestProject(dirname(path), home)) ?? path)
  return [...new Set(await Promise.all(places))]
}

async function nearestProject(directory: string, home: string): Promise<string | undefined> {
  for (let at = directory; !(await isBroad(at, home)); at = dirname(at)) {
    for (const file of projectFiles) if ((await statOf(join(at, file))) !== undefined) return at
  }
  return (await isBroad(directory, home)) ? undefined : directory
}

async function firstFile(args: readonly string[], workingDirectory: string): Promise<string | undefined> {
  for (const argument of args) {
    if (argument === '' || argument.startsWith('-') || argument.includes('\0')) continue
    const path = resolve(workingDirectory, argument)
    if ((await statOf(path))?.isFile() === true) return path
  }
  return undefined
}

/**
 * A directory that holds more than one thing of the user: home, what is above it, one of
 * the system's, and hidden ones in home: `~/.local` has keys beside programs, and so has
 * `~/.cargo`. Judged as typed and as it really is: on some systems the way to home is a link.
 */
export async function isBroad(directory: string, home: string): Promise<boolean> {
  const [directories, homes] = [await bothOf(directory), await bothOf(home)]
  return directories.some((path) => isBroadPath(path, homes))
}

function isBroadPath(directory: string, homes: readonly string[]): boolean {
  const parent = dirname(directory)
  if (shared.includes(directory) || parentsOfHomes.includes(parent)) return true
  if (kernels.some((path) => isWithin(directory, path))) return true
  return homes.some((home) => isWithin(home, directory) || (parent === home && basename(directory).startsWith('.')))
}

const parentsOfHomes = ['/home', '/var/home', '/Users']
const shared =
  '/ /boot /etc /home /media /mnt /root /srv /tmp /Users /Volumes /var /var/home /var/lib /var/log /var/tmp'.split(' ')
/** Of the kernel, or full of sockets. */
const kernels = ['/dev', '/proc', '/run', '/sys', '/var/run']

async function bothOf(path: string): Promise<string[]> {
  return [path, await realpath(path).catch(() => path)]
}

async function statOf(path: string): Promise<Awaited<ReturnType<typeof stat>> | undefined> {
  return await stat(path).catch(() => undefined)
}
