import type { RemoteGrant } from '@thv/core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  startAuthorizationServer,
  type AuthorizationServer,
  type TokenFault,
} from '../../../../test/fixtures/oauth/authorization-server.ts'
import { startProtectedServer, type ProtectedServer } from '../../../../test/fixtures/oauth/protected-server.ts'
import { authorization, logIn, never } from './fixtures/log-in.ts'
import { sendJson, startScripted } from './fixtures/scripted-server.ts'

let authority: AuthorizationServer
let server: ProtectedServer
beforeAll(async () => {
  authority = await startAuthorizationServer()
  server = await startProtectedServer(authority)
})
afterEach(() => {
  authority.switches.tokenFault = undefined
})
afterAll(async () => {
  await Promise.all([authority.close(), server.close()])
})

const refresh = async (grant: RemoteGrant) => await authorization.refresh(grant, {}, never)

describe('a refresh at a real authorization server', () => {
  it('gets a new token and a new refresh token, and keeps the rest', async () => {
    const grant = await logIn(server.url)
    const next = await refresh(grant)
    const { accessToken, refreshToken, expiresAt, obtainedAt, ...rest } = next
    expect(grant).toMatchObject(rest)
    expect([accessToken, refreshToken]).not.toContain(grant.accessToken)
    expect(refreshToken).not.toBe(grant.refreshToken)
    expect(Date.parse(expiresAt ?? '')).toBeGreaterThan(Date.parse(obtainedAt))
  })

  it('is refused for good when a refresh token is used twice, which ends the login', async () => {
    const grant = await logIn(server.url)
    const next = await refresh(grant)
    await expect(refresh(grant)).rejects.toMatchObject({
      kind: 'permanent',
      message: expect.stringContaining('invalid_grant'),
    })
    await expect(refresh(next)).rejects.toMatchObject({ kind: 'permanent' })
  })

  it('is refused for good when the grant was revoked', async () => {
    const grant = await logIn(server.url)
    authority.revokeAll()
    await expect(refresh(grant)).rejects.toMatchObject({ kind: 'permanent' })
  })

  it('is refused for good without a refresh token', async () => {
    const { refreshToken: _none, ...grant } = await logIn(server.url)
    await expect(refresh(grant)).rejects.toMatchObject({ kind: 'permanent' })
  })

  it.each<[string, TokenFault]>([
    ['500', { status: 500, body: '{"error":"server_error"}' }],
    ['503 with a page', { status: 503, body: '<html>', type: 'text/html' }],
    ['429 with an error', { status: 429, body: '{"error":"invalid_grant"}' }],
    ['400 without an error', { status: 400, body: '{"message":"no"}' }],
    ['404 with a page', { status: 404, body: 'not here', type: 'text/plain' }],
    ['garbage', { status: 200, body: 'garbage' }],
    ['no token', { status: 200, body: '{}' }],
    ['too much', { status: 200, body: ' '.repeat(100_000) }],
    ['no answer in time', 'hang'],
  ])('may work later after %s', async (_what, fault) => {
    const grant = await logIn(server.url)
    authority.switches.tokenFault = fault
    await expect(refresh(grant)).rejects.toMatchObject({ kind: 'transient' })
    authority.switches.tokenFault = undefined
    expect((await refresh(grant)).accessToken).not.toBe(grant.accessToken)
  })

  it.each<[string, TokenFault]>([
    ['400', { status: 400, body: '{"error":"invalid_grant"}' }],
    [
      '401 with a challenge',
      { status: 401, body: '{"error":"invalid_client"}', headers: { 'www-authenticate': 'Basic realm="as"' } },
    ],
  ])('is refused for good by an OAuth error with %s', async (_what, fault) => {
    const grant = await logIn(server.url)
    authority.switches.tokenFault = fault
    await expect(refresh(grant)).rejects.toMatchObject({ kind: 'permanent' })
  })

  it('may work later when nobody listens, and the token goes nowhere else', async () => {
    const grant = await logIn(server.url)
    await expect(refresh({ ...grant, tokenEndpoint: 'http://127.0.0.1:1/token' })).rejects.toMatchObject({
      kind: 'transient',
    })
    const other = await startScripted((_line, response) => response.writeHead(200).end())
    authority.switches.tokenFault = { status: 308, body: '', headers: { location: `${other.origin}/token` } }
    await expect(refresh(grant)).rejects.toMatchObject({ kind: 'transient' })
    expect(other.received).toEqual([])
    await other.close()
  })

  it('ends with the reason of its signal', async () => {
    const grant = await logIn(server.url)
    authority.switches.tokenFault = 'hang'
    const reason = new Error('enough')
    const stop = new AbortController()
    const refreshing = authorization.refresh(grant, {}, stop.signal)
    stop.abort(reason)
    await expect(refreshing).rejects.toBe(reason)
  })
})

describe('a refresh', () => {
  const base = { issuer: 'https://as.example', resource: 'https://mcp.example/mcp', scopes: ['a', 'b'] }
  const day = 24 * 60 * 60 * 1000

  it('keeps the refresh token and the scopes that the answer leaves out', async () => {
    const as = await startScripted((_line, response) =>
      sendJson(response, { access_token: 'new', token_type: 'Bearer', expires_in: 0 }),
    )
    const next = await refresh({
      ...base,
      tokenEndpoint: `${as.origin}/token`,
      client: { kind: 'configured', clientId: 'me', authMethod: 'client_secret_post', clientSecret: 'mine' },
      accessToken: 'old',
      refreshToken: 'kept',
      obtainedAt: new Date().toISOString(),
      expiresAt: new Date().toISOString(),
    })
    await as.close()
    expect(next).toMatchObject({ accessToken: 'new', refreshToken: 'kept', scopes: ['a', 'b'] })
    // 0 is no time: nobody said when it ends.
    expect(next.expiresAt).toBeUndefined()
    expect(as.received[0]).toContain('client_secret=mine')
    expect(as.received[0]).toContain(`resource=${encodeURIComponent(base.resource)}`)
  })

  it('that fails hands out the secret of the client that was renewed before it', async () => {
    const as = await startScripted((line, response) => {
      if (line === 'POST /token') return sendJson(response, {}, 503)
      sendJson(response, { client_id: 'me', client_secret: 'renewed', client_secret_expires_at: 0 })
    })
    const grant: RemoteGrant = {
      ...base,
      tokenEndpoint: `${as.origin}/token`,
      client: {
        kind: 'registered',
        clientId: 'me',
        authMethod: 'client_secret_post',
        clientSecret: 'mine',
        clientSecretExpiresAt: new Date(Date.now() + day).toISOString(),
        registration: { uri: `${as.origin}/register/me`, accessToken: 'first' },
      },
      accessToken: 'old',
      refreshToken: 'kept',
      obtainedAt: new Date().toISOString(),
    }
    await expect(refresh(grant)).rejects.toMatchObject({
      kind: 'transient',
      grant: { refreshToken: 'kept', accessToken: 'old', client: { clientSecret: 'renewed' } },
    })
    await as.close()
  })

  it.each([
    ['renews a client secret that ends soon', day, 'renewed'],
    ['leaves one alone that ends later', 30 * day, 'mine'],
  ])('%s', async (_what, leftMs, secret) => {
    const end = Math.floor((Date.now() + 90 * day) / 1000)
    const as = await startScripted((line, response, origin) => {
      const registration = { client_id: 'me', redirect_uris: ['http://localhost/callback'] }
      if (line === 'GET /register/me') {
        return sendJson(response, {
          ...registration,
          registration_access_token: 'second',
          registration_client_uri: origin,
        })
      }
      if (line === 'PUT /register/me') {
        const renewed = { client_secret: 'renewed', client_secret_expires_at: end, registration_access_token: 'third' }
        return sendJson(response, { ...registration, ...renewed })
      }
      sendJson(response, { access_token: 'new', token_type: 'Bearer' })
    })
    const next = await refresh({
      ...base,
      tokenEndpoint: `${as.origin}/token`,
      client: {
        kind: 'registered',
        clientId: 'me',
        authMethod: 'client_secret_post',
        clientSecret: 'mine',
        clientSecretExpiresAt: new Date(Date.now() + leftMs).toISOString(),
        registration: { uri: `${as.origin}/register/me`, accessToken: 'first' },
      },
      accessToken: 'old',
      refreshToken: 'kept',
      obtainedAt: new Date().toISOString(),
    })
    await as.close()
    expect(next.client.clientSecret).toBe(secret)
    expect(as.received.at(-1)).toContain(`client_secret=${secret}`)
    if (secret === 'mine') return
    expect(as.received[0]).toContain('"authorization":"Bearer first"')
    expect(as.received[1]).toContain('"authorization":"Bearer second"')
    expect(as.received[1]).not.toMatch(/"registration_access_token"/)
    expect(next.client).toMatchObject({
      clientSecretExpiresAt: new Date(end * 1000).toISOString(),
      registration: { uri: `${as.origin}/register/me`, accessToken: 'third' },
    })
  })
})
