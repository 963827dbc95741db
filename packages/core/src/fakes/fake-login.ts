import type { ClientIdentity, RemoteGrant } from '../domain/remote-grant.ts'
import type { LoginAnswer, OpenLoginCallback } from '../ports/login-callback.ts'
import type {
  AuthorizationPlan,
  AuthorizationTarget,
  LoginWishes,
  RemoteAuthorization,
} from '../ports/remote-authorization.ts'
import type { LogInDeps } from '../use-cases/log-in.ts'
import type { FakeMachine } from './fake-deps.ts'

/** An authorization server, and a browser, that do what a test says. */
export interface FakeLogin {
  deps: LogInDeps
  plan: AuthorizationPlan
  /** Whether anybody protects the server. */
  isProtected: boolean
  targets: AuthorizationTarget[]
  wishes: LoginWishes[]
  revoked: RemoteGrant[]
  /** What a person does with the URL; default: they log in. */
  person: (arrive: () => void) => void
  /** What the exchange of the code ends in. */
  failFinish: Error | undefined
  failRevoke: Error | undefined
  /** Pages that were shown, and how many listeners are open. */
  pages: string[]
  listeners: number
  busyPorts: Set<number>
  files: Map<string, string>
  /** To be called with the URL that is shown. */
  show: (url: string) => Promise<void>
}

export function createFakeLogin(machine: FakeMachine): FakeLogin {
  let arrive = (): void => {}
  let clients = 0
  const login: Omit<FakeLogin, 'deps'> = {
    plan: planOf('https://as.test'),
    isProtected: true,
    targets: [],
    wishes: [],
    revoked: [],
    person: (come) => come(),
    failFinish: undefined,
    failRevoke: undefined,
    pages: [],
    listeners: 0,
    busyPorts: new Set(),
    files: new Map(),
    show: async () => login.person(arrive),
  }
  const authorization: RemoteAuthorization = {
    discover: async (target) => {
      login.targets.push(target)
      return login.isProtected ? login.plan : undefined
    },
    begin: async (plan, wishes) => {
      login.wishes.push(wishes)
      clients += 1
      const registered: ClientIdentity = { clientId: `client-${clients}`, kind: 'registered', authMethod: 'none' }
      return {
        plan,
        client: wishes.client ?? registered,
        redirectUri: wishes.redirectUri,
        scopes: wishes.scopes,
        authorizationUrl: `${plan.authorizationEndpoint}?state=s`,
        state: 's',
        codeVerifier: 'v',
      }
    },
    finish: async ({ plan, client, scopes }) => {
      if (login.failFinish !== undefined) throw login.failFinish
      return { ...grantOf(plan.issuer), client, scopes }
    },
    refresh: async (grant) => grant,
    revoke: async (grant) => {
      if (login.failRevoke !== undefined) throw login.failRevoke
      login.revoked.push(grant)
    },
  }
  const deps: LogInDeps = {
    ...machine.deps,
    authorization,
    readUserFile: async (path) => login.files.get(path) ?? (await Promise.reject(new Error(`ENOENT: ${path}`))),
    openCallback: openCallbacks(login, (come) => {
      arrive = come
    }),
  }
  return Object.assign(login, { deps })
}

/** Listeners whose answer comes when what `arm` gets is called. */
function openCallbacks(login: Omit<FakeLogin, 'deps'>, arm: (arrive: () => void) => void): OpenLoginCallback {
  return async ({ port, orElse }) => {
    const isBusy = login.busyPorts.has(port)
    if (isBusy && orElse === 'fail') throw new Error(`port ${port} is taken`)
    login.listeners += 1
    const own = isBusy ? 40_000 : port
    return {
      port: own,
      wait: async (state, signal) =>
        await new Promise<LoginAnswer>((resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true })
          const url = new URL(`http://localhost:${own}/callback?code=c&state=${state}`)
          arm(() => resolve({ url, reply: async (outcome) => void login.pages.push(outcome) }))
        }),
      close: async () => {
        login.listeners -= 1
      },
    }
  }
}

/** What a login at an issuer leaves. */
export function grantOf(issuer: string): RemoteGrant {
  return {
    issuer,
    resource: 'https://api.example.com/mcp',
    tokenEndpoint: `${issuer}/token`,
    client: { clientId: 'client-0', kind: 'registered', authMethod: 'none' },
    accessToken: 'access',
    refreshToken: 'refresh',
    scopes: ['read'],
    obtainedAt: '2026-01-01T00:00:00Z',
  }
}

export function planOf(issuer: string): AuthorizationPlan {
  return {
    issuer,
    resource: 'https://api.example.com/mcp',
    authorizationEndpoint: `${issuer}/authorize`,
    tokenEndpoint: `${issuer}/token`,
    takesMetadataDocuments: false,
    namesIssuer: true,
    scopes: ['read'],
    takesOfflineAccess: false,
    tokenAuthMethods: [],
  }
}
