import {
  assertRunConfig,
  createWorkload,
  deleteWorkload,
  getWorkload,
  isRemote,
  limits,
  messageOf,
  namesSecrets,
  parseVolume,
  runWorkload,
  systemCodeOf,
  ThvError,
  type PermissionProfile,
  type RunConfig,
  type RunInput,
} from '@thv/core'
import { tellIsLocal } from '../actions/open-actions.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { flagOption, textOption } from '../options.ts'
import { readLimitVariables } from '../limit-variables.ts'
import { openSecrets } from '../open-secrets.ts'
import { superviseHere } from '../supervise-here.ts'
import { renderError } from '../output/render-error.ts'
import { servingLine } from '../output/serving-line.ts'
import { logInAfterRun } from './login-after-run.ts'
import { readRunRequest } from './read-run-request.ts'

/** `thv run`: create a workload and serve it, detached or here. */
export async function runCommand(context: CommandContext, input: CommandInput): Promise<number> {
  const { container, output, signal } = context
  tellIsLocal(context, 'run')
  const run = await readInput(context, input)
  // The supervisor reads them again; a mistake is better told to whoever typed it.
  await readLimitVariables(container.environment)
  noteOldVariable(context)
  if ('request' in run && run.request.proxyMode === 'sse') {
    output.note('warning: proxy mode sse is deprecated; streamable-http is what clients of today speak')
  }
  if (usesSecrets(run)) await openSecrets(context)
  const deps = await container.workloads()
  const learns = flagOption(input, 'learn')
  if (!flagOption(input, 'foreground')) {
    const config = await runWorkload(deps, run, output.progress, signal)
    output.settle()
    output.note(servingLine(config))
    await warnOfState(context, config)
    await logInAfterRun(context, input, config)
    return 0
  }
  const config = await createWorkload(deps, run, output.progress, signal)
  output.settle()
  try {
    const serving = (): void => {
      output.line(servingLine(config))
      logInBeside(context, input, config)
    }
    const egress = await superviseHere(context, config.name, serving)
    if (learns) output.json(egress.smallestProfile(config.name, mountsOf(config)))
    return 0
  } finally {
    await deleteWorkload(deps, config.name, {}, AbortSignal.timeout(limits.undoMs))
  }
}

function usesSecrets(run: RunInput): boolean {
  if ('config' in run) return namesSecrets(run.config)
  const { secrets = [], remote } = run.request
  const ofRemote = [remote?.secretHeaders, remote?.bearerToken, remote?.clientSecret]
  return secrets.length > 0 || ofRemote.some((wish) => wish !== undefined)
}

function noteOldVariable({ container, output }: CommandContext): void {
  if ((container.environment['TOOLHIVE_REMOTE_HEALTHCHECKS'] ?? '') === '') return
  output.note('note: TOOLHIVE_REMOTE_HEALTHCHECKS is ignored: the health of remote servers is always checked')
}

/** Whoever stays may log in late: the server goes on being served as it is. */
function logInBeside(context: CommandContext, input: CommandInput, config: RunConfig): void {
  logInAfterRun(context, input, config).catch((error: unknown) => {
    if (!context.signal.aborted) context.output.note(renderError(error, context.debug))
  })
}

/** Nobody gets less than a sandbox, or a remote server that is down, without being told; who asked for it knows. */
async function warnOfState({ container, output }: CommandContext, config: RunConfig): Promise<void> {
  const { isolation, status, reason_message: why } = await getWorkload(await container.reading(), config.name)
  if (isRemote(config)) {
    if (status !== 'running')
      output.note(`warning: ${config.name} is ${status}: ${why}; see 'thv explain ${config.name}'`)
    return
  }
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
    const config = renamed(await loadConfigFile(context, file), textOption(input, 'name'))
    noteUnused(context, config)
    if (context.debug) config.debug = true
    return { config }
  }
  return { request: await readRunRequest(context, input) }
}

/** The port in a file is that of the workload it was exported from. */
function renamed(config: RunConfig, name = config.name): RunConfig {
  return name === config.name ? config : { ...config, name, base_name: name, container_name: name, port: 0 }
}

/** Another program writes some of them for every workload. */
function noteUnused({ output }: CommandContext, config: RunConfig): void {
  if (!isRemote(config)) return
  const keys = ['cmd_args', 'env_vars', 'volumes', 'permission_profile', 'target_port', 'runtime_config'] as const
  const unused = keys.filter((key) => Object.keys(Object(config[key])).length > 0 || typeof config[key] === 'number')
  if (unused.length === 0) return
  output.note(`note: a remote server is not started here, so that ${unused.join(', ')} of the run config mean nothing`)
}

function refuseOtherFlags(input: CommandInput): void {
  const allowed = new Set(['fromConfig', 'foreground', 'debug', 'name', 'remoteAuth'])
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
