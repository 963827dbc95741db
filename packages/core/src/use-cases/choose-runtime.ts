import { localPathOf, parsePackageSource } from '../domain/package-source.ts'
import { ThvError } from '../errors.ts'
import type { ImageStore } from '../ports/image-store.ts'
import type { ProgressListener } from '../ports/package-installer.ts'
import type { RunRequest } from './run-request.ts'

/**
 * Whether a server runs as a process or in a container. An image needs a container; a local command, with
 * its files and its interpreter on this machine, cannot be in one. A package may be either: by `auto` it takes
 * the engine when one answers, and `--isolation none`, which no container can be, means a process.
 * Throws `invalid-flag-combination`; `engine-unreachable` when a container is asked for by name and no
 * engine answers is for whoever then uses the engine.
 */
export async function chooseRuntime(
  images: ImageStore,
  request: RunRequest,
  progress: ProgressListener,
  signal: AbortSignal,
): Promise<'process' | 'container'> {
  const { image, source, runtime = 'auto' } = request
  const needsBuild = request.runtimeConfig !== undefined || request.caCertificate !== undefined
  if (needsBuild && (source === undefined || runtime === 'process')) {
    throw new ThvError('invalid-flag-combination', 'flags for the build of an image need a package and a container', {
      hint: 'run a package without --runtime process, or leave them out',
    })
  }
  if (image !== undefined) {
    if (runtime !== 'process') return 'container'
    throw new ThvError('invalid-flag-combination', `the image '${image}' cannot run as a process`, {
      hint: 'leave --runtime out, or run the package it was made from',
    })
  }
  if (source === undefined) {
    if (runtime !== 'container') return 'process'
    throw new ThvError('invalid-flag-combination', 'a local command cannot run in a container', {
      hint: 'leave --runtime out, or run a package or an image',
    })
  }
  if (localPathOf(source) !== undefined) {
    if (runtime !== 'process') return 'container'
    throw new ThvError('invalid-flag-combination', `'${source}' is source code, which thv builds in containers only`, {
      hint: "leave --runtime out, or build it with 'go build' and run the program after --",
    })
  }
  parsePackageSource(source)
  if (runtime !== 'auto') return runtime
  if (needsBuild) return 'container'
  if (request.isolation === 'none' || !(await images.isReachable(signal))) return 'process'
  // Nobody waits for a build without knowing why.
  progress('a container engine answers and is used; --runtime process starts packages without images')
  return 'container'
}
