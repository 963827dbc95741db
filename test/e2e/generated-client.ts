import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { collect, root } from './harness.ts'

/** A document of OpenAPI, as far as tests read it. */
export interface OpenApiDocument {
  paths: Record<string, Record<string, OpenApiOperation>>
  components?: { responses?: Record<string, OpenApiResponse> }
}

interface OpenApiOperation {
  operationId?: string
  responses: Record<string, OpenApiResponse>
}

interface OpenApiResponse {
  $ref?: string
  content?: Record<string, { schema: unknown }>
}

/** A client that a generator made: what can be called, by the names of {@link nameOperations}. */
export type GeneratedClient = Record<string, (options?: Record<string, unknown>) => Promise<unknown>>

const contractPath = process.env['THV_CONTRACT_OPENAPI'] ?? resolve(root, '../shared/contract/openapi.json')

/** ToolHive's document where a copy is at hand, and otherwise our own. */
export async function readContract(): Promise<{ document: OpenApiDocument; source: string }> {
  const path = existsSync(contractPath) ? contractPath : join(root, 'docs/reference/openapi.json')
  const document: OpenApiDocument = JSON.parse(await readFile(path, 'utf8'))
  return { document, source: path === contractPath ? "ToolHive's document" : 'our own document' }
}

/** Generates a client of a document into a directory, and loads it. It calls `origin` with the global `fetch`. */
export async function generateClient(
  document: OpenApiDocument,
  directory: string,
  origin: string,
): Promise<GeneratedClient> {
  const input = join(directory, 'openapi.json')
  const output = join(directory, 'client')
  await writeFile(input, JSON.stringify(nameOperations(document)))
  const program = join(root, 'node_modules/openapi-typescript-codegen/bin/index.js')
  const flags = ['--input', input, '--output', output, '--client', 'fetch', '--useOptions']
  const { code, stderr } = await collect(spawn(process.execPath, [program, ...flags], { cwd: directory }))
  if (code !== 0) throw new Error(`no client was generated: ${stderr}`)
  const module: Record<string, unknown> = await import(join(output, 'index.ts'))
  Object.assign(module['OpenAPI'] as object, { BASE: origin })
  const services = Object.entries(module).filter(([name]) => name.endsWith('Service'))
  const methods = services.flatMap(([, service]) =>
    Object.getOwnPropertyNames(service).map((name) => [name, (service as GeneratedClient)[name]]),
  )
  return Object.fromEntries(methods.filter(([, method]) => typeof method === 'function')) as GeneratedClient
}

/** Makes what finds out what is wrong with an answer by a document: undefined for one that is as it says. */
export function createAnswerCheck(
  document: OpenApiDocument,
): (method: string, path: string, answer: { status: number; type: string; text: string }) => string | undefined {
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false })
  ajv.addSchema(document, 'document')
  const templates = Object.keys(document.paths).map((path) => ({ path, pattern: patternOf(path) }))
  // The path without parameters is the more precise one.
  templates.sort((one, other) => one.path.split('{').length - other.path.split('{').length)
  return (method, path, { status, type, text }) => {
    const template = templates.find(({ pattern }) => pattern.test(path))?.path
    if (template === undefined) return `${path} is not in the document`
    const responses = document.paths[template]?.[method.toLowerCase()]?.responses ?? {}
    const which = String(status) in responses ? String(status) : 'default'
    const response = responses[which]
    if (response === undefined) return `${method} ${template} has no status ${status}: ${text}`
    const shared = response.$ref?.replace('#/components/responses/', '')
    const { content = {} } = shared === undefined ? response : (document.components?.responses?.[shared] ?? {})
    const [kind] = Object.keys(content)
    const isJson = type.startsWith('application/json')
    if (kind === undefined || (text === '' && !isJson)) return text === '' ? undefined : 'the answer should be empty'
    const place =
      shared === undefined
        ? ['paths', template, method.toLowerCase(), 'responses', which]
        : ['components', 'responses', shared]
    const keys = [...place, 'content', kind, 'schema'].map((key) =>
      encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1')),
    )
    const validate = ajv.getSchema(`document#/${keys.join('/')}`)
    if (validate === undefined) return `no schema at ${keys.join('/')}`
    // Errors are texts, though the document calls them JSON strings.
    const value: unknown = isJson ? JSON.parse(text) : text
    return validate(value) === true ? undefined : `${method} ${template} ${status}: ${ajv.errorsText(validate.errors)}`
  }
}

/** Names every operation after its method and path, because a generator counts those without a name through. */
function nameOperations(document: OpenApiDocument): OpenApiDocument {
  const paths = Object.entries(document.paths).map(([path, operations]) => {
    const words = path
      .replace('/api/v1beta', '')
      .replaceAll('{', 'by-')
      .split(/[^a-zA-Z0-9]+/)
    const name = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')
    const named = Object.entries(operations).map(([method, operation]) => [
      method,
      { ...operation, operationId: `${method}${name}` },
    ])
    return [path, Object.fromEntries(named)]
  })
  return { ...document, paths: Object.fromEntries(paths) }
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`)
}
