// Runs one of the house's tools and gathers what it says.
import { spawn } from 'node:child_process'
import { packageRoot } from '../../hal/base/package-root.js'

export interface Finished {
  readonly code: number
  readonly output: string
  readonly stdout: string
}

/** Runs `command` in the package's root (or `cwd`) with `env` added to the environment, bounded to `timeoutMs` (5 minutes). Never rejects. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: { cwd?: string; timeoutMs?: number; env?: NodeJS.ProcessEnv } = {},
): Promise<Finished> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? packageRoot,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? 300_000,
    })
    let output = ''
    let stdout = ''
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk
      output += chunk
    })
    child.stderr.on('data', (chunk: Buffer) => {
      output += chunk
    })
    child.on('error', (error) => resolve({ code: 127, output: `${output}${error.message}`, stdout }))
    child.on('close', (code) => resolve({ code: code ?? 1, output, stdout }))
  })
}
