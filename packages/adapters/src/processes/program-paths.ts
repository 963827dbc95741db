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
    ...(isBroad(workingDirectory, home) ? [] : [workingDirectory]),
  ]
  return found.filter((path) => !isSystemPath(path))
}

/**
 * Where an executable and what it loads are: `…/node/v20` of `…/node/v20/bin/node`. The
 * path as typed and the place it really is, because both are looked up.
 */
export async function installationOf(executable: string, home: string): Promise<string[]> {
  const real = await realpath(executable).catch(() => executable)
  const places = [executable, real].flatMap((path) => {
    const prefix = dirname(dirname(path))
    return dirname(path).endsWith('/bin') && !isBroad(prefix, home) ? [prefix] : [path]
  })
  return [...new Set(places)].filter((path) => !isSystemPath(path))
}

async function projectOf(script: string, home: string): Promise<string[]> {
  const real = await realpath(script)
  const places = [script, real].map(async (path) => (await nearestProject(dirname(path), home)) ?? path)
  return [...new Set(await Promise.all(places))]
}

async function nearestProject(directory: string, home: string): Promise<string | undefined> {
  for (let at = directory; !isBroad(at, home); at = dirname(at)) {
    for (const file of projectFiles) if ((await statOf(join(at, file))) !== undefined) return at
  }
  return isBroad(directory, home) ? undefined : directory
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
 * `~/.cargo`.
 */
function isBroad(directory: string, home: string): boolean {
  if (isWithin(home, directory) || shared.includes(directory)) return true
  return dirname(directory) === home && basename(directory).startsWith('.')
}

const shared = ['/', '/tmp', '/var/tmp', '/var', '/etc', '/home', '/srv', '/mnt', '/run', '/root']

async function statOf(path: string): Promise<Awaited<ReturnType<typeof stat>> | undefined> {
  return await stat(path).catch(() => undefined)
}
