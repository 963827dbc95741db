import { resolve } from 'node:path'
import { messageOf, ThvError, type RemoteAuthConfig, type RunRequest } from '@thv/core'
import type { CommandContext, CommandInput } from '../command.ts'
import { flagOption, portOption, textOption } from '../options.ts'
import { loginTimeOption, scopesOption } from './login.ts'

/** What `thv run` is told about the login at a remote server, in the keys of a run config. */
export async function addLoginFlags(
  context: CommandContext,
  remote: NonNullable<RunRequest['remote']>,
  input: CommandInput,
): Promise<void> {
  const login = readTexts(input)
  const scopes = scopesOption(input, 'remoteAuthScopes')
  if (scopes.length > 0) login.scopes = scopes
  if (flagOption(input, 'remoteAuthSkipBrowser')) login.skip_browser = true
  const timeoutMs = loginTimeOption(input, 'remoteAuthTimeout', '--remote-auth-timeout')
  if (timeoutMs !== undefined) login.timeout = timeoutMs * 1e6
  const port = portOption(input, 'remoteAuthCallbackPort', '--remote-auth-callback-port')
  if (port !== undefined) login.callback_port = port
  const file = textOption(input, 'remoteAuthClientSecretFile')
  if (file !== undefined) login.client_secret_file = await checkSecretFile(context, resolve(file))
  const secret = textOption(input, 'remoteAuthClientSecret')
  if (secret !== undefined) {
    if (secret === '') throw new ThvError('invalid-argument', 'the client secret is empty', { hint: 'leave it out' })
    context.output.note(
      'warning: a client secret on a command line can be read by others; --remote-auth-client-secret-file keeps it',
    )
    remote.clientSecret = secret
  }
  if (Object.keys(login).length > 0) remote.login = login
}

/** Whether any flag about a login was given. */
export function hasLoginFlags(input: CommandInput): boolean {
  return Object.entries(input.options).some(
    ([name, value]) => /^remoteAuth(?!Bearer)/.test(name) && value !== undefined && value !== false,
  )
}

function readTexts(input: CommandInput): RemoteAuthConfig {
  const texts = {
    issuer: textOption(input, 'remoteAuthIssuer'),
    authorize_url: textOption(input, 'remoteAuthAuthorizeUrl'),
    token_url: textOption(input, 'remoteAuthTokenUrl'),
    client_id: textOption(input, 'remoteAuthClientId'),
    scope_param_name: textOption(input, 'remoteAuthScopeParamName'),
    resource: textOption(input, 'remoteAuthResource'),
  }
  return Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== undefined && text !== ''))
}

/** A mistake is better told to whoever typed it. */
async function checkSecretFile({ container, signal }: CommandContext, file: string): Promise<string> {
  try {
    const text = await container.files.readText(file, { signal })
    if (text.trim() !== '') return file
  } catch (error) {
    signal.throwIfAborted()
    throw unusable(file, messageOf(error))
  }
  throw unusable(file, 'it is empty')
}

function unusable(file: string, why: string): ThvError {
  return new ThvError('invalid-argument', `the client secret in '${file}' cannot be used: ${why}`, {
    hint: 'give a text file that this user can read',
  })
}
