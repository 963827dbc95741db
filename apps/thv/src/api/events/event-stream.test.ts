import { expect, it } from 'vitest'
import { EventStream } from './event-stream.ts'

async function readAll(stream: EventStream): Promise<string> {
  return await new Response(stream.body).text()
}

it('a client that does not read is dropped with a clear end, and what waited for it is given back', async () => {
  let left = 0
  const stream = new EventStream(['first\n\n'], () => (left += 1), 100)
  for (let index = 0; index < 10; index += 1) stream.push('x'.repeat(30))
  const text = await readAll(stream)
  expect(text).toMatch(/^first\n\nevent: end\ndata: \{"reason":"too-slow"/)
  expect(text).not.toContain('x')
  expect(left).toBe(1)
})

it('a client that reads gets everything, in order, up to the end', async () => {
  const stream = new EventStream([], () => {}, 100)
  const text = readAll(stream)
  for (let index = 0; index < 100; index += 1) {
    stream.push(`${index}.`)
    await new Promise((wake) => {
      setImmediate(wake)
    })
  }
  stream.end('closing')
  stream.push('late')
  expect(await text).toBe(
    `${Array.from({ length: 100 }, (_, index) => `${index}.`).join('')}event: end\ndata: {"reason":"closing","message":"the server is ending"}\n\n`,
  )
})

it('a client that goes is left, once', async () => {
  let left = 0
  const stream = new EventStream([], () => (left += 1))
  await stream.body.cancel()
  stream.end('closing')
  expect(left).toBe(1)
})
