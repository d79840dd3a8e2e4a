/** The post office behind a real Courier: mail is in its queue before the client hears so, once, and in no queue if refused. */
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { openDepot } from '../../queue-store/index.ts'
import { awaitEmptyQueue, courier, courierObstacle } from './courier-server.ts'
import { mustRun, runProgram } from './program.ts'
import { sendMessage, type SmtpReply, type Transaction } from './smtp-client.ts'
import { openCourierStage } from './stage.ts'

const launcher = '/usr/lib/courier/filters/nodefilter'
const hosts = ['orders.example.com', 'support.example.com', 'news.example.com']
const alice = `${courier.user}-mail@${courier.domain}`

const obstacle = courierObstacle()
if (obstacle === null) await suite()
else t.plan(0, obstacle)

async function suite(): Promise<void> {
  t.setTimeout(300_000)
  const stage = await openCourierStage()
  const { nodefilter, maildir } = stage
  const { uid, gid } = statSync(courier.spool)
  const conf = (name: string): string => join(nodefilter.configDirectory, name)
  const ours = (name: string, clear = true): string => {
    const path = join(nodefilter.top, name)
    if (clear) rmSync(path, { recursive: true, force: true })
    mkdirSync(path, { recursive: true })
    chownSync(path, uid, gid)
    return path
  }
  const small = join(nodefilter.top, 'small')
  await runProgram('umount', [small])
  const accepted = join(courier.sysconfdir, 'esmtpacceptmailfor.dir/nodefilter-test')
  t.teardown(async () => {
    await stage.close()
    rmSync(accepted, { force: true })
    await mustRun('makeacceptmailfor', [])
    await runProgram('umount', [small])
  })

  // Courier takes mail for these at RCPT without asking for a mailbox.
  writeFileSync(accepted, hosts.map((host) => `${host}\n`).join(''))
  await mustRun('makeacceptmailfor', [])
  const queues = ['orders', 'support', 'news'].map(
    (name, index) => `[queue:${name}]\nfilters =\n  to_hostname: ${hosts[index] ?? ''}\n`,
  )
  writeFileSync(conf('postoffice.ini'), `[post office]\nmaildir = %(here)s/Maildir\n${queues.join('')}`)
  writeFileSync(conf('modules.conf'), `[postoffice]\nini = '${conf('postoffice.ini')}'\n`)
  writeFileSync(
    join(nodefilter.filterDirectory, 'refuser.mjs'),
    `import { readFileSync } from 'node:fs'
export const doFilter = (path) => (/^X-Refuse: /m.test(readFileSync(path, 'latin1')) ? '550 5.7.1 no' : '')
`,
  )

  // A depot that an application shares, as docs/applications/operating.md has it.
  const aliceUid = (await mustRun('id', ['-u', courier.user])).trim()
  const aliceGid = (await mustRun('id', ['-g', courier.user])).trim()
  const depotDirectory = join(nodefilter.top, 'depot')
  rmSync(depotDirectory, { recursive: true, force: true })
  await (await openDepot(depotDirectory, { group: Number(aliceGid) })).close()
  await mustRun('chown', ['-R', `${uid}`, depotDirectory])

  const inQueue = async (name: string, directory = depotDirectory): Promise<string[]> => {
    const depot = await openDepot(directory)
    try {
      return (await (await depot.queue(name)).peek({ max: 100 })).map(({ facts }) => facts['messageId'] as string)
    } finally {
      await depot.close()
    }
  }
  const post = (
    token: string,
    to: readonly string[],
    more: readonly string[] = [],
    rest: Partial<Transaction> = {},
  ): Promise<SmtpReply> =>
    sendMessage({
      ...{ port: courier.port, localAddress: '127.0.0.2', from: `${token}@example.org`, to },
      message: `${[`From: <${token}@example.org>`, `To: <${to[0] ?? ''}>`, `Message-ID: <${token}@example.org>`, `Subject: ${token}`, ...more].join('\n')}\n\nThe body of ${token}.\n`,
      ...rest,
    })

  mkdirSync(small, { recursive: true })
  const options = `size=4m,uid=${uid},gid=${gid},mode=0700`
  const mounted = await runProgram('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', small])
  const skip = mounted.status === 0 ? false : 'no tmpfs can be mounted here'
  await stage.serve({ list: ['postoffice', 'refuser'], settings: ['[store]', `directory = ${depotDirectory}`] })

  await t.test(
    'mail to three host names is in three queues, and an application of another user takes it',
    async (t) => {
      for (const [index, host] of hosts.entries()) {
        t.match(await post(`three${index}`, [`box@${host}`]), { code: 250 })
        // No waiting: it was there before the answer.
        t.same(await inQueue(['orders', 'support', 'news'][index] ?? ''), [`<three${index}@example.org>`], host)
      }
      t.match(await post('both', [alice, `box@${hosts[0] ?? ''}`], [`Cc: <box@${hosts[0] ?? ''}>`]), { code: 250 })
      const [delivered] = await maildir.await('both')
      t.equal(delivered?.deliveredTo, alice, 'who has a mailbox gets it there')
      await awaitEmptyQueue()
      t.equal(maildir.with('both').length, 1)
      t.same(maildir.with('three'), [], 'nothing else is delivered, and nobody is told of a failure')

      const program = join(nodefilter.top, 'app/consume.mjs')
      const library = pathToFileURL(join(nodefilter.top, 'app/node_modules/nodefilter/dist/queue-store/index.js')).href
      writeFileSync(
        program,
        `import { openDepot } from '${library}'
const depot = await openDepot('${depotDirectory}')
for (const name of ['orders', 'support', 'news']) {
  for (const delivery of await (await depot.queue(name)).receive({ max: 10 })) {
    const { envelope, facts } = delivery
    const text = (await delivery.message.bytes()).toString()
    console.log(JSON.stringify({ name, envelope, client: facts.client, text }))
    await delivery.ack()
  }
}
await depot.close()
`,
      )
      const rights = [`--reuid=${aliceUid}`, `--regid=${aliceGid}`, '--clear-groups']
      // What the test runner puts into the environment of all processes would write into folders of ours.
      const output = await mustRun('setpriv', [...rights, 'env', '-i', nodefilter.nodePath, program])
      const taken = output
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { name: string; text: string; envelope: unknown; client: unknown })
      t.same(
        taken.map(({ name }) => name),
        ['orders', 'orders', 'support', 'news'],
      )
      t.match(taken[0], {
        envelope: { sender: 'three0@example.org', recipients: [`box@${hosts[0] ?? ''}`] },
        client: '127.0.0.2',
      })
      t.same((taken[1]?.envelope as { recipients?: unknown }).recipients, [`box@${hosts[0] ?? ''}`])
      t.match(taken[0]?.text, /^Received: from [^]*\nSubject: three0\n\nThe body of three0\.\n$/)
      for (const name of ['orders', 'support', 'news']) t.same(await inQueue(name), [], `${name} is empty`)
      t.match(await post('three0', [`box@${hosts[0] ?? ''}`]), { code: 250 }, 'the same once more')
      t.same(await inQueue('orders'), [], 'is known, also after it was taken')
    },
  )

  await t.test('what a later filter refuses is in no queue', async (t) => {
    t.match(await post('refused', [`box@${hosts[1] ?? ''}`], ['X-Refuse: yes']), { code: 550 })
    t.same(await inQueue('support'), [])
    t.match(await post('refused', [`box@${hosts[1] ?? ''}`]), { code: 250 }, 'and is none that is known')
    t.same(await inQueue('support'), ['<refused@example.org>'])
  })

  await t.test(
    'a later mail filter of Courier can refuse: the message is in its queue by then, and known',
    async (t) => {
      const socket = join(courier.sockets, 'zz-later')
      const server = createServer((peer) => {
        peer.on('error', () => undefined)
        peer.once('data', () => peer.end('451 4.7.1 not yet\n'))
      })
      await new Promise<void>((resolve) => server.listen(socket, resolve))
      chmodSync(socket, 0o666)
      const to = [`box@${hosts[1] ?? ''}`]
      t.match(await post('later', to), { code: 451, lines: ['451 4.7.1 not yet'] })
      await new Promise((resolve) => server.close(resolve))
      rmSync(socket, { force: true })
      t.match(await post('later', to), { code: 250 })
      t.same(
        (await inQueue('support')).filter((id) => id === '<later@example.org>'),
        ['<later@example.org>'],
      )
    },
  )

  await t.test('a host that is killed between queue and reply', async (t) => {
    const faults = ours('faults')
    const main = join(nodefilter.top, 'app/node_modules/nodefilter/dist/host/main.js')
    const once = join(nodefilter.top, 'app/once.mjs')
    writeFileSync(
      once,
      `import { readFileSync, rmSync } from 'node:fs'
try {
  process.env.NODEFILTER_FAULTS = readFileSync('${faults}/next', 'utf8')
  rmSync('${faults}/next')
} catch {}
await import('${pathToFileURL(main).href}')
`,
    )
    await mustRun('courierfilter', ['stop'])
    const text = readFileSync(launcher, 'utf8')
    t.ok(text.includes(main))
    writeFileSync(`${launcher}.new`, text.replaceAll(main, once), { mode: 0o755 })
    renameSync(`${launcher}.new`, launcher)
    for (const [point, there] of [
      ['store.publishing', false],
      ['store.published', true],
    ] as const) {
      const token = point.replace('.', '-')
      const id = `<${token}@example.org>`
      writeFileSync(join(faults, 'next'), `${point}=kill`)
      await mustRun('courierfilter', ['start'])
      const to = [`box@${hosts[2] ?? ''}`]
      t.match(await post(token, to), { code: /^4/ }, `${point}: the client is to come again`)
      t.equal((await inQueue('news')).includes(id), there, `${point}: what is there by then`)
      const reply = await retry(() => post(token, to))
      t.equal(reply.code, 250, `${point}: the next host takes it`)
      t.same(
        (await inQueue('news')).filter((found) => found === id),
        [id],
        `${point}: it is there once`,
      )
      await mustRun('courierfilter', ['stop'])
    }
    await mustRun('courierfilter', ['start'])
  })

  await t.test('a full disk', { skip }, async (t) => {
    const directory = join(small, 'depot')
    writeFileSync(
      conf('nodefilter.conf'),
      readFileSync(conf('nodefilter.conf'), 'utf8').replace(depotDirectory, directory),
    )
    t.match(await nodefilter.run(['restart', '-c', nodefilter.configDirectory]), { status: 0 })
    const to = [`box@${hosts[0] ?? ''}`]
    t.match(await retry(() => post('roomy', to)), { code: 250 })
    t.same(await inQueue('orders', directory), ['<roomy@example.org>'])

    const filler = join(small, 'filler')
    await runProgram('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4096'])
    const large = {
      message: `From: <full@example.org>\nTo: <${to[0] ?? ''}>\nMessage-ID: <full@example.org>\nSubject: full\n\n${'0123456789\n'.repeat(20_000)}`,
    }
    for (const token of ['full', 'small1', 'small2']) {
      const reply = await post(token, to, [], token === 'full' ? large : {})
      t.match(reply, { code: /^4/ }, `${token}: ${reply.lines.join(' ')}`)
    }
    truncateSync(filler, 0)
    rmSync(filler)
    for (const token of ['full', 'small1', 'small2']) {
      t.match(
        await retry(() => post(token, to, [], token === 'full' ? large : {})),
        { code: 250 },
        `${token}: with room again`,
      )
    }
    t.same(
      (await inQueue('orders', directory)).sort(),
      ['<full@example.org>', '<roomy@example.org>', '<small1@example.org>', '<small2@example.org>'],
      'each is there once, and none is lost',
    )
    await mustRun('courierfilter', ['stop'])
  })
}

/** As a mail server does where it hears 4xx: comes again, until it hears something else. */
async function retry(send: () => Promise<SmtpReply>): Promise<SmtpReply> {
  const endMs = performance.now() + 30_000
  for (;;) {
    const reply = await send()
    if (Math.floor(reply.code / 100) !== 4 || performance.now() > endMs) return reply
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}
