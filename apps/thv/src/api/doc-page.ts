import { createHash } from 'node:crypto'

const style = `
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h1 small{font-weight:400;color:#666}
details{border:1px solid #ccc;border-radius:6px;margin:.4rem 0;padding:.3rem .8rem}
summary{cursor:pointer}
code,pre{font:13px/1.4 ui-monospace,monospace}
pre{background:#f4f4f4;padding:.6rem;overflow:auto;border-radius:4px}
.method{display:inline-block;min-width:4.5rem;font-weight:700}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}pre{background:#262626}details{border-color:#444}}
`

/** Runs in the browser. Every text of the document is set as text, never as markup. */
const script = `
'use strict'
function make(tag, text, ...children) {
  const element = document.createElement(tag)
  if (text !== '') element.textContent = text
  element.append(...children)
  return element
}
function marked(className, element) {
  element.className = className
  return element
}
function contentOf(api, part) {
  if (part.$ref === undefined) return part
  return part.$ref.slice(2).split('/').reduce((value, key) => value[key], api)
}
function schemaOf(content) {
  return Object.entries(content || {}).map(([type, { schema }]) =>
    make('div', '', make('code', type), make('pre', JSON.stringify(schema, null, 2))))
}
function parameterOf({ name, in: place, required, description, schema }) {
  const facts = [place, schema.type, required ? 'required' : ''].filter(Boolean).join(', ')
  return make('li', '', make('code', name), ' (' + facts + ') ' + (description || ''))
}
function operationOf(api, path, method, operation) {
  const head = make('summary', '', marked('method', make('code', method.toUpperCase())), make('code', path), ' ' + operation.summary)
  const parts = [head]
  if (operation.parameters) parts.push(make('h4', 'Parameters'), make('ul', '', ...operation.parameters.map(parameterOf)))
  if (operation.requestBody) parts.push(make('h4', 'Body'), ...schemaOf(operation.requestBody.content))
  parts.push(make('h4', 'Answers'))
  for (const [status, answer] of Object.entries(operation.responses)) {
    const found = contentOf(api, answer)
    parts.push(make('div', '', make('code', status), ' ' + found.description), ...schemaOf(found.content))
  }
  return make('details', '', ...parts)
}
async function show() {
  const main = document.querySelector('main')
  const answer = await fetch('/api/openapi.json')
  if (!answer.ok) throw new Error('the document cannot be loaded: ' + answer.status)
  const api = await answer.json()
  main.replaceChildren(make('h1', api.info.title + ' ', make('small', api.info.version)), make('p', api.info.description))
  const all = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })))
  for (const tag of new Set(all.flatMap(({ operation }) => operation.tags))) {
    main.append(make('h2', tag))
    for (const { path, method, operation } of all)
      if (operation.tags.includes(tag)) main.append(operationOf(api, path, method, operation))
  }
  main.append(make('h2', 'Schemas'))
  for (const [name, schema] of Object.entries(api.components.schemas))
    main.append(make('details', '', make('summary', '', make('code', name)), make('pre', JSON.stringify(schema, null, 2))))
}
show().catch((error) => document.querySelector('main').replaceChildren(make('p', String(error))))
`

/**
 * The page of the API at `/api/doc`: it needs nothing but the document of the same server, and its
 * policy lets it load nothing else.
 */
export const docPage = {
  html: `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>thv API</title><style>${style}</style></head>
<body><main>Loading the document</main><script>${script}</script></body></html>
`,
  headers: {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': [
      "default-src 'none'",
      `script-src '${hashOf(script)}'`,
      `style-src '${hashOf(style)}'`,
      "connect-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join('; '),
    'Referrer-Policy': 'no-referrer',
  },
} as const

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}
