// Core dumps of live processes by gdb's gcore, and the one secret in them that has to be deciphered to be known.
import { spawn, spawnSync } from 'node:child_process'
import { createDecipheriv } from 'node:crypto'
import { closeSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
import { ascii, equalBytes } from '../../hal/base/bytes.js'
import {
  deriveInitialKey,
  deriveTransactionKey,
  deriveWorkingKey,
  splitKsn,
} from '../../runtime/secure/keys/aes-dukpt.js'
import { decipherFormat4, format4PanField } from '../../runtime/secure/keys/pin-block.js'
import { eachChunk } from './needles.js'

const DUMP_MS = 40_000

/** Why this machine cannot dump processes; undefined where it can. */
export function dumpMissing(folder: string): string | undefined {
  if (spawnSync('gcore', ['--help'], { stdio: 'ignore' }).error) return 'no gcore: install Debian package gdb'
  const victim = spawn('sleep', ['60'], { stdio: 'ignore' })
  try {
    const path = `${folder}/probe`
    const tried = spawnSync('gcore', ['-o', path, String(victim.pid)], { timeout: DUMP_MS, encoding: 'utf8' })
    rmSync(`${path}.${victim.pid}`, { force: true })
    return tried.status === 0
      ? undefined
      : `gcore may not trace: ${tried.stderr.trim().split('\n').at(-1) ?? ''}`
  } finally {
    victim.kill('SIGKILL')
  }
}

/** Dumps a process, everything it has mapped, and lets it run on. Resolves with the file. */
export function dump(pid: number, prefix: string): Promise<string> {
  return new Promise((resolve, reject) => {
    // -a: also what asks to be left out of dumps, and shared memory.
    const child = spawn('gcore', ['-a', '-o', prefix, String(pid)], { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text) => {
        output = (output + text).slice(-2000)
      })
    const timer = setTimeout(() => child.kill('SIGKILL'), DUMP_MS)
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(timer)
      if (code === 0) resolve(`${prefix}.${pid}`)
      else reject(new Error(`gcore of ${pid} ended ${code}: ${output}`))
    })
  })
}

/** Processes below `pid`, one level. */
export function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter(Boolean)
    .map(Number)
}

/** Where in the file lie the addresses that 8 divides: ELF-64, first PT_LOAD of the program headers. */
function alignmentOf(path: string): number {
  const file = openSync(path, 'r')
  try {
    const head = Buffer.alloc(64)
    readSync(file, head, 0, 64, 0)
    const size = head.readUInt16LE(0x36)
    const headers = Buffer.alloc(size * head.readUInt16LE(0x38))
    readSync(file, headers, 0, headers.length, Number(head.readBigUInt64LE(0x20)))
    for (let at = 0; at < headers.length; at += size) {
      if (headers.readUInt32LE(at) === 1)
        return Number((headers.readBigUInt64LE(at + 8) - headers.readBigUInt64LE(at + 16)) & 7n)
    }
    throw new Error(`${path} is no core dump`)
  } finally {
    closeSync(file)
  }
}

/**
 * The enciphered PIN block (ISO 9564-1 format 4, 16 bytes at an address that 8 divides) in a dump: the one that deciphers
 * to `pin` under the key of one of `ksns`. Nobody can know it before: half of it is random.
 */
export function findPinBlock(
  path: string,
  given: {
    readonly bdk: Uint8Array
    readonly ksns: readonly Uint8Array[]
    readonly pin: string
    readonly pan: string
  },
): { readonly block: Uint8Array; readonly offset: number } | undefined {
  const pan = ascii.encode(given.pan)
  const pin = ascii.encode(given.pin)
  const panField = new Uint32Array(format4PanField(pan).buffer)
  const keys = given.ksns.map((ksn) =>
    deriveWorkingKey(deriveTransactionKey(deriveInitialKey(given.bdk, splitKsn(ksn).ikid), ksn), ksn, 'pin'),
  )
  const control = 0x40 | pin.length
  const shift = alignmentOf(path)
  let found: { block: Uint8Array; offset: number } | undefined

  const isBlock = (key: Uint8Array, block: Uint8Array): boolean => {
    try {
      return equalBytes(decipherFormat4(key, block, pan), pin)
    } catch {
      return false
    }
  }
  eachChunk(path, (data, from, to, fileOffset) => {
    for (const key of keys) {
      const decipher = (bytes: Uint8Array) => {
        const aes = createDecipheriv(`aes-${key.length * 8}-ecb`, key, null).setAutoPadding(false)
        return aes.update(bytes)
      }
      for (const lead of [0, 8]) {
        const begin = from + ((((shift + lead - fileOffset - from) % 16) + 16) % 16)
        const end = begin + Math.floor((Math.min(data.length, to + 16) - begin) / 16) * 16
        if (end <= begin) continue
        const inner = Uint8Array.from(decipher(data.subarray(begin, end)))
        const words = new Uint32Array(inner.buffer)
        for (let i = 0; i < words.length; i++) words[i] = words[i]! ^ panField[i % 4]!
        const fields = decipher(inner)
        for (let at = 0; at < fields.length; at += 16) {
          if (fields[at] !== control) continue
          const block = Uint8Array.from(data.subarray(begin + at, begin + at + 16))
          if (!isBlock(key, block)) continue
          found = { block, offset: fileOffset + begin + at }
          return 'enough'
        }
      }
    }
    return 'more'
  })
  return found
}
