import {
  assertRunConfig,
  createWorkload,
  deleteWorkload,
  isPackageArgument,
  isEra,
  isProxyMode,
  isTransportType,
  limits,
  messageOf,
  runWorkload,
  systemCodeOf,
  ThvError,
  type RunConfig,
  type RunInput,
  type RunRequest,
} from '@thv/core'
import type { CommandContext, CommandInput } from '../command.ts'
import { flagOption, listOption, portOption, textOption } from '../options.ts'
import { readLimitVariables } from '../limit-variables.ts'
import { parseLabels } from './parse-labels.ts'
import { readEnvironment } from './read-environment.ts'
import { readToolsOverride } from './read-tools-override.ts'
import { superviseHere } from '../supervise-here.ts'
import { servingLine } from '../output/serving-line.ts'

/** `thv run`: create a workload and serve it, detached or here. */
export async function runCommand(context: CommandContext, input: CommandInput): Promise<number> {
  const { container, output, signal } = context
  const run = await readInput(context, input)
  // The supervisor reads them again; a mistake is better told to whoever typed it.
  await readLimitVariables(container.environment)
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
  if (source !== undefined && !isPackageArgument(source)) throw notRunnable(source)
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
    stateless: flagOption(input, 'stateless'),
    strictProtocolValidation: flagOption(input, 'strictProtocolValidation'),
    debug: context.debug,
  }
  if (source !== undefined) request.source = source
  addTexts(request, input)
  if (flagOption(input, 'sharedServer')) request.sharedServer = true
  await addChain(context, request, input)
  addPorts(request, input)
  return request
}

async function addChain(context: CommandContext, request: RunRequest, input: CommandInput): Promise<void> {
  const tools = listOption(input, 'tools').flatMap((list) => list.split(','))
  const names = tools.map((name) => name.trim()).filter((name) => name !== '')
  // A filter that lets nothing through by mistake must not become none.
  if (tools.length > 0 && names.length === 0) {
    throw new ThvError('invalid-argument', '--tools names no tool', { hint: 'write --tools first,second' })
  }
  if (names.length > 0) request.toolsFilter = names
  const file = textOption(input, 'toolsOverride')
  if (file !== undefined) request.toolsOverride = await readToolsOverride(context, file)
  if (flagOption(input, 'otelEnablePrometheusMetricsPath')) request.metrics = true
}

function addTexts(request: RunRequest, input: CommandInput): void {
  const texts = {
    name: textOption(input, 'name'),
    group: textOption(input, 'group'),
    host: textOption(input, 'host'),
    targetHost: textOption(input, 'targetHost'),
    endpointPrefix: textOption(input, 'endpointPrefix'),
    sessionTtl: textOption(input, 'sessionTtl'),
  }
  for (const [key, value] of Object.entries(texts)) if (value !== undefined) Object.assign(request, { [key]: value })
  const transport = textOption(input, 'transport')
  if (isTransportType(transport)) request.transport = transport
  const mode = textOption(input, 'proxyMode')
  if (isProxyMode(mode)) request.proxyMode = mode
  const era = textOption(input, 'era')
  if (isEra(era)) request.era = era
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
  const remote = /^https?:\/\//.test(source)
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//.test(source)
  if (scheme && !remote) {
    return new ThvError('package-scheme-invalid', `invalid protocol scheme provided for MCP server: '${source}'`, {
      hint: 'use npx://package, uvx://package or go://module, or a local command after --',
    })
  }
  const what = remote ? 'remote servers cannot be run yet' : 'registry names and images cannot be run yet'
  return new ThvError('runtime-unsupported', `'${source}' is not a package: ${what}`, {
    hint: 'use npx://package, uvx://package, go://module, or a local command after --',
  })
}
