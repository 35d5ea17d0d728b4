// Files as a cluster gives them to a process, and certificates to put there.

import { X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { runToEnd } from './programs.mjs';

// A folder as Kubernetes makes it of a ConfigMap or a Secret: names lead to a folder behind `..data`, which is
// exchanged.
export class Mounted {
  constructor(path, files) {
    this.path = path;
    this.number = 0;
    mkdirSync(this.path);
    this.swap(files);
    for (const file of Object.keys(files)) symlinkSync(join('..data', file), join(this.path, file));
  }

  // All files at once.
  swap(files) {
    const before = this.current;
    this.current = `..${this.number++}`;
    mkdirSync(join(this.path, this.current));
    for (const [file, text] of Object.entries(files)) writeFileSync(join(this.path, this.current, file), text);
    symlinkSync(this.current, join(this.path, '..new'));
    renameSync(join(this.path, '..new'), join(this.path, '..data'));
    if (before) rmSync(join(this.path, before), { recursive: true });
  }

  // One file, as careful editors do it.
  rewrite(file, text) {
    const path = join(this.path, this.current, file);
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  }
}

// A certificate by its own key, which clients trust as such.
export function newCertificate(folder, number) {
  const [key_file, file] = [join(folder, 'new.key'), join(folder, 'new.crt')];
  const how = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2'.split(' ');
  const whose = ['-subj', `/CN=gatepost ${number}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  runToEnd('openssl', ...how, ...whose, '-keyout', key_file, '-out', file);
  return { 'tls.crt': readFileSync(file, 'utf8'), 'tls.key': readFileSync(key_file, 'utf8') };
}

// As a TLS client sees it.
export function fingerprintOf(pem) {
  return new X509Certificate(pem).fingerprint256;
}
