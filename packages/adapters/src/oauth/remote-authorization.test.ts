import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { parseChallenges, type AuthorizationPlan, type ClientIdentity } from '@thv/core'
import { afterEach, describe, expect, it } from 'vitest'
import {
  startAuthorizationServer,
  type AuthorizationServer,
  type AuthorizationServerOptions,
} from '../../../../test/fixtures/oauth/authorization-server.ts'
import { followForms } from '../../../../test/fixtures/oauth/follow-forms.ts'
import { startProtectedServer, type ProtectedServer } from '../../../../test/fixtures/oauth/protected-server.ts'
import { authorization, begin, logIn, never, redirectUri, visit } from './fixtures/log-in.ts'
import { startScripted } from './fixtures/scripted-server.ts'

let authority: AuthorizationServer
let server: ProtectedServer
async function start(options: AuthorizationServerOptions = {}): Promise<void> {
  authority = await startAuthorizationServer(options)
  server = await startProtectedServer(authority)
}
afterEach(async () => {
  await Promise.all([authority.close(), server.close()])
})

const documentUrl = 'https://client.example/thv.json'
const clientDocument = {
  client_id: documentUrl,
  client_name: 'thv',
  application_type: 'native',
  redirect_uris: [redirectUri],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method: 'none',
}

describe('a login at a real authorization server', () => {
  it('registers a client without a secret, and its token opens the MCP server', async () => {
    await start()
    const grant = await logIn(server.url)
    expect(grant).toMatchObject({
      issuer: authority.issuer,
      resource: server.url,
      scopes: ['notes:read'],
      client: { kind: 'registered', authMethod: 'none' },
    })
    expect(await whoAmI(grant.accessToken)).toBe(grant.client.clientId)
    expect(authority.tokenRequests).toEqual([{ grantType: 'authorization_code', resource: server.url }])
  })

  it('asks for a refresh token only where offline access is listed', async () => {
    await start()
    expect((await begin(server.url)).scopes).toContain('offline_access')
    authority.switches.metadata = (document) => ({ ...document, scopes_supported: ['openid'] })
    const pending = await begin(server.url)
    expect(pending.scopes).toEqual(['notes:read'])
    expect(new URL(pending.authorizationUrl).searchParams.get('prompt')).toBeNull()
  })

  it('uses a client metadata document', async () => {
    await start({ takesDocuments: true })
    authority.documents.set(documentUrl, clientDocument)
    const grant = await logIn(server.url, { metadataDocumentUrl: documentUrl })
    expect(grant.client).toEqual({ kind: 'metadata-document', clientId: documentUrl, authMethod: 'none' })
    expect(await whoAmI(grant.accessToken)).toBe(documentUrl)
    expect(authority.requests.filter((line) => line.startsWith('POST /reg'))).toEqual([])
  })

  it('registers when the document is refused', async () => {
    await start({ takesDocuments: true })
    authority.switches.refusesDocuments = true
    const grant = await logIn(server.url, { metadataDocumentUrl: documentUrl })
    expect(grant.client.kind).toBe('registered')
  })

  it('goes on with a client that it registered before, and registers one that was forgotten anew', async () => {
    await start()
    const { client } = await logIn(server.url)
    expect((await logIn(server.url, { client })).client).toEqual(client)
    const next = await logIn(server.url, { client: { ...client, clientId: 'forgotten' } })
    expect(await whoAmI(next.accessToken)).toBe(next.client.clientId)
  })

  it('goes on with a client when something in front of the authorization server keeps programs out', async () => {
    const front = await startScripted((_line, response) => response.writeHead(403).end('are you a person?'))
    const plan: AuthorizationPlan = {
      issuer: front.origin,
      resource: 'https://mcp.example/mcp',
      authorizationEndpoint: `${front.origin}/authorize`,
      tokenEndpoint: `${front.origin}/token`,
      takesMetadataDocuments: true,
      namesIssuer: false,
      scopes: [],
      takesOfflineAccess: false,
      tokenAuthMethods: ['none'],
    }
    const wishes = { redirectUri, scopes: [], metadataDocumentUrl: documentUrl }
    const { client } = await authorization.begin(plan, wishes, never)
    await front.close()
    expect(client.clientId).toBe(documentUrl)
  })

  it('uses a configured client with its secret', async () => {
    await start({ registers: false, clients: [configuredAtServer] })
    const grant = await logIn(server.url, { client: configured })
    expect(grant.client).toEqual(configured)
    const next = await authorization.refresh(grant, {}, never)
    expect(await whoAmI(next.accessToken)).toBe('desk')
  })

  it('says how to go on where no client can be had', async () => {
    await start({ registers: false })
    await expect(begin(server.url)).rejects.toMatchObject({
      code: 'login-failed',
      hint: expect.stringContaining('--remote-auth-client-id'),
    })
  })

  it('finds an issuer with a path', async () => {
    await start({ path: '/tenants/one' })
    const grant = await logIn(server.url)
    expect(grant.issuer).toBe(`${authority.origin}/tenants/one`)
    expect(authority.requests[0]).toBe('GET /.well-known/oauth-authorization-server/tenants/one')
  })

  it('asks for more scopes when a tool wants them', async () => {
    await start()
    const first = await logIn(server.url)
    const refused = await callTool(first.accessToken, 'write_note')
    expect(refused.status).toBe(403)
    const [challenge] = parseChallenges(refused.headers.get('www-authenticate') ?? '')
    expect(challenge?.parameters.get('error')).toBe('insufficient_scope')
    const second = await logIn(server.url, { scopes: [...first.scopes, 'notes:write'], client: first.client })
    expect(second.scopes).toEqual(['notes:read', 'notes:write'])
    expect((await callTool(second.accessToken, 'write_note')).status).not.toBe(403)
  })

  it('tells a refusal of the user', async () => {
    await start()
    const pending = await begin(server.url)
    const callback = await followForms(pending.authorizationUrl, { redirectUri, decision: 'refuse' })
    await expect(authorization.finish(pending, callback, never)).rejects.toThrow('access_denied: the user said no')
  })

  it('does not let the user replace what protects the login', async () => {
    await start()
    await expect(begin(server.url, { parameters: { state: 'mine' } })).rejects.toMatchObject({ code: 'login-failed' })
    const pending = await begin(server.url, { parameters: { audience: 'notes' }, scopeParameter: 'user_scope' })
    const { searchParams } = new URL(pending.authorizationUrl)
    expect(searchParams.get('audience')).toBe('notes')
    expect(searchParams.get('user_scope')).toBe('notes:read offline_access')
  })

  it('takes a login back', async () => {
    await start()
    const grant = await logIn(server.url)
    await authorization.revoke(grant, {}, never)
    expect((await callTool(grant.accessToken, 'whoami')).status).toBe(401)
    await expect(authorization.refresh(grant, {}, never)).rejects.toMatchObject({ kind: 'permanent' })
  })

  it('goes by its own clock and not by that of the server', async () => {
    await start()
    authority.switches.saidSeconds = 120
    const before = Date.now()
    const grant = await logIn(server.url)
    const left = Date.parse(grant.expiresAt ?? '') - before
    expect(left).toBeGreaterThanOrEqual(120_000)
    expect(left).toBeLessThan(150_000)
  })

  it('needs no id token that is right', async () => {
    await start()
    const pending = await begin(server.url, { scopes: ['openid', 'notes:read'] })
    // An issuer that the id token does not name.
    const strange = { ...pending, plan: { ...pending.plan, issuer: 'https://other.example', namesIssuer: false } }
    const callback = await visit(pending)
    callback.searchParams.delete('iss')
    expect((await authorization.finish(strange, callback, never)).accessToken).not.toBe('')
  })
})

const configured: ClientIdentity = {
  kind: 'configured',
  clientId: 'desk',
  clientSecret: 'drawer',
  authMethod: 'client_secret_basic',
}

const configuredAtServer = {
  client_id: 'desk',
  client_secret: 'drawer',
  application_type: 'native',
  redirect_uris: [redirectUri],
  grant_types: ['authorization_code', 'refresh_token'],
}

/** Connects as an ordinary client, and asks whose token it is. */
async function whoAmI(accessToken: string): Promise<string> {
  const client = new Client({ name: 'test', version: '1.0.0' })
  const requestInit = { headers: { authorization: `Bearer ${accessToken}` } }
  await client.connect(new StreamableHTTPClientTransport(new URL(server.url), { requestInit }))
  try {
    const { content } = await client.callTool({ name: 'whoami', arguments: {} })
    const [first] = content
    return first?.type === 'text' ? first.text : ''
  } finally {
    await client.close()
  }
}

async function callTool(accessToken: string, name: string): Promise<Response> {
  return await fetch(server.url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${accessToken}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } }),
  })
}
