// `postern ceremony`: the key room's work. Two custodians at a console; what leaves the room is wrapped and signed.
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, Option } from 'commander'
import { erase, toHex } from '../../hal/base/bytes.js'
import { systemClock, systemRandom } from '../../hal/base/clock.js'
import { readDurable, writeDurable } from '../../hal/base/durable-file.js'
import { PosternError } from '../../hal/base/errors.js'
import { silentLog } from '../../hal/base/log.js'
import { openBoard, parseBoard } from '../../hal/board.js'
import { readBoard } from '../../hal/boards.js'
import { pkcs11Driver } from '../../hal/drivers/pkcs11/pkcs11-driver.js'
import { tpm2Driver } from '../../hal/drivers/tpm2/tpm2-driver.js'
import { SIMULATED_DRIVERS } from '../../hal/simulated/drivers.js'
import { storeProtectionKey } from '../../runtime/secure/keys/protection-key.js'
import { openKeyStore } from '../../runtime/secure/open-key-store.js'
import { type SecureConfig, secureConfigFrom } from '../../runtime/secure/secure-config.js'
import { enterKey } from '../key-room/ceremony.js'
import { checkValue, type KeyKind, makeComponent } from '../key-room/components.js'
import { type ConsoleDesk, consoleDesk } from '../key-room/console-desk.js'
import { deriveProtectionKey, makePackage, nextOrder, type RoomBook } from '../key-room/packages.js'

const TERMINAL_ID = /^[A-Za-z0-9]{8}$/
const MASTER: KeyKind = { cipher: 'aes', bytes: 32 }

function checkTerminalId(id: string): string {
  if (!TERMINAL_ID.test(id)) throw new PosternError('USAGE', `${id}: a terminal id is 8 letters and digits`)
  return id
}

function readBook(room: string): RoomBook {
  const stored = readDurable(join(room, 'book.json'))
  return stored === undefined
    ? { next: {}, sequences: {} }
    : (JSON.parse(Buffer.from(stored.content).toString('utf8')) as RoomBook)
}

/** The terminal's key store, with its secure element alone opened: the terminal itself stands still meanwhile. */
async function withKeyStore<T>(
  config: SecureConfig,
  work: (store: Awaited<ReturnType<typeof openKeyStore>>) => Promise<T>,
): Promise<T> {
  const drivers = [tpm2Driver, pkcs11Driver, ...(config.profile === 'development' ? SIMULATED_DRIVERS : [])]
  const { profile } = parseBoard(readBoard(config.board), drivers, {
    world: 'secure',
    params: config.boardParams,
  })
  const only = {
    ...profile,
    devices: profile.devices.filter(({ deviceClass }) => deviceClass === 'secure-element'),
  }
  const board = await openBoard(only, drivers, { clock: systemClock, log: silentLog })
  try {
    const store = await openKeyStore(config, board, systemRandom)
    try {
      return await work(store)
    } finally {
      store.close()
    }
  } finally {
    await board.close()
  }
}

/** Sits people down at the console, and gives it back whatever becomes of them. */
async function atDesk(work: (desk: ConsoleDesk) => Promise<void>): Promise<void> {
  const desk = consoleDesk()
  try {
    await work(desk)
  } finally {
    desk.close()
  }
}

async function showComponent({
  cipher,
  bits,
}: {
  cipher: 'aes' | 'tdes'
  bits: '128' | '256'
}): Promise<void> {
  if (cipher === 'tdes' && bits !== '128') throw new PosternError('USAGE', 'a TDES component has 128 bits')
  await atDesk(async (desk) => {
    desk.clear()
    await desk.ready('One custodian, alone at the desk with a sheet and an envelope, presses Enter')
    const component = makeComponent({ cipher, bytes: bits === '128' ? 16 : 32 }, systemRandom)
    try {
      desk.tell(
        `Write down the name of the key, your number (1 or 2), and:\n\n  ${toHex(component).replace(/(.{4})(?=.)/g, '$1 ')}\n\n  check value ${checkValue(cipher, component)}\n`,
      )
      erase(component)
      await desk.ready('Written and compared: press Enter, the screen is emptied')
    } finally {
      erase(component)
      desk.clear()
    }
    desk.tell('Seal the sheet in its envelope. The component is nowhere else.')
  })
}

async function loadProtectionKey({ terminal, config }: { terminal: string; config: string }): Promise<void> {
  const terminalId = checkTerminalId(terminal)
  const secure = secureConfigFrom(JSON.parse(readFileSync(config, 'utf8')))
  await atDesk(async (desk) => {
    const master = await enterKey(desk, 'Master key', MASTER)
    const key = deriveProtectionKey(master, terminalId)
    erase(master)
    try {
      await withKeyStore(secure, (store) => storeProtectionKey(store, { cipher: 'aes', key }))
      desk.tell(`${terminalId} holds its protection key, check value ${checkValue('aes', key)}.`)
    } finally {
      erase(key)
    }
  })
}

interface PackageOptions {
  readonly room: string
  readonly out: string
  readonly set: string
  readonly scheme: 'aes' | 'tdes'
  readonly bdkId: string
  readonly signer: string
}

async function writePackages(terminals: readonly string[], options: PackageOptions): Promise<void> {
  const ids = terminals.map(checkTerminalId)
  const signer = createPrivateKey(readFileSync(options.signer))
  await atDesk((desk) => packagesAt(desk, ids, signer, options))
}

async function packagesAt(
  desk: ConsoleDesk,
  ids: readonly string[],
  signer: KeyObject,
  options: PackageOptions,
): Promise<void> {
  const master = await enterKey(desk, 'Master key', MASTER)
  let bdk: Uint8Array | undefined
  try {
    bdk = await enterKey(desk, 'Base derivation key', { cipher: options.scheme, bytes: 16 })
    mkdirSync(options.out, { recursive: true, mode: 0o700 })
    for (const terminalId of ids) {
      const { order, book } = nextOrder(
        readBook(options.room),
        options.scheme,
        options.bdkId,
        terminalId,
        options.set,
      )
      // The id is taken before it is used: a ceremony that breaks off wastes a number, never gives one twice.
      writeDurable(join(options.room, 'book.json'), Buffer.from(JSON.stringify(book)))
      const envelope = makePackage(order, { master, bdk, signer }, systemRandom)
      const path = join(options.out, `${terminalId}-${options.set}-${order.sequence}.json`)
      if (existsSync(path)) throw new PosternError('USAGE', `${path} is there already`)
      writeFileSync(path, `${JSON.stringify(envelope)}\n`, { mode: 0o600 })
      const { checkValue: value } = JSON.parse(envelope.body) as { checkValue: string }
      desk.tell(
        `${terminalId}  sequence ${order.sequence}  id ${toHex(order.id)}  check value ${value}  ${path}`,
      )
    }
  } finally {
    erase(master, bdk)
  }
}

export function ceremonyCommand(): Command {
  const command = new Command('ceremony').description('key ceremonies, led in the key room by two custodians')
  command
    .command('component')
    .description('makes one component for one custodian, shown once')
    .addOption(new Option('--cipher <name>', 'what the key is for').choices(['aes', 'tdes']).default('aes'))
    .addOption(new Option('--bits <n>', 'its length').choices(['128', '256']).default('128'))
    .action(showComponent)
  command
    .command('protect')
    .description(
      "gives a terminal its key block protection key, derived from the room's master key (AES-256)",
    )
    .requiredOption('--terminal <id>', "the terminal's id")
    .requiredOption(
      '--config <file>',
      "the secure world's configuration; the terminal stands still meanwhile",
    )
    .action(loadProtectionKey)
  command
    .command('package')
    .description('makes key packages for terminals: initial keys in TR-31 blocks, signed, for any road')
    .argument('<terminals...>', "terminals' ids")
    .requiredOption('--bdk-id <hex>', 'id of the base derivation key: 8 hex digits, TDES 10')
    .requiredOption('--signer <file>', "PEM of the documents' signing key")
    .option('--set <name>', 'the key set in the terminal', 'acquirer')
    .addOption(new Option('--scheme <name>', 'which DUKPT').choices(['aes', 'tdes']).default('aes'))
    .option('--room <folder>', "the key room's book", 'key-room')
    .option('--out <folder>', 'where packages go', 'packages')
    .action(writePackages)
  return command
}
