// SPDX-License-Identifier: LGPL-2.1-or-later
// s3rver, which takes any signature of version 4 for good, behind a check of it by aws4.
// usage: server.js MODULES FOLDER; says "listening PORT" when it does. The bucket is "bucket".
'use strict';

const path = require('path');
const [modules, folder] = process.argv.slice(2).map(name => path.resolve(name));
const aws4 = require(path.join(modules, 'aws4'));
const S3rver = require(path.join(modules, 's3rver'));
const S3Error = require(path.join(modules, 's3rver/lib/models/error'));

const SECRET = 'S3RVER'; // s3rver has one account, of that name
const TOKEN = 'the/session+token=';
const REGION = 'test-region-1';
const FORM = new RegExp('^AWS4-HMAC-SHA256 Credential=([^/]+)/\\d{8}/([^/]+)/s3/aws4_request,' +
  'SignedHeaders=([a-z0-9;-]+),Signature=([0-9a-f]{64})$');

function check(ctx) {
  const match = FORM.exec(ctx.get('authorization'));
  if (!match) throw new S3Error('AccessDenied', 'There is no signature of version 4.');
  const [, accessKeyId, region, names, signature] = match;
  if (region !== REGION)
    throw new S3Error('AuthorizationHeaderMalformed', `The region must be ${REGION}.`);
  const headers = Object.fromEntries(names.split(';').map(name => [name, ctx.get(name)]));
  for (const name of Object.keys(ctx.headers)) {
    if ((name === 'host' || name.startsWith('x-amz-')) && !(name in headers))
      throw new S3Error('AccessDenied', `${name} is not signed.`);
  }
  const sessionToken = ctx.get('x-amz-security-token');
  if (sessionToken && sessionToken !== TOKEN)
    throw new S3Error('InvalidToken', 'The provided token is malformed or otherwise invalid.');
  const request = { method: ctx.method, path: ctx.url, headers, service: 's3', region };
  aws4.sign(request, { accessKeyId, secretAccessKey: SECRET, sessionToken });
  if (!request.headers.Authorization.endsWith(`Signature=${signature}`))
    throw new S3Error('SignatureDoesNotMatch', 'The signature does not match.');
}

const server = new S3rver({
  address: '127.0.0.1', port: 0, silent: true, directory: folder, vhostBuckets: false,
  configureBuckets: [{ name: 'bucket', configs: [] }],
});
server.middleware.unshift((ctx, next) => {
  check(ctx);
  return next();
});
server.run().then(({ port }) => console.log(`listening ${port}`));
