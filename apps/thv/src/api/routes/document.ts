import { z } from 'zod'
import { docPage } from '../doc-page.ts'
import { defineRoute, type ApiRoute } from '../route.ts'

/** The document of the API and a page that shows it; served when they are asked for (`--openapi`). */
export const documentRoutes: readonly ApiRoute[] = [
  defineRoute({
    method: 'GET',
    path: '/api/openapi.json',
    tag: 'system',
    summary: 'Shows the OpenAPI document; only when the server was started with --openapi',
    answers: { 200: { description: 'The document', schema: z.looseObject({}) } },
    errors: [],
    handle: async ({ document }) => ({ status: 200, json: document() }),
  }),
  defineRoute({
    method: 'GET',
    path: '/api/doc',
    tag: 'system',
    summary: 'Shows the document as a page; only when the server was started with --openapi',
    answers: { 200: { description: 'The page', schema: z.string(), contentType: 'text/html' } },
    errors: [],
    handle: async () => ({ status: 200, text: docPage.html, headers: docPage.headers }),
  }),
]
