// The EMV configuration document: what is refused names AID or key, field and rule.
import t from 'tap'
import { toHex } from '../../../../hal/base/bytes.js'
import { sha1 } from '../../../../hal/base/ciphers.js'
import { PosternError } from '../../../../hal/base/errors.js'
import { caKeyChecksum } from '../../../../runtime/secure/emv/ca-keys.js'
import { type EmvDocument, emvConfiguration } from '../../../../runtime/secure/emv/configuration.js'
import { hex } from './kernel-inputs.js'

const modulus = `80${'00'.repeat(62)}01`
const checksum = toHex(
  sha1(...caKeyChecksum({ rid: hex('F0504F5354'), index: 1, modulus: hex(modulus), exponent: hex('03') })),
)
const application = {
  aid: 'F0504F53541010',
  partialSelection: true,
  version: '008C',
  tacDenial: '0000000000',
  tacOnline: 'FC50ACF800',
  tacDefault: 'FC50ACF800',
  floorLimit: '0',
}
const good: EmvDocument = {
  terminal: {
    countryCode: '0276',
    currency: 'EUR',
    type: '22',
    capabilities: 'E0F8C8',
    additionalCapabilities: '6000F0A001',
    pinBypass: false,
  },
  applications: [application],
  caKeys: [{ rid: 'F0504F5354', index: '01', modulus, exponent: '03', sha1: checksum }],
}
const fault = (document: unknown): string => {
  try {
    emvConfiguration(document)
    return 'accepted'
  } catch (error) {
    if (!(error instanceof PosternError) || error.code !== 'EMV_CONFIGURATION_INVALID') throw error
    const { where, key, rule } = error.details
    return `${where} | ${key} | ${rule}`
  }
}
const withApplication = (changes: object) => ({ ...good, applications: [{ ...application, ...changes }] })
const withKey = (changes: object) => ({ ...good, caKeys: [{ ...good.caKeys[0], ...changes }] })

t.test('a good document becomes bytes', async (t) => {
  const configuration = emvConfiguration({
    ...withApplication({
      floorLimit: '5000',
      randomSelection: { targetPercent: 10, maximumTargetPercent: 50, threshold: '1000' },
      ddol: '9F3704',
      tdol: '9F0206',
      riskManagementData: '0100',
    }),
    terminal: {
      ...good.terminal,
      acquirerId: '123456',
      merchantCategoryCode: '4215',
      merchantId: 'M1',
      terminalId: 'T0000001',
      merchantName: 'Shop',
      ifdSerial: 'I0000001',
    },
    revokedCertificates: [{ rid: 'F0504F5354', index: '01', serial: '000002' }],
  })
  t.equal(configuration.terminal.type, 0x22)
  t.equal(toHex(configuration.terminal.acquirerId!), '000000123456')
  t.equal(configuration.applications[0]?.floorLimit, 5000n)
  t.equal(configuration.applications[0]?.randomSelection?.threshold, 1000n)
  t.equal(configuration.caKeys[0]?.index, 1)
  t.ok(configuration.revoked.has('F0504F535401000002'))
})

t.test('errors name AID, key and rule', async (t) => {
  t.match(
    fault(withApplication({ tacOnline: 'FC' })),
    /^AID F0504F53541010 \| tacOnline \| must match pattern/,
  )
  t.match(fault(withApplication({ ddol: '9A03' })), /^AID F0504F53541010 \| ddol \| must hold 9F37/)
  t.match(
    fault(withApplication({ tdol: '9F02' })),
    /^AID F0504F53541010 \| tdol \| is not a data object list/,
  )
  t.match(
    fault(
      withApplication({
        floorLimit: '100',
        randomSelection: { targetPercent: 20, maximumTargetPercent: 10, threshold: '10' },
      }),
    ),
    /maximumTargetPercent \| is below/,
  )
  t.match(
    fault(
      withApplication({
        floorLimit: '100',
        randomSelection: { targetPercent: 20, maximumTargetPercent: 30, threshold: '1000' },
      }),
    ),
    /threshold \| is above/,
  )
  t.match(
    fault({ ...good, applications: [application, application] }),
    /^AID F0504F53541010 \| aid \| stands twice/,
  )
  t.match(fault({ ...good, terminal: { ...good.terminal, currency: 'XYZ' } }), /^terminal \| currency/)
  t.match(fault({ ...good, terminal: { ...good.terminal, type: '99' } }), /terminal/)
  t.match(fault(null), / \| /)
})

t.test(
  'a CA key without its right checksum is refused, and two under one index are never merged',
  async (t) => {
    t.match(fault(withKey({ sha1: '00'.repeat(20) })), /^CA key F0504F5354 01 \| sha1 \| is not the checksum/)
    t.match(fault(withKey({ exponent: '02' })), /^CA key F0504F5354 01 \| exponent/)
    t.match(fault(withKey({ modulus: '80' })), /^CA key F0504F5354 01 \| modulus/)
    t.match(fault(withKey({ modulus: '80'.repeat(64) })), /^CA key F0504F5354 01 \| modulus \| must be odd/)
    t.match(fault({ ...good, caKeys: [good.caKeys[0], good.caKeys[0]] }), /stands twice/)
  },
)
