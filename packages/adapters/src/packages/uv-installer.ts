import { readdir, stat } from 'node:fs/promises'
import { platform } from 'node:os'
import { join } from 'node:path'
import { formatPythonRequirement, limits, ThvError, type PackageInstaller } from '@thv/core'
import { packagesDirectory } from './cache-layout.ts'
import type { Ecosystem, InstallerOptions } from './ecosystem.ts'
import { findTool } from './find-tool.ts'
import { createInstaller } from './installer.ts'
import { readConsoleScripts } from './python-metadata.ts'
import { runTool, type ToolResult } from './run-tool.ts'
import { uvFailure } from './uv-failure.ts'

/**
 * Installs Python packages with uv, each into a virtual environment of its own. The
 * environment is relocatable, because it gets its place by a rename. The interpreter
 * is one that is there already; none is downloaded.
 */
export function createUvInstaller(options: InstallerOptions): PackageInstaller {
  const environment = {
    ...options.environment,
    NO_COLOR: '1',
    UV_NO_PROGRESS: '1',
    UV_PYTHON_DOWNLOADS: 'never',
    // An environment the user happens to be in is not the place to look at or to install to.
    VIRTUAL_ENV: undefined,
    CONDA_PREFIX: undefined,
  }
  async function run(args: readonly string[], place: UvPlace, signal: AbortSignal): Promise<ToolResult> {
    const uv = await findTool('uv', options.environment)
    if (uv === undefined) {
      throw new ThvError('package-tool-missing', 'uv is needed for uvx:// packages, and there is none', {
        hint: "install uv (for example 'pipx install uv' or 'brew install uv') and put it on the PATH",
      })
    }
    const input = place.input === undefined ? {} : { input: place.input }
    const call = { file: uv, args, environment, workingDirectory: place.directory, withinMs: place.withinMs, ...input }
    return await runTool(call, signal)
  }
  return createInstaller(uvEcosystem(options.cacheDirectory, run), options)
}

interface UvPlace {
  directory: string
  withinMs: number
  input?: string
}

type RunUv = (args: readonly string[], place: UvPlace, signal: AbortSignal) => Promise<ToolResult>

function uvEcosystem(cacheDirectory: string, run: RunUv): Ecosystem {
  return {
    kind: 'uvx',
    tool: 'uv',
    isExact: isExactPythonVersion,
    async ask(source, signal) {
      const args = ['pip', 'compile', '-', '--no-deps', '--no-header', '--no-annotate', '--quiet']
      const place = { directory: packagesDirectory(cacheDirectory), withinMs: limits.packageResolveMs }
      const result = await run(args, { ...place, input: `${formatPythonRequirement(source)}\n` }, signal)
      const version = /^[^\s#=]+==([\w.+!-]+)/m.exec(result.output)?.[1]
      if (result.code !== 0 || version === undefined) throw uvFailure(source, result)
      // PyPI states one checksum per file, and which file fits is known only to uv: none is recorded.
      return { kind: 'uvx', name: source.name, version }
    },
    async build(resolved, directory, signal) {
      const place = { directory, withinMs: limits.packageInstallMs }
      const made = await run(['venv', '--relocatable', '--quiet', 'venv'], place, signal)
      if (made.code !== 0) throw uvFailure(resolved, made)
      const scripts = platform() === 'win32' ? 'Scripts' : 'bin'
      const python = platform() === 'win32' ? 'python.exe' : 'python'
      const args = ['pip', 'install', '--python', join(directory, 'venv', scripts, python), '--quiet']
      const result = await run([...args, '--', `${resolved.name}==${resolved.version}`], place, signal)
      if (result.code !== 0) throw uvFailure(resolved, result)
      const script = choosePythonScript(
        resolved.name,
        await readConsoleScripts(await sitePackages(directory), resolved.name),
      )
      if (platform() === 'win32') return { command: [`./venv/Scripts/${script}.exe`] }
      // By its interpreter: the script's own first line needs tools that not every system has.
      return { command: [`./venv/bin/python`, `./venv/bin/${script}`] }
    },
  }
}

/** A release of PEP 440 without wildcard. */
export function isExactPythonVersion(version: string): boolean {
  return /^(?:\d+!)?\d+(?:\.\d+)*(?:(?:a|b|rc)\d+)?(?:\.post\d+)?(?:\.dev\d+)?(?:\+[a-z0-9.]+)?$/i.test(version)
}

/** The console script named like the package, or the only one. Throws `package-has-no-command`. Pure. */
export function choosePythonScript(name: string, scripts: readonly string[]): string {
  const [plain = name] = name.split('[')
  function same(script: string): string {
    return script.toLowerCase().replaceAll(/[-_.]+/g, '-')
  }
  const chosen =
    scripts.find((script) => script === plain) ??
    scripts.find((script) => same(script) === same(plain)) ??
    (scripts.length === 1 ? scripts[0] : undefined)
  if (chosen !== undefined) return chosen
  throw new ThvError(
    'package-has-no-command',
    scripts.length === 0
      ? `${plain} has no program to start: it is a library`
      : `${plain} has several programs and none is named like it: ${scripts.join(', ')}`,
    { hint: 'choose the package of the server itself' },
  )
}

async function sitePackages(directory: string): Promise<string> {
  const windows = join(directory, 'venv', 'Lib', 'site-packages')
  if (platform() === 'win32') return windows
  const lib = join(directory, 'venv', 'lib')
  for (const name of await readdir(lib)) {
    const path = join(lib, name, 'site-packages')
    if ((await stat(path).catch(() => undefined))?.isDirectory() === true) return path
  }
  return windows
}
