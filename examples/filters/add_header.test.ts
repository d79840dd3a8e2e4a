/** Run it with: nodefilter test add_header.test.ts */
import assert from 'node:assert/strict'
import test from 'node:test'
import { runFilter } from 'nodefilter/testing'
import * as filter from './add_header.ts'

test('the field is there, and all else is as it was', async () => {
  const { verdict, content } = await runFilter(filter, 'From: a@example.com\nSubject: hello\n\ntext\n')
  assert.equal(verdict.kind, 'pass')
  assert.equal(content.toString(), 'From: a@example.com\nSubject: hello\nX-Test-Header: A new header!\n\ntext\n')
})
