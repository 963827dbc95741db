import { createHash, randomBytes } from 'node:crypto'
import { basename } from 'node:path'
import {
  builtImagePrefix,
  formatPackage,
  isThvError,
  limits,
  messageOf,
  packageWorkloadName,
  parseImageReference,
  registryOf,
  ThvError,
  type ImageBuild,
  type ProgressListener,
} from '@thv/core'
import { containerLimits } from './container-limits.ts'
import { createBuildLeftovers } from './build-leftovers.ts'
import { buildArgument, buildDockerfile, certificateFile } from './dockerfile.ts'
import type { EngineClient } from './engine-client.ts'
import { readLocalSource } from './local-source.ts'
import { readJsonStream } from './json-stream.ts'
import { textIn } from './read-json.ts'
import { encodeAuth, registryAuth, type DockerConfigPlace } from './registry-auth.ts'
import { writeArchive, type ArchiveEntry } from './ustar.ts'

/** Names what an image was built from, so that it is found again. */
const buildLabel = 'thv-build'

/**
 * Builds the image of a package; see `ImageStore.build`. An image from the same files
 * and variables is taken again: for ever when the version is exact, for a day when it moves.
 */
export async function buildImage(
  context: { engine: EngineClient; place: DockerConfigPlace; now: () => Date },
  wanted: ImageBuild,
  progress: ProgressListener,
  signal: AbortSignal,
): Promise<string> {
  const { engine } = context
  const source = wanted.localPath === undefined ? undefined : await readLocalSource(wanted.localPath)
  const dockerfile = buildDockerfile(wanted, source?.target)
  const entries = [...entriesOf({ Dockerfile: dockerfile, ...certificateOf(wanted) }), ...(source?.entries ?? [])]
  const variables = wanted.buildEnvironment ?? {}
  const hash = hashOf(entries, variables)
  // A program of this machine is known by the hash of its files.
  const isFixed = source !== undefined || isExact(wanted)
  const labelled = await engine.listImages({ [buildLabel]: hash }, signal)
  // An image that somebody else made out of ours has inherited its label.
  const known = labelled.find((image) => image.name.replace(/^localhost\//, '').startsWith(builtImagePrefix))
  const ageMs = context.now().getTime() - (known?.createdMs ?? 0)
  if (known !== undefined && (isFixed || ageMs < limits.packageTagMs)) {
    progress(`using ${known.name}, built from the same before`)
    return known.name
  }
  // Two builds in one second must not take each other's name.
  const name = `${imageName(wanted, context.now())}-${hash.slice(0, 8)}`
  progress(`building ${name} for ${formatPackage(wanted)}`)
  const options = {
    t: name,
    dockerfile: 'Dockerfile',
    rm: '1',
    forcerm: '1',
    // The engine keeps a layer by the text of its line, and that of a moving version does not change.
    ...(isFixed ? {} : { nocache: '1' }),
    labels: JSON.stringify({ [buildLabel]: hash }),
    // Another number each time, so that no two builds share what one of them removes.
    buildargs: JSON.stringify({ ...variables, [buildArgument]: randomBytes(8).toString('hex') }),
  }
  const headers = { 'X-Registry-Config': await registryConfig(context.place, dockerfile, signal) }
  const leftovers = createBuildLeftovers()
  try {
    const seeing: ProgressListener = (line) => {
      leftovers.see(line)
      progress(line)
    }
    await follow(await engine.buildImage(options, writeArchive(entries), headers, signal), seeing)
    // A stream that was cut between two lines looks like one that has ended.
    if ((await engine.findImage(name, signal)) === undefined) throw new Error('the engine does not have it afterwards')
  } catch (error) {
    signal.throwIfAborted()
    throw error instanceof BuildFailure || !isThvError(error) ? buildFailed(wanted, error) : error
  } finally {
    await leftovers.remove(engine)
  }
  return name
}

/** Of everything that goes into a build, so that any change makes another image. */
function hashOf(entries: readonly ArchiveEntry[], variables: Readonly<Record<string, string>>): string {
  const hash = createHash('sha256').update(JSON.stringify(variables))
  for (const { path, mode, content } of entries) {
    hash.update(JSON.stringify([path, mode, content.kind === 'symlink' ? content.target : '']))
    if (content.kind === 'file') hash.update(`${content.bytes.length}:`).update(content.bytes)
  }
  return hash.digest('hex')
}

/** Whether a version never means anything else; tags, ranges and shortened versions move. */
function isExact({ kind, version = '' }: ImageBuild): boolean {
  return (kind === 'uvx' ? /^\d[\w.+!-]*$/ : /^v?\d+\.\d+\.\d+(?:[-+][\w.+-]*)?$/).test(version)
}

/** `toolhivelocal/<kind>-<name>:<YYYYMMDDhhmmss>`, local time: spec/local 3.3. Pure. */
export function imageName(wanted: Pick<ImageBuild, 'kind' | 'name' | 'localPath'>, now: Date): string {
  const base = wanted.localPath === undefined ? wanted.name : basename(wanted.localPath)
  const name = packageWorkloadName({ kind: wanted.kind, name: base, version: undefined }).toLowerCase()
  // Separators of an image's name stand alone and inside.
  const clean = name.replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '')
  const parts = [now.getMonth() + 1, now.getDate(), now.getHours(), now.getMinutes(), now.getSeconds()]
  const stamp = `${now.getFullYear()}${parts.map((part) => String(part).padStart(2, '0')).join('')}`
  return `${builtImagePrefix}${wanted.kind}-${clean}:${stamp}`
}

/** What the engine said went wrong, with what it printed before. */
class BuildFailure extends Error {
  readonly lines: readonly string[]

  constructor(message: string, lines: readonly string[]) {
    super(message)
    this.lines = lines
  }
}

/** Every line goes to the progress: tools look for `Successfully built` in it. */
async function follow(chunks: AsyncIterable<unknown>, progress: ProgressListener): Promise<void> {
  const last: string[] = []
  let isBuilt = false
  for await (const event of readJsonStream(chunks)) {
    const error = textIn(event, 'error')
    if (error !== undefined) throw new BuildFailure(error.trim(), last)
    for (const line of (textIn(event, 'stream') ?? '').split('\n')) {
      if (line.trim() === '') continue
      progress(line)
      isBuilt ||= line.startsWith('Successfully built')
      last.push(line.slice(0, limits.stderrLineLength))
      if (last.length > containerLimits.buildLines) last.shift()
    }
  }
  // Podman does not say so, and its stream ends with an error when it failed.
  if (!isBuilt) progress('Successfully built the image')
}

function buildFailed(wanted: ImageBuild, error: unknown): ThvError {
  const lines = error instanceof BuildFailure ? error.lines : []
  return new ThvError(
    'image-build-failed',
    `the image of ${formatPackage(wanted)} could not be built: ${messageOf(error)}`,
    {
      hint: 'look at the output of the build above and at free disk space, or run the package with --runtime process',
      detail: lines,
      cause: error,
    },
  )
}

function certificateOf({ caCertificate }: ImageBuild): Record<string, string> {
  return caCertificate === undefined ? {} : { [certificateFile]: caCertificate }
}

function entriesOf(files: Readonly<Record<string, string>>): ArchiveEntry[] {
  return Object.entries(files).map(([path, text]) => ({
    path,
    mode: 0o644,
    content: { kind: 'file', bytes: Buffer.from(text) },
  }))
}

/** Credentials for the registries of the base images. */
async function registryConfig(place: DockerConfigPlace, dockerfile: string, signal: AbortSignal): Promise<string> {
  const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => parseImageReference(image ?? ''))
  const registries = [...new Set(bases.map((base) => registryOf(base)))]
  const entries = await Promise.all(
    registries.map(async (registry) => [registry, await registryAuth(place, registry, signal)] as const),
  )
  return encodeAuth(Object.fromEntries(entries))
}
