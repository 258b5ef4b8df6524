/** What etcd with TLS and its clients show each other. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** An authority, a server and a client without common name, as etcd's gateway wants them. */
export function makeCertificates(folder: string) {
  const at = (name: string): string => join(folder, name);
  const openssl = (...args: readonly string[]): void => {
    execFileSync('openssl', args, { stdio: 'ignore' });
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '60'];
  const ca = ['-subj', '/O=test authority', '-keyout', at('ca.key'), '-out', at('ca.crt')];
  openssl('req', '-x509', ...key, ...ca, '-addext', 'basicConstraints=critical,CA:TRUE');
  for (const name of ['server', 'client', 'named']) {
    const subject = name === 'named' ? '/CN=root' : `/O=${name}`;
    openssl(
      'req',
      ...key,
      '-subj',
      subject,
      '-keyout',
      at(`${name}.key`),
      '-out',
      at(`${name}.csr`),
    );
    // The gateway is a client of its own server.
    writeFileSync(
      at('ext'),
      'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n',
    );
    const signing = ['-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '60'];
    openssl(
      'x509',
      '-req',
      '-in',
      at(`${name}.csr`),
      ...signing,
      '-extfile',
      at('ext'),
      '-out',
      at(`${name}.crt`),
    );
  }
  const read = (name: string): string => readFileSync(at(name), 'utf8');
  const serverArgs = [
    ...['--cert-file', at('server.crt'), '--key-file', at('server.key')],
    ...['--trusted-ca-file', at('ca.crt'), '--client-cert-auth'],
  ];
  const clientOf = (name: string) => ({
    ca: read('ca.crt'),
    cert: read(`${name}.crt`),
    key: read(`${name}.key`),
  });
  return { serverArgs, client: clientOf('client'), named: clientOf('named'), ca: read('ca.crt') };
}
