import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { limits, ThvError, type PackageInstaller, type ResolvedPackage } from '@thv/core'
import { packagesDirectory } from './cache-layout.ts'
import type { Ecosystem, InstallerOptions } from './ecosystem.ts'
import { findTool } from './find-tool.ts'
import { askGoIndex, goFailure, type RunGo } from './go-index.ts'
import { createInstaller } from './installer.ts'
import { runTool } from './run-tool.ts'

/** Builds Go programs with the Go that is there, so that proxies and private settings of the user apply. */
export function createGoInstaller(options: InstallerOptions): PackageInstaller {
  const { environment } = options
  async function run(args: readonly string[], place: Parameters<RunGo>[1], signal: AbortSignal) {
    const go = await findTool('go', environment)
    if (go === undefined) {
      throw new ThvError('package-tool-missing', 'Go is needed for go:// packages, and there is none', {
        hint: 'install Go and put it on the PATH',
      })
    }
    const call = {
      file: go,
      args,
      environment: {
        ...environment,
        GOFLAGS: `${environment['GOFLAGS'] ?? ''} -mod=mod`.trim(),
        GOWORK: 'off',
        GOBIN: place.bin,
        // Neither git nor ssh may ask a question that nobody sees.
        GIT_TERMINAL_PROMPT: '0',
        GIT_SSH_COMMAND: environment['GIT_SSH_COMMAND'] ?? 'ssh -o BatchMode=yes',
      },
      workingDirectory: place.directory,
      withinMs: place.withinMs,
    }
    return await runTool(call, signal)
  }
  return createInstaller(goEcosystem(options.cacheDirectory, run), options)
}

function goEcosystem(cacheDirectory: string, run: RunGo): Ecosystem {
  return {
    kind: 'go',
    tool: 'go',
    isExact: isExactGoVersion,
    async ask(source, signal) {
      return await askGoIndex(source, { run, directory: packagesDirectory(cacheDirectory) }, signal)
    },
    async build(resolved, directory, signal) {
      const bin = join(directory, 'bin')
      await mkdir(bin)
      const place = { directory, bin, withinMs: limits.packageInstallMs }
      const spec = `${resolved.name}@${resolved.version}`
      const result = await run(['install', spec], place, signal)
      if (result.code !== 0) throw goFailure(resolved, [result.errors], result)
      const [program, ...more] = await readdir(bin)
      if (program === undefined || more.length > 0) throw noProgram(resolved)
      // A Go binary states the checksum of the module that it was built from.
      const info = await run(['version', '-m', join(bin, program)], { ...place, bin: undefined }, signal)
      const integrity = parseModuleSum(info.output)
      const command: [string] = [`./bin/${program}`]
      return integrity === undefined ? { command } : { command, integrity }
    },
  }
}

/** `vX.Y.Z`, also a pseudo-version. */
export function isExactGoVersion(version: string): boolean {
  return /^v\d+\.\d+\.\d+(?:-[\w.-]+)?(?:\+incompatible)?$/.test(version)
}

/** The `h1:` sum of the main module in what `go version -m` prints. Pure. */
export function parseModuleSum(text: string): string | undefined {
  return /^\s*mod\s+\S+\s+\S+\s+(h1:\S+)/m.exec(text)?.[1]
}

function noProgram(resolved: ResolvedPackage): ThvError {
  return new ThvError('package-has-no-command', `${resolved.name} has no program to start: it is a library`, {
    hint: 'give the path of the directory with package main',
  })
}
