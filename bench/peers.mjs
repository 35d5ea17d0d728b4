// The proxies, each with one worker, behind one address, in front of one server. What it may and may not do is the same for
// all that can check: a good token of the one issuer, tools `get_*` for the scope `things:read`, the rest refused.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

import { audience } from './credentials.mjs';
import { envoyConfiguration } from './envoy.mjs';
import { start } from '../tests/operations/programs.mjs';

const here = import.meta.dirname;
const unpacked = join(here, '.cache/deb/unpacked');
const envoy = join(here, '.cache/envoy/envoy/_bin/envoy');
const haproxy = join(unpacked, 'usr/sbin/haproxy');
const nginx = join(unpacked, 'usr/sbin/nginx');
const libraries = { LD_LIBRARY_PATH: join(unpacked, 'usr/lib/x86_64-linux-gnu') };
export const programs = join(here, 'target/release');

// What each is started with. `place` is {folder, port, server (host:port), issuer, certificate, workload}.
export const commands = {
  floor: ({ port, server, certificate, workload }) => {
    const tls = workload.tls ? [certificate.crt, certificate.key] : [];
    return { command: [join(programs, 'floor'), `127.0.0.1:${port}`, server, ...tls] };
  },

  gatepost: (place) => {
    const file = join(place.folder, `gatepost-${place.port}.yaml`);
    writeFileSync(file, (place.routing ?? routing)(place));
    return { command: [process.env.GATEPOST, 'run', '--config', file] };
  },

  nginx: (place) => {
    const file = join(place.folder, `nginx-${place.port}.conf`);
    writeFileSync(file, nginxConfiguration(place));
    return { command: [nginx, '-c', file, '-p', place.folder, '-e', 'stderr'] };
  },

  haproxy: (place) => {
    const file = join(place.folder, `haproxy-${place.port}.cfg`);
    writeFileSync(file, haproxyConfiguration(place));
    return { command: [haproxy, '-db', '-q', '-f', file], env: libraries };
  },

  envoy: (place) => envoyCommand(place, true),
  'envoy-no-cache': (place) => envoyCommand(place, false),
};

// What the table calls them, and whether they check.
export const peers = {
  floor: { title: 'floor', checks: false },
  'floor-again': { title: 'floor again', checks: false },
  gatepost: { title: 'Gatepost', checks: true },
  nginx: { title: 'nginx, plain', checks: false },
  haproxy: { title: 'HAProxy', checks: true },
  envoy: { title: 'Envoy', checks: true },
  'envoy-no-cache': { title: 'Envoy, no JWT cache', checks: true },
};

// Starts a peer, and waits until it accepts. `pids` are those whose time counts.
export async function startPeer(name, core, place) {
  const { command, env } = commands[name.replace(/-again$/, '')](place);
  const errors = [];
  const program = start(name, ['taskset', '--cpu-list', core, ...command], {
    env,
    stdout: 'ignore',
    onError: (line) => errors.push(line),
  });
  let ended;
  program.exited.then((exit) => {
    ended = exit;
  });
  await accepts(
    place.port,
    () => ended && new Error(`${name} ended: ${errors.slice(-5).join('\n') || JSON.stringify(ended)}`),
  );
  return { name, program, port: place.port, pids: [program.pid, ...children(program.pid)], errors };
}

export async function stopPeer({ program }) {
  program.signal(program.name === 'gatepost' ? 'SIGINT' : 'SIGTERM');
  const late = setTimeout(() => program.signal('SIGKILL'), 2000);
  await program.exited;
  clearTimeout(late);
}

export async function accepts(port, failed, millis_max = 60_000) {
  const began = performance.now();
  for (;;) {
    const open = await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true) ?? socket.destroy());
      socket.once('error', () => resolve(false));
    });
    if (open) return;
    const failure = failed?.() || (performance.now() - began > millis_max && new Error(`nothing listens on ${port}`));
    if (failure) throw failure;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function versions() {
  const first = (file, args, env) =>
    execFileSync(file, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
      .toString()
      .split('\n')[0];
  return {
    gatepost: first(process.env.GATEPOST, ['--version']),
    nginx: execFileSync('sh', ['-c', '"$0" -v 2>&1', nginx]).toString().trim(),
    haproxy: first(haproxy, ['-v'], libraries).replace(/ https?:.*/, ''),
    envoy: /\/([0-9.]+)\//.exec(execFileSync(envoy, ['--version']).toString())[1],
  };
}

function children(pid) {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

// The gateway's file. Its audit log is on, as by default: a record for each request, into /dev/null.
function routing({ port, server, issuer, certificate, workload }) {
  const scheme = workload.tls ? 'https' : 'http';
  const tls = workload.tls ? `tls: {certificate: ${certificate.crt}, private_key: ${certificate.key}}\n` : '';
  return `listen: 127.0.0.1:${port}
public_url: ${scheme}://localhost:${port}
${tls}threads: 1
drain: {delay_secs: 0, grace_secs: 1}
limits: {streams_per_principal_max: 10000}
authorization_servers:
  - issuer: ${issuer.url}
    jwks_uri: http://${server}/jwks/${issuer.name}
routes:
  - name: things
    path: /mcp
    upstream: http://${server}/mcp
    audiences: [${audience}]
    required_scopes: [mcp]
    rules:
      - {tools: ["get_*", "list_*", "search_*"], scopes: ["things:read"]}
      - {tools: [delete_everything], deny: true}
      - {tools: ["put_*"], deny: true}
`;
}

function nginxConfiguration({ folder, port, server, certificate, workload }) {
  const flags = `${workload.tls ? ' ssl' : ''}${workload.http2 ? ' http2' : ''}`;
  const tls = workload.tls
    ? `ssl_certificate ${certificate.crt}; ssl_certificate_key ${certificate.key};
       ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:tls:10m;`
    : '';
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${folder}/${kind};`,
  );
  return `daemon off;
master_process off;
worker_rlimit_nofile 20000;
error_log stderr error;
pid ${folder}/nginx-${port}.pid;
events { worker_connections 18000; }
http {
  access_log off;
  ${temporary.join(' ')}
  keepalive_requests 1000000000;
  client_max_body_size 8m;
  upstream server { server ${server}; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port}${flags};
    ${tls}
    http2_max_concurrent_streams 128;
    location / {
      proxy_pass http://server;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_read_timeout 1h;
    }
  }
}
`;
}

// A buffer holds a whole body: what does not fit is not looked at.
const haproxy_buffers = { '64k': 128 << 10, '1m': 1280 << 10 };

function haproxyConfiguration({ port, server, issuer, certificate, workload }) {
  const tls = workload.tls ? `ssl crt ${certificate.both} alpn h2,http/1.1` : workload.http2 ? 'proto h2' : '';
  const { algorithm } = workload;
  return `global
  nbthread 1
  maxconn 9000
  tune.bufsize ${haproxy_buffers[workload.body] ?? 16_384}
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-request 30s
  option http-buffer-request
frontend clients
  bind 127.0.0.1:${port} ${tls}
  http-request deny deny_status 401 unless { http_auth_bearer -m found }
  http-request set-var(txn.alg) http_auth_bearer,jwt_header_query('$.alg')
  http-request deny deny_status 401 unless { var(txn.alg) -m str ${algorithm} }
  http-request deny deny_status 401 unless { http_auth_bearer,jwt_verify(txn.alg,"${issuer.pem[algorithm]}") -m int 1 }
  http-request deny deny_status 401 unless { http_auth_bearer,jwt_payload_query('$.iss') -m str ${issuer.url} }
  http-request deny deny_status 401 unless { http_auth_bearer,jwt_payload_query('$.aud') -m str ${audience} }
  http-request set-var(txn.exp) http_auth_bearer,jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date
  http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 1 }
  http-request set-var(txn.scope) http_auth_bearer,jwt_payload_query('$.scope')
  http-request set-var(txn.method) req.body,json_query('$.method')
  http-request set-var(txn.tool) req.body,json_query('$.params.name')
  acl calls var(txn.method) -m str tools/call
  acl reads var(txn.tool) -m beg get_ list_ search_
  acl may_read var(txn.scope) -m sub things:read
  http-request deny deny_status 403 if METH_POST !{ var(txn.method) -m found }
  http-request deny deny_status 403 if calls !reads
  http-request deny deny_status 403 if calls !may_read
  default_backend server
backend server
  http-reuse always
  server server ${server}
`;
}

function envoyCommand(place, cached) {
  const file = join(place.folder, `envoy-${place.port}.json`);
  writeFileSync(file, JSON.stringify(envoyConfiguration(place, cached), undefined, 1));
  return { command: [envoy, '-c', file, '--concurrency', 1, '--disable-hot-restart', '-l', 'error'] };
}
