import {
  assertRunConfig,
  createWorkload,
  deleteWorkload,
  isPackageArgument,
  isProxyMode,
  isTransportType,
  limits,
  messageOf,
  runtimeWishes,
  runWorkload,
  systemCodeOf,
  ThvError,
  type RunConfig,
  type RunInput,
  type RunRequest,
} from '@thv/core'
import type { CommandContext, CommandInput } from '../command.ts'
import { flagOption, listOption, portOption, textOption } from '../options.ts'
import { parseLabels } from './parse-labels.ts'
import { readEnvironment } from './read-environment.ts'
import { superviseHere } from '../supervise-here.ts'
import { servingLine } from '../output/serving-line.ts'

/** `thv run`: create a workload and serve it, detached or here. */
export async function runCommand(context: CommandContext, input: CommandInput): Promise<number> {
  const { container, output, signal } = context
  const run = await readInput(context, input)
  if ('request' in run && run.request.proxyMode === 'sse') {
    output.note('warning: proxy mode sse is deprecated; streamable-http is what clients of today speak')
  }
  const deps = await container.workloads()
  if (!flagOption(input, 'foreground')) {
    const config = await runWorkload(deps, run, output.progress, signal)
    output.settle()
    output.note(servingLine(config))
    return 0
  }
  const config = await createWorkload(deps, run, output.progress, signal)
  output.settle()
  try {
    const serving = (): void => output.line(servingLine(config))
    await superviseHere(context, config.name, serving)
    return 0
  } finally {
    await deleteWorkload(deps, config.name, {}, AbortSignal.timeout(limits.undoMs))
  }
}

async function readInput(context: CommandContext, input: CommandInput): Promise<RunInput> {
  const file = textOption(input, 'fromConfig')
  if (file !== undefined) {
    refuseOtherFlags(input)
    const config = await loadConfigFile(context, file)
    if (context.debug) config.debug = true
    return { config }
  }
  return { request: await readRequest(context, input) }
}

async function readRequest(context: CommandContext, input: CommandInput): Promise<RunRequest> {
  const [source, ...extra] = input.args
  if (extra.length > 0) {
    throw new ThvError('invalid-argument', `unexpected argument '${extra[0] ?? ''}'`, {
      hint: "put the server's own arguments after --",
    })
  }
  const request: RunRequest = {
    args: input.rest ?? [],
    environment: await readEnvironment(context.container.files, {
      file: textOption(input, 'envFile'),
      directory: textOption(input, 'envFileDir'),
      values: listOption(input, 'env'),
      signal: context.signal,
    }),
    labels: Object.fromEntries(parseLabels(listOption(input, 'label'))),
    allowedOrigins: listOption(input, 'allowedOrigins'),
    trustProxyHeaders: flagOption(input, 'trustProxyHeaders'),
    debug: context.debug,
  }
  if (source !== undefined) addSource(request, source)
  addRuntime(request, input)
  await addBuild(request, context, input)
  addTexts(request, input)
  if (flagOption(input, 'sharedServer')) request.sharedServer = true
  addPorts(request, input)
  return request
}

/** A package by its scheme, or else an image. */
function addSource(request: RunRequest, source: string): void {
  if (isPackageArgument(source)) request.source = source
  else if (/^[a-z][a-z0-9+.-]*:\/\//.test(source)) throw notRunnable(source)
  else request.image = source
}

function addRuntime(request: RunRequest, input: CommandInput): void {
  const wish = runtimeWishes.find((known) => known === textOption(input, 'runtime'))
  if (wish !== undefined) request.runtime = wish
  if (textOption(input, 'imageVerification') !== 'enabled' || request.image === undefined) return
  throw new ThvError('image-denied', `the image '${request.image}' cannot be verified: nothing says who made it`, {
    hint: 'leave --image-verification out to run it all the same',
  })
}

async function addBuild(request: RunRequest, context: CommandContext, input: CommandInput): Promise<void> {
  const builderImage = textOption(input, 'runtimeImage')
  const additionalPackages = listOption(input, 'runtimeAddPackage')
  const buildWith = listOption(input, 'buildWith')
  const certificate = textOption(input, 'caCert')
  const build = {
    ...(builderImage === undefined ? {} : { builderImage }),
    ...(additionalPackages.length === 0 ? {} : { additionalPackages }),
    ...(buildWith.length === 0 ? {} : { buildWith }),
    ...(certificate === undefined ? {} : { caCertificate: await readCertificate(context, certificate) }),
  }
  if (Object.keys(build).length > 0) request.build = build
}

async function readCertificate({ container, signal }: CommandContext, file: string): Promise<string> {
  const text = await container.files.readText(file, { signal }).catch((error: unknown) => {
    throw notCertificate(file, messageOf(error), error)
  })
  if (!text.includes('-----BEGIN CERTIFICATE-----')) throw notCertificate(file, 'it is not in PEM', undefined)
  return text
}

function notCertificate(file: string, why: string, cause: unknown): ThvError {
  return new ThvError('invalid-argument', `'${file}' cannot be used as a certificate: ${why}`, {
    hint: 'give a file with one or more certificates in PEM',
    cause,
  })
}

function addTexts(request: RunRequest, input: CommandInput): void {
  const texts = {
    name: textOption(input, 'name'),
    group: textOption(input, 'group'),
    host: textOption(input, 'host'),
    targetHost: textOption(input, 'targetHost'),
    endpointPrefix: textOption(input, 'endpointPrefix'),
  }
  for (const [key, value] of Object.entries(texts)) if (value !== undefined) Object.assign(request, { [key]: value })
  const transport = textOption(input, 'transport')
  if (isTransportType(transport)) request.transport = transport
  const mode = textOption(input, 'proxyMode')
  if (isProxyMode(mode)) request.proxyMode = mode
}

function addPorts(request: RunRequest, input: CommandInput): void {
  const proxyPort = portOption(input, 'proxyPort', '--proxy-port')
  if (proxyPort !== undefined) request.proxyPort = proxyPort
  const targetPort = portOption(input, 'targetPort', '--target-port')
  if (targetPort === undefined && textOption(input, 'targetHost') === undefined) return
  if (request.transport === undefined || request.transport === 'stdio') {
    throw new ThvError(
      'invalid-flag-combination',
      '--target-port and --target-host have no meaning for a stdio server',
      {
        hint: 'add --transport streamable-http or --transport sse, or leave them out',
      },
    )
  }
  if (targetPort !== undefined) request.targetPort = targetPort
}

function refuseOtherFlags(input: CommandInput): void {
  const allowed = new Set(['fromConfig', 'foreground', 'debug'])
  const given = Object.entries(input.options)
    .filter(
      ([name, value]) => !allowed.has(name) && value !== undefined && !(Array.isArray(value) && value.length === 0),
    )
    .filter(([name, value]) => !(name === 'group' && value === 'default'))
    .map(([name]) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`)
  if (input.args.length > 0) given.push(input.args[0] ?? '')
  if (input.rest !== undefined) given.push('--')
  if (given.length === 0) return
  throw new ThvError(
    'invalid-flag-combination',
    `--from-config cannot be used with other configuration flags: [${given.join(' ')}]`,
    { hint: 'change the file, or leave --from-config out' },
  )
}

async function loadConfigFile(context: CommandContext, file: string): Promise<RunConfig> {
  const hint = "write one with 'thv export NAME FILE'"
  let text: string
  try {
    text = await context.container.files.readText(file, { signal: context.signal })
  } catch (error) {
    context.signal.throwIfAborted()
    const why = systemCodeOf(error) === 'ENOENT' ? 'there is no such file' : messageOf(error)
    throw new ThvError('run-config-unreadable', `run config '${file}' cannot be read: ${why}`, { hint, cause: error })
  }
  let config: unknown
  try {
    config = JSON.parse(text)
  } catch (error) {
    throw new ThvError('run-config-unreadable', `run config '${file}' is not JSON: ${messageOf(error)}`, {
      hint,
      cause: error,
    })
  }
  const normal = await context.container.normalizeRunConfig(config)
  assertRunConfig(normal, `'${file}'`)
  return normal
}

function notRunnable(source: string): ThvError {
  const hint = 'use npx://package, uvx://package, go://module, an image, or a local command after --'
  if (/^https?:/.test(source)) {
    return new ThvError('runtime-unsupported', `'${source}' cannot be run yet: it is a remote server`, { hint })
  }
  return new ThvError('package-scheme-invalid', `invalid protocol scheme provided for MCP server: '${source}'`, {
    hint,
  })
}
