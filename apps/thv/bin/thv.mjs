#!/usr/bin/env -S node --
// The dashes: without them Node reads thv's own --env-file, and takes NODE_OPTIONS from it.
import { existsSync } from 'node:fs'

const bundle = new URL('../dist/thv.js', import.meta.url)
if (existsSync(bundle)) {
  await import(bundle.href)
} else {
  process.stderr.write("thv is not built yet: run 'npm run build' in the clone, then try again\n")
  process.exitCode = 1
}
