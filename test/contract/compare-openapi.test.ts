import { describe, expect, it } from 'vitest'
import { compareOpenApi, type Json } from './compare-openapi.ts'

/** A document with one operation, `POST /a`. */
function documentOf(parts: { body?: Json; answer?: Json; schemas?: Json; parameters?: Json[]; status?: string }): Json {
  const { body, answer, schemas = {}, parameters = [], status = '200' } = parts
  const contentOf = (schema: Json): Json => ({ content: { 'application/json': { schema } } })
  const post = {
    parameters,
    ...(body === undefined ? {} : { requestBody: contentOf(body) }),
    responses: { [status]: answer === undefined ? {} : contentOf(answer) },
  }
  return { paths: { '/a': { post } }, components: { schemas } }
}

const object = (properties: Json, required: string[] = []): Json => ({ type: 'object', properties, required })
const name = { type: 'string' }

describe('the comparison of two documents', () => {
  it('finds nothing in a document and itself', () => {
    const one = documentOf({
      body: object({ name }),
      answer: object({ name }),
      parameters: [{ name: 'q', in: 'query' }],
    })
    expect(compareOpenApi(one, one)).toEqual([])
  })

  it('finds operations and statuses that one of them lacks', () => {
    const other: Json = { paths: { '/b': { get: {} } } }
    expect(compareOpenApi(documentOf({}), other)).toEqual(['GET /b: missing', 'POST /a: added'])
    expect(compareOpenApi(documentOf({}), documentOf({ status: '201' }))).toEqual([
      'POST /a 200: added',
      'POST /a 201: missing',
    ])
  })

  it('finds parameters, and whether they are required', () => {
    const ours = documentOf({ parameters: [{ name: 'q', in: 'query', required: true }] })
    const contract = documentOf({
      parameters: [
        { name: 'q', in: 'query' },
        { name: 'r', in: 'query' },
      ],
    })
    expect(compareOpenApi(ours, contract)).toEqual(['POST /a query q: required', 'POST /a query r: missing'])
  })

  it('finds members, types and values, however deep', () => {
    const ours = documentOf({
      answer: object({ list: { type: 'array', items: object({ a: name, n: { type: 'integer' } }) } }),
    })
    const contract = documentOf({
      answer: object({ list: { type: 'array', items: object({ b: name, n: { type: 'string', enum: ['x'] } }) } }),
    })
    expect(compareOpenApi(ours, contract)).toEqual([
      'POST /a 200.list[].a: added',
      'POST /a 200.list[].b: missing',
      'POST /a 200.list[].n: type integer instead of string',
      'POST /a 200.list[].n: values any instead of x',
    ])
  })

  it('lets a response promise more than the contract, and a request demand no more', () => {
    const strict = object({ name }, ['name'])
    const loose = object({ name })
    expect(compareOpenApi(documentOf({ answer: strict }), documentOf({ answer: loose }))).toEqual([])
    expect(compareOpenApi(documentOf({ answer: loose }), documentOf({ answer: strict }))).toEqual([
      'POST /a 200.name: optional',
    ])
    expect(compareOpenApi(documentOf({ body: strict }), documentOf({ body: loose }))).toEqual([
      'POST /a body.name: required',
    ])
    expect(
      compareOpenApi(documentOf({ body: { ...loose, additionalProperties: false } }), documentOf({ body: loose })),
    ).toEqual(['POST /a body: refuses other members'])
  })

  it('follows references, also of schemas that contain themselves, and past an alternative that says nothing', () => {
    const tree = object({ child: { $ref: '#/components/schemas/Tree' } })
    const body = { $ref: '#/components/schemas/Tree' }
    const ours = documentOf({ body, schemas: { Tree: tree } })
    const contract = documentOf({
      body: { oneOf: [{ type: 'object' }, body] },
      schemas: { Tree: object({ child: body, x: name }) },
    })
    expect(compareOpenApi(ours, contract)).toEqual(['POST /a body.x: missing'])
  })
})
