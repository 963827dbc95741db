import { testStatusStore } from '@thv/core/contracts'
import { createFileStatusStore } from './file-status-store.ts'
import { liveProcesses } from './fixtures/live-processes.ts'
import { scratchDirectory } from './fixtures/scratch.ts'

testStatusStore('files', () => {
  const dataDirectory = scratchDirectory()
  return Promise.resolve({
    open: () => createFileStatusStore({ dataDirectory, processes: liveProcesses, lockMs: 10_000 }),
  })
})
