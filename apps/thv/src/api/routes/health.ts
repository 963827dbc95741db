import { defineRoute, type ApiRoute } from '../route.ts'

/** Whether the server can serve, and which one it is: spec/local 1.3. */
export const healthRoutes: readonly ApiRoute[] = [
  defineRoute({
    method: 'GET',
    path: '/health',
    tag: 'system',
    summary: 'Tells that the server can serve, and in a header which one it is',
    answers: { 204: { description: 'It can' } },
    errors: [503],
    isOpen: true,
    handle: async ({ nonce, findTrouble }) => {
      const trouble = await findTrouble()
      if (trouble !== undefined) return { status: 503, text: trouble }
      return { status: 204, headers: { 'X-Toolhive-Nonce': nonce } }
    },
  }),
]
