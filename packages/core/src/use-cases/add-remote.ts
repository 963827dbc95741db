import { assertForwardHeader } from '../domain/forward-header.ts'
import { clientSecretPrefix, formatClientSecret, loginProblem } from '../domain/remote-auth.ts'
import { parseRemoteUrl } from '../domain/remote-url.ts'
import type { RunConfig } from '../domain/run-config.ts'
import { assertUserSecretName, bearerTokenTarget, formatSecretParameter } from '../domain/secret-name.ts'
import { ThvError } from '../errors.ts'
import type { RemoteRequest, RunRequest } from './run-request.ts'

/** What follows for a run config from a server being at a URL. Throws `invalid-argument` and `invalid-flag-combination`. */
export function addRemote(config: RunConfig, request: RunRequest, remote: RemoteRequest): void {
  parseRemoteUrl(remote.url)
  refuseLocalWishes(request)
  config.remote_url = remote.url
  // A program that reads the transport and knows no detection gets the likeliest.
  config.transport = request.transport ?? 'streamable-http'
  config.thv = {
    ...config.thv,
    runtime: 'remote',
    ...(request.transport === undefined ? { detects_transport: true } : {}),
  }
  if (remote.tokenFromEnvironment === true) config.thv.token_from_environment = true
  addHeaders(config, remote)
  addCredentials(config, remote)
  if (remote.caBundle !== undefined) config.thv_ca_bundle = remote.caBundle
}

function addHeaders(config: RunConfig, { headers = {}, secretHeaders = {} }: RemoteRequest): void {
  for (const [name, value] of Object.entries(headers)) assertForwardHeader(name, value)
  for (const [name, secret] of Object.entries(secretHeaders)) {
    assertForwardHeader(name, '')
    assertUserSecretName(secret)
  }
  const forward: RunConfig['header_forward'] = {
    ...(Object.keys(headers).length === 0 ? {} : { add_plaintext_headers: headers }),
    ...(Object.keys(secretHeaders).length === 0 ? {} : { add_headers_from_secret: secretHeaders }),
  }
  if (Object.keys(forward).length > 0) config.header_forward = forward
}

function refuseTwice(names: readonly string[]): void {
  const folded = names.map((name) => name.toLowerCase())
  const twice = names.find((_name, index) => folded.indexOf(folded[index] ?? '') !== index)
  if (twice === undefined) return
  const what =
    twice.toLowerCase() === 'authorization'
      ? 'a token and an Authorization header exclude each other'
      : `the header '${twice}' is given twice`
  throw new ThvError('invalid-flag-combination', what, { hint: 'leave one of them out' })
}

function addCredentials(config: RunConfig, remote: RemoteRequest): void {
  const { headers = {}, secretHeaders = {}, login, clientSecret } = remote
  const { bearerTokenFile, bearerToken, bearerTokenSecret, tokenFromEnvironment = false } = remote
  const tokens = [bearerTokenFile, bearerToken, bearerTokenSecret].filter((token) => token !== undefined)
  const names = [...Object.keys(headers), ...Object.keys(secretHeaders), ...tokens.map(() => 'Authorization')]
  refuseTwice(names)
  if (bearerTokenFile !== undefined) config.remote_auth_config = { bearer_token_file: bearerTokenFile }
  if (bearerTokenSecret !== undefined) {
    const reference = { name: bearerTokenSecret, target: bearerTokenTarget }
    config.remote_auth_config = { bearer_token: formatSecretParameter(reference) }
  }
  if (clientSecret === undefined && Object.keys(login ?? {}).length === 0) return
  if (tokenFromEnvironment || names.some((name) => name.toLowerCase() === 'authorization')) {
    throw new ThvError('invalid-flag-combination', 'a token and a login exclude each other', {
      hint: 'leave one of them out',
    })
  }
  // What stands for the secret here gets its name when the secret is kept.
  const secret = clientSecret === undefined ? {} : { client_secret: formatClientSecret(clientSecretPrefix) }
  const problem = loginProblem({ ...login, ...secret })
  if (problem !== undefined) {
    throw new ThvError('invalid-flag-combination', `the login makes no sense: ${problem}`, {
      hint: 'leave one of them out, or add what is missing',
    })
  }
  config.remote_auth_config = { ...login }
}

/** What says how a server is started means nothing for one that is not started here. */
function refuseLocalWishes(request: RunRequest): void {
  const { args, environment, volumes = [], runtime = 'auto' } = request
  const wishes: Record<string, boolean> = {
    'arguments of the server': args.length > 0,
    'environment variables': Object.keys(environment).length > 0,
    'secrets of the environment': request.secrets !== undefined && request.secrets.length > 0,
    'the transport stdio': request.transport === 'stdio',
    'a proxy mode': request.proxyMode !== undefined,
    'a target port or host': request.targetPort !== undefined || request.targetHost !== undefined,
    volumes: volumes.length > 0,
    'a permission profile': request.permissionProfile !== undefined || request.network !== undefined,
    isolation: request.isolation === 'required' || request.isolateNetwork === true,
    'a runtime': runtime !== 'auto',
    'the build of an image': request.runtimeConfig !== undefined || request.caCertificate !== undefined,
    'the gateway of an isolated container': request.allowDockerGateway === true,
    'the ignore patterns of volumes': request.printOverlays === true || request.ignoreGlobally === false,
    '--shared-server': request.sharedServer === true,
  }
  const found = Object.keys(wishes).filter((wish) => wishes[wish])
  if (found.length === 0) return
  throw new ThvError(
    'invalid-flag-combination',
    `a remote server is not started here: no meaning has ${found.join(', ')}`,
    {
      hint: 'leave it out',
    },
  )
}
