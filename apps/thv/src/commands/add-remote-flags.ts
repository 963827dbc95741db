import { resolve } from 'node:path'
import { messageOf, parseBearerToken, parseForwardHeader, ThvError, type RunRequest } from '@thv/core'
import type { CommandContext, CommandInput } from '../command.ts'
import { listOption, textOption } from '../options.ts'
import { addLoginFlags, hasLoginFlags } from './add-login-flags.ts'

/**
 * What `thv run` is told about a remote server. Files are looked at now, because a mistake is better told to whoever
 * typed it; what is kept is their path.
 */
export async function addRemoteFlags(context: CommandContext, request: RunRequest, input: CommandInput): Promise<void> {
  const headers = listOption(input, 'remoteForwardHeaders')
  const secretHeaders = listOption(input, 'remoteForwardHeadersSecret')
  const token = textOption(input, 'remoteAuthBearerToken')
  const tokenFile = textOption(input, 'remoteAuthBearerTokenFile')
  const bundle = textOption(input, 'thvCaBundle')
  const isGiven =
    [headers, secretHeaders].flat().length > 0 ||
    [token, tokenFile, bundle].some((text) => text !== undefined) ||
    hasLoginFlags(input)
  if (request.remote === undefined) {
    if (!isGiven) return
    throw new ThvError('invalid-flag-combination', 'flags for a remote server have no meaning without its URL', {
      hint: 'write thv run https://host/path, or leave them out',
    })
  }
  if (headers.length > 0) request.remote.headers = Object.fromEntries(headers.map(parseForwardHeader))
  if (secretHeaders.length > 0) request.remote.secretHeaders = Object.fromEntries(secretHeaders.map(parseForwardHeader))
  if (token !== undefined) request.remote.bearerToken = checkTypedToken(context, token, tokenFile)
  if (tokenFile !== undefined) request.remote.bearerTokenFile = await checkToken(context, resolve(tokenFile))
  const names = Object.keys({ ...request.remote.headers, ...request.remote.secretHeaders })
  const hasOwn = token !== undefined || tokenFile !== undefined || names.some(isAuthorization)
  await addLoginFlags(context, request.remote, input)
  const wantsLogin = hasLoginFlags(input)
  const inEnvironment = context.container.environment['TOOLHIVE_REMOTE_AUTH_BEARER_TOKEN'] ?? ''
  if (!hasOwn && !wantsLogin && inEnvironment !== '') request.remote.tokenFromEnvironment = true
  if (bundle !== undefined) request.remote.caBundle = await checkBundle(context, resolve(bundle))
}

function isAuthorization(name: string): boolean {
  return name.toLowerCase() === 'authorization'
}

/** The token itself is not repeated. */
function checkTypedToken({ output }: CommandContext, text: string, file: string | undefined): string {
  if (file !== undefined) {
    throw new ThvError('invalid-flag-combination', 'a token and a file with a token exclude each other', {
      hint: 'leave one of them out',
    })
  }
  const token = parseBearerToken(text)
  if (token === undefined) {
    throw new ThvError('invalid-argument', 'the token is empty or has characters that no header can hold', {
      hint: 'give it as it is, without Bearer in front',
    })
  }
  output.note(
    'warning: other users of this machine can see a token on a command line; --remote-auth-bearer-token-file shows it to nobody',
  )
  return token
}

async function checkToken(context: CommandContext, file: string): Promise<string> {
  const text = await read(context, file, 'token file')
  if (parseBearerToken(text) !== undefined) return file
  throw refused('token file', file, 'it is empty or has characters that no header can hold')
}

async function checkBundle(context: CommandContext, file: string): Promise<string> {
  const text = await read(context, file, 'certificate file')
  if (text.includes('-----BEGIN CERTIFICATE-----')) return file
  throw refused('certificate file', file, 'it is not in PEM')
}

async function read({ container, signal }: CommandContext, file: string, what: string): Promise<string> {
  try {
    return await container.files.readText(file, { signal })
  } catch (error) {
    signal.throwIfAborted()
    throw refused(what, file, messageOf(error))
  }
}

function refused(what: string, file: string, why: string): ThvError {
  return new ThvError('invalid-argument', `the ${what} '${file}' cannot be used: ${why}`, {
    hint: 'give a text file that this user can read',
  })
}
