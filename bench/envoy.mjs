// Envoy's configuration: jwt_authn (with its cache of verified tokens, or without), the MCP filter, which reads the body, and
// RBAC on what the two found.

import { audience } from './credentials.mjs';

const extensions = 'type.googleapis.com/envoy.extensions';
const body_bytes_max = 4 << 20;
const connections_max = 20_000;

export function envoyConfiguration({ port, server, issuer, certificate, workload }, cached) {
  const [host, server_port] = server.split(':');
  const address = (address, port_value) => ({ socket_address: { address, port_value: Number(port_value) } });
  const manager = {
    '@type': `${extensions}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'clients',
    codec_type: 'AUTO',
    stream_idle_timeout: '0s',
    request_timeout: '0s',
    http_filters: [
      filter('jwt_authn', 'jwt_authn.v3.JwtAuthentication', tokens(issuer, cached)),
      filter('mcp', 'mcp.v3.Mcp', { max_request_body_size: body_bytes_max }),
      filter('rbac', 'rbac.v3.RBAC', { rules: { action: 'ALLOW', policies: policies() } }),
      filter('router', 'router.v3.Router', {}),
    ],
    route_config: {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: { cluster: 'server', timeout: '0s', idle_timeout: '0s' } }],
        },
      ],
    },
  };
  const tls = workload.tls && {
    transport_socket: {
      name: 'tls',
      typed_config: {
        '@type': `${extensions}.transport_sockets.tls.v3.DownstreamTlsContext`,
        common_tls_context: {
          alpn_protocols: ['h2', 'http/1.1'],
          tls_params: { tls_maximum_protocol_version: 'TLSv1_3' },
          tls_certificates: [
            { certificate_chain: { filename: certificate.crt }, private_key: { filename: certificate.key } },
          ],
        },
      },
    },
  };
  return {
    static_resources: {
      listeners: [
        {
          name: 'clients',
          address: address('127.0.0.1', port),
          per_connection_buffer_limit_bytes: body_bytes_max,
          filter_chains: [
            { filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }], ...tls },
          ],
        },
      ],
      clusters: [
        {
          name: 'server',
          type: 'STATIC',
          circuit_breakers: {
            thresholds: [
              {
                max_connections: connections_max,
                max_requests: connections_max,
                max_pending_requests: connections_max,
              },
            ],
          },
          load_assignment: {
            cluster_name: 'server',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(host, server_port) } }] }],
          },
        },
      ],
    },
  };
}

function filter(name, type, settings) {
  return {
    name: `envoy.filters.http.${name}`,
    typed_config: { '@type': `${extensions}.filters.http.${type}`, ...settings },
  };
}

function tokens(issuer, cached) {
  return {
    providers: {
      acme: {
        issuer: issuer.url,
        audiences: [audience],
        local_jwks: { inline_string: issuer.jwks },
        payload_in_metadata: 'claims',
        ...(cached && { jwt_cache_config: { jwt_cache_size: 100_000 } }),
      },
    },
    rules: [{ match: { prefix: '/' }, requires: { provider_name: 'acme' } }],
  };
}

function policies() {
  const found = (filter, path, value) => ({
    metadata: { filter, path: path.map((key) => ({ key })), value: { string_match: value } },
  });
  const calls = found('envoy.filters.http.mcp', ['method'], { exact: 'tools/call' });
  const reads = ['get_', 'list_', 'search_'].map((prefix) =>
    found('envoy.filters.http.mcp', ['params', 'name'], { prefix }),
  );
  return {
    reading: {
      permissions: [{ and_rules: { rules: [calls, { or_rules: { rules: reads } }] } }],
      principals: [found('envoy.filters.http.jwt_authn', ['claims', 'scope'], { contains: 'things:read' })],
    },
    other: { permissions: [{ not_rule: calls }], principals: [{ any: true }] },
  };
}
