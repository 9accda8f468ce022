// tpm2-tools as bounded child processes, one at a time; secrets go through pipes only, never into arguments or files.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deviceError } from '../../device-base.js'

const TOOL_MS = 20_000
const MAX_OUTPUT = 64 * 1024

export interface Tpm2Tools {
  /** A folder of its own for contexts and public parts; none of it is secret outside of the TPM. */
  readonly folder: string
  /** Runs `tpm2_<tool>`. @throws DeviceError `DEVICE_PROTOCOL` when the TPM refuses, `DEVICE_UNSUPPORTED` without the tools, `DEVICE_TIMEOUT` */
  run(tool: string, args: readonly string[], input?: Uint8Array): Promise<Uint8Array>
  /** Sees to it that what `work` does with the TPM is not mixed with another's. */
  alone<T>(work: () => Promise<T>): Promise<T>
  close(): void
}

/** `tcti` names the TPM as tpm2-tools do: `device:/dev/tpmrm0`, `swtpm:path=…`. */
export function createTpm2Tools(tcti: string): Tpm2Tools {
  const folder = mkdtempSync(join(tmpdir(), 'postern-tpm-'))
  // Only the kernel's resource manager puts away what a process leaves loaded; a bare TPM has three places.
  const managed = tcti.startsWith('device:/dev/tpmrm') || tcti.startsWith('tabrmd')
  let turn: Promise<unknown> = Promise.resolve()

  function spawn(tool: string, args: readonly string[], input?: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const child = execFile(
        `tpm2_${tool}`,
        args,
        {
          cwd: folder,
          encoding: 'buffer',
          timeout: TOOL_MS,
          killSignal: 'SIGKILL',
          maxBuffer: MAX_OUTPUT,
          env: { PATH: process.env['PATH'] ?? '/usr/bin', TPM2TOOLS_TCTI: tcti, TSS2_LOG: 'all+none' },
        },
        (error, stdout) => {
          if (error === null) {
            const out = new Uint8Array(stdout)
            stdout.fill(0)
            return resolve(out)
          }
          stdout.fill(0)
          if (error.code === 'ENOENT')
            return reject(
              deviceError('DEVICE_UNSUPPORTED', 'the TPM 2.0 tools are missing: install tpm2-tools', {
                tool,
              }),
            )
          if (error.killed) return reject(deviceError('DEVICE_TIMEOUT', 'the TPM does not answer', { tool }))
          // What the tool printed may be of its input; its exit status is all that is told.
          reject(
            deviceError('DEVICE_PROTOCOL', `the TPM refused ${tool}`, {
              tool,
              status: Number(error.code ?? -1),
            }),
          )
        },
      )
      child.stdin?.on('error', () => undefined)
      child.stdin?.end(input)
    })
  }

  return {
    folder,
    async run(tool, args, input) {
      try {
        return await spawn(tool, args, input)
      } finally {
        if (!managed && tool !== 'flushcontext') await spawn('flushcontext', ['-t']).catch(() => undefined)
      }
    },
    alone(work) {
      const mine = turn.then(work)
      turn = mine.catch(() => undefined)
      return mine
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  }
}
