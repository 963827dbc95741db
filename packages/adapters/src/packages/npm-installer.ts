import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { limits, ThvError, type PackageInstaller } from '@thv/core'
import { packagesDirectory } from './cache-layout.ts'
import type { Ecosystem, InstallerOptions } from './ecosystem.ts'
import { findNpm } from './find-npm.ts'
import { createInstaller } from './installer.ts'
import { readInstalledPackage } from './npm-command.ts'
import { askNpmIndex, npmFailure, npmLeftNothing, type RunNpm } from './npm-index.ts'
import { isReadable } from './read-json.ts'
import { runTool } from './run-tool.ts'

/** How the npm installer is wired. */
export interface NpmInstallerOptions extends InstallerOptions {
  /** `npm-cli.js` to run with Node. Default: the one that came with Node, else `npm` on the search path. */
  npmCliPath?: string
}

/**
 * Installs npm packages with the npm that is there, so that registries, proxies and
 * tokens of the user's configuration apply. Install scripts of packages run, as they
 * do with npx.
 */
export function createNpmInstaller(options: NpmInstallerOptions): PackageInstaller {
  const nodePath = options.nodePath ?? process.execPath
  // Settings that would make npm ask, wait, or install elsewhere.
  const environment = {
    ...withoutWorkspaces(options.environment),
    NO_COLOR: '1',
    npm_config_yes: 'true',
    npm_config_color: 'false',
    npm_config_progress: 'false',
    npm_config_update_notifier: 'false',
    npm_config_global: 'false',
  }
  async function run(args: readonly string[], place: { directory: string; withinMs: number }, signal: AbortSignal) {
    const [file, ...leading] = await npmCommand(options, nodePath)
    return await runTool(
      {
        file,
        args: [...leading, ...args],
        environment,
        workingDirectory: place.directory,
        withinMs: place.withinMs,
      },
      signal,
    )
  }
  return createInstaller(npmEcosystem(options.cacheDirectory, run), options)
}

/** Settings of the user's npm that would make it install nothing, or elsewhere. The command line wins over all. */
const pinned = [
  '--dry-run=false',
  '--package-lock-only=false',
  '--location=project',
  '--global=false',
  '--install-strategy=hoisted',
  '--workspaces=false',
  '--bin-links=true',
]

/** A list of workspaces cannot be taken back on the command line, and npm refuses it beside `--workspaces=false`. */
function withoutWorkspaces(environment: NpmInstallerOptions['environment']): NpmInstallerOptions['environment'] {
  return Object.fromEntries(Object.entries(environment).filter(([key]) => !/^npm_config_workspace/i.test(key)))
}

function npmEcosystem(cacheDirectory: string, run: RunNpm): Ecosystem {
  return {
    kind: 'npx',
    tool: 'npm',
    isExact: isExactVersion,
    async ask(source, signal) {
      return await askNpmIndex(source, { run, directory: packagesDirectory(cacheDirectory) }, signal)
    },
    async build(resolved, directory, signal) {
      // A package.json of its own, or npm would take the nearest one above for the project.
      await mkdir(join(directory, 'node_modules'))
      await writeFile(join(directory, 'package.json'), '{"private":true}\n')
      const args = ['install', '--prefix', directory, '--omit=dev', '--no-audit', '--no-fund', '--loglevel=error']
      args.push(...pinned)
      const spec = `${resolved.name}@${resolved.version}`
      const place = { directory, withinMs: limits.packageInstallMs }
      const result = await run([...args, '--package-lock=true', '--save-exact', '--', spec], place, signal)
      if (result.code !== 0) throw npmFailure(spec, result)
      if (!(await isReadable(join(directory, 'node_modules', resolved.name, 'package.json')))) {
        throw npmLeftNothing(spec, result)
      }
      return await readInstalledPackage(directory, resolved.name)
    },
  }
}

/** `x.y.z`, with pre-release or build part. */
export function isExactVersion(version: string): boolean {
  return /^\d+\.\d+\.\d+(?:-[\w.-]+)?(?:\+[\w.-]+)?$/.test(version)
}

async function npmCommand(
  options: NpmInstallerOptions,
  nodePath: string,
): Promise<readonly [executable: string, ...args: string[]]> {
  if (options.npmCliPath !== undefined) return [nodePath, options.npmCliPath]
  const found = await findNpm(options.environment, nodePath)
  if (found !== undefined) return found
  throw new ThvError('package-tool-missing', 'npm is needed for npx:// packages, and there is none', {
    hint: 'install Node.js with npm, or put npm on the PATH',
  })
}
