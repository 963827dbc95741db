import { resolve } from 'node:path'
import {
  assertRunConfig,
  builtInProfile,
  createWorkload,
  deleteWorkload,
  getWorkload,
  isolationWishes,
  isPackageArgument,
  isEra,
  isProxyMode,
  isTransportType,
  limits,
  messageOf,
  parseVolume,
  runWorkload,
  systemCodeOf,
  ThvError,
  type PermissionProfile,
  type RunConfig,
  type RunInput,
  type RunRequest,
} from '@thv/core'
import type { CommandContext, CommandInput } from '../command.ts'
import { readLimitVariables } from '../limit-variables.ts'
import { flagOption, listOption, portOption, switchOption, textOption } from '../options.ts'
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
  const learns = flagOption(input, 'learn')
  if (!flagOption(input, 'foreground')) {
    const config = await runWorkload(deps, run, output.progress, signal)
    output.settle()
    output.note(servingLine(config))
    await warnOfIsolation(context, config)
    return 0
  }
  const config = await createWorkload(deps, run, output.progress, signal)
  output.settle()
  try {
    const serving = (): void => output.line(servingLine(config))
    const egress = await superviseHere(context, config.name, serving)
    if (learns) output.json(egress.smallestProfile(config.name, mountsOf(config)))
    return 0
  } finally {
    await deleteWorkload(deps, config.name, {}, AbortSignal.timeout(limits.undoMs))
  }
}

/** Nobody gets less than a sandbox without being told; who asked for it knows. */
async function warnOfIsolation({ container, output }: CommandContext, config: RunConfig): Promise<void> {
  const { isolation } = await getWorkload(await container.reading(), config.name)
  if (isolation === 'sandbox' || isolation === 'container' || config.thv?.isolation === 'none') return
  output.note(`warning: ${config.name} runs with isolation ${isolation ?? 'unknown'}; see 'thv doctor' for a sandbox`)
}

/** A learning run records connections; of files it knows what the server was given. */
function mountsOf({ volumes = [] }: RunConfig): Pick<PermissionProfile, 'read' | 'write'> {
  const parsed = volumes.map(parseVolume)
  const specs = (readOnly: boolean): string[] =>
    parsed.filter((volume) => volume.readOnly === readOnly).map(({ source, target }) => `${source}:${target}`)
  return { read: specs(true), write: specs(false) }
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
    debug: context.debug,
  }
  if (source !== undefined) request.source = source
  addTexts(request, input)
  if (flagOption(input, 'sharedServer')) request.sharedServer = true
  await addChain(context, request, input)
  addPorts(request, input)
  await addPermissions(context, request, input)
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
  }
  for (const [key, value] of Object.entries(texts)) if (value !== undefined) Object.assign(request, { [key]: value })
  const transport = textOption(input, 'transport')
  if (isTransportType(transport)) request.transport = transport
  const mode = textOption(input, 'proxyMode')
  if (isProxyMode(mode)) request.proxyMode = mode
  const era = textOption(input, 'era')
  if (isEra(era)) request.era = era
}

async function addPermissions(context: CommandContext, request: RunRequest, input: CommandInput): Promise<void> {
  const nameOrPath = textOption(input, 'permissionProfile')
  if (nameOrPath !== undefined) {
    const { loadPermissionProfile } = await context.container.adapters()
    const profile = await loadPermissionProfile(nameOrPath)
    // A path means the same from any directory later.
    const isName = builtInProfile(nameOrPath) !== undefined
    request.permissionProfile = { nameOrPath: isName ? nameOrPath : resolve(nameOrPath), profile }
  }
  const volumes = listOption(input, 'volume').map(absoluteVolume)
  if (volumes.length > 0) request.volumes = volumes
  const network = textOption(input, 'network')
  if (network !== undefined) request.network = network
  const isolation = isolationWishes.find((wish) => wish === textOption(input, 'isolation'))
  if (isolation !== undefined) request.isolation = isolation
  const isolateNetwork = switchOption(input, 'isolateNetwork')
  if (isolateNetwork !== undefined) request.isolateNetwork = isolateNetwork
  if (switchOption(input, 'ignoreGlobally') === false) request.ignoreGlobally = false
  if (flagOption(input, 'learn')) learn(request, flagOption(input, 'foreground'))
  await noteUnseenPaths(context, request)
}

/** Everything must go through the egress proxy, and nothing be refused by a profile. */
function learn(request: RunRequest, isForeground: boolean): void {
  const { permissionProfile, network, isolateNetwork, isolation } = request
  if (!isForeground) {
    throw new ThvError('invalid-flag-combination', '--learn prints at the end of a run that is waited for', {
      hint: 'add --foreground',
    })
  }
  if (permissionProfile !== undefined || network !== undefined || isolateNetwork === false || isolation === 'none') {
    throw new ThvError('invalid-flag-combination', '--learn is for a run with isolation and no other profile', {
      hint: 'leave --permission-profile, --network, --isolate-network and --isolation out',
    })
  }
  request.isolation = 'required'
  request.isolateNetwork = true
}

/** The commonest reason why a server that ran before does not run in a sandbox. */
async function noteUnseenPaths({ container, output }: CommandContext, request: RunRequest): Promise<void> {
  if (request.isolation === 'none' || request.source === undefined) return
  const given = (request.volumes ?? []).map((volume) => parseVolume(volume).target)
  for (const path of request.args.filter((argument) => argument.startsWith('/'))) {
    const isGiven = given.some((target) => path === target || path.startsWith(`${target}/`))
    if (isGiven || !(await container.files.exists(path))) continue
    output.note(`note: the server does not see ${path} of this machine; to give it, add --volume ${path}:${path}`)
  }
}

function absoluteVolume(text: string): string {
  const { source, target, readOnly } = parseVolume(text)
  return `${resolve(source)}:${target}${readOnly ? ':ro' : ''}`
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
