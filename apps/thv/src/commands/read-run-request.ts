import { resolve } from 'node:path'
import { isEra, isProxyMode, isTransportType, parseServerArgument, ThvError, type RunRequest } from '@thv/core'
import type { CommandContext, CommandInput } from '../command.ts'
import { flagOption, listOption, portOption, textOption } from '../options.ts'
import { parseLabels } from './parse-labels.ts'
import { readEnvironment } from './read-environment.ts'
import { addPermissions } from './add-permissions.ts'
import { addRemoteFlags } from './add-remote-flags.ts'
import { addRuntime } from './add-runtime.ts'
import { readToolsOverride } from './read-tools-override.ts'

/** What the flags of `thv run` ask for. Reads the files that they name; throws `invalid-argument` and the like. */
export async function readRunRequest(context: CommandContext, input: CommandInput): Promise<RunRequest> {
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
    secrets: listOption(input, 'secret'),
    labels: Object.fromEntries(parseLabels(listOption(input, 'label'))),
    allowedOrigins: listOption(input, 'allowedOrigins'),
    trustProxyHeaders: flagOption(input, 'trustProxyHeaders'),
    stateless: flagOption(input, 'stateless'),
    strictProtocolValidation: flagOption(input, 'strictProtocolValidation'),
    debug: context.debug,
  }
  if (source !== undefined) Object.assign(request, parseServerArgument(source, resolve))
  await addRemoteFlags(context, request, input)
  await addRuntime(context, request, input)
  addTexts(request, input)
  if (flagOption(input, 'sharedServer')) request.sharedServer = true
  await addChain(context, request, input)
  addPorts(request, input)
  await addPermissions(context, request, input)
  return request
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
  else if (transport === 'auto' && request.remote === undefined) {
    throw new ThvError('invalid-flag-combination', 'only of a remote server it is found out what it speaks', {
      hint: 'give the transport of the server, or leave it out for stdio',
    })
  }
  const mode = textOption(input, 'proxyMode')
  if (isProxyMode(mode)) request.proxyMode = mode
  const era = textOption(input, 'era')
  if (isEra(era)) request.era = era
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
